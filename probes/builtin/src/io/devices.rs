//! What a device is called: `/sys/dev/block`, where each has a link to its folder. Pure but for those readings.

use probe_core::Label;
use std::fs;
use std::path::Path;

/// The kernel has twenty bits for the minor number.
const MINOR_BITS: u32 = 20;

/// A device's number in two parts.
pub(super) fn major_minor(device: u32) -> (u32, u32) {
    (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1))
}

/// A device's name and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its own name.
    pub(super) name: Label,
    /// The disk's, which is the same for a disk.
    pub(super) disk: Label,
    /// The disk's number, for a partition.
    pub(super) parent: Option<u32>,
}

impl Place {
    /// Of a disk with this name.
    pub(super) fn disk(name: &str) -> Self {
        Self { name: plain(name), disk: plain(name), parent: None }
    }

    /// Of a device of which nothing but the number is known.
    pub(super) fn unknown(device: u32) -> Self {
        let (major, minor) = major_minor(device);
        Self::disk(&format!("{major}:{minor}"))
    }

    /// Whether it is one of `names`; none are all.
    pub(super) fn is_among(&self, names: &[String]) -> bool {
        names.is_empty() || names.iter().any(|name| self.name == name.as_str() || self.disk == name.as_str())
    }
}

/// sysfs has `!` where a name has `/`.
fn plain(name: &str) -> Label {
    if name.contains('!') { name.replace('!', "/").into() } else { name.into() }
}

/// Where `device` is now; `None` if there is no such device.
pub(super) fn find(sys: &Path, device: u32) -> Option<Place> {
    let (major, minor) = major_minor(device);
    let link = sys.join(format!("dev/block/{major}:{minor}"));
    let folder = fs::read_link(&link).ok()?;
    let name = folder.file_name()?.to_str()?;
    if !link.join("partition").exists() {
        return Some(Place::disk(name));
    }
    let disk = folder.parent()?.file_name()?.to_str()?;
    let number = fs::read_to_string(link.join("../dev")).ok()?;
    let (major, minor) = number.trim().split_once(':')?;
    let parent = major.parse::<u32>().ok()?.checked_shl(MINOR_BITS)? | minor.parse::<u32>().ok()?;
    Some(Place { name: plain(name), disk: plain(disk), parent: Some(parent) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;
    use std::os::unix::fs::symlink;

    fn host(devices: &[(&str, &str, &str)]) -> FakeHost {
        let host = FakeHost::new();
        std::fs::create_dir_all(host.path("sys/dev/block")).expect("a folder");
        for (number, folder, file) in devices {
            host.write(&format!("sys/devices/{folder}/dev"), format!("{number}\n"));
            if !file.is_empty() {
                host.write(&format!("sys/devices/{folder}/{file}"), "1\n");
            }
            let link = host.path(&format!("sys/dev/block/{number}"));
            symlink(format!("../../devices/{folder}"), link).expect("a link");
        }
        host
    }

    #[test]
    fn disks_and_partitions_have_the_names_that_sysfs_has() {
        let host = host(&[
            ("254:0", "pci0000:00/virtio1/block/vda", ""),
            ("254:1", "pci0000:00/virtio1/block/vda/vda1", "partition"),
            ("104:0", "pci0000:01/block/cciss!c0d0", ""),
            ("253:3", "virtual/block/dm-3", ""),
        ]);
        let find = |device| find(&host.env().sys, device);
        assert_eq!(find(254 << 20), Some(Place::disk("vda")));
        let partition = Place { name: "vda1".into(), disk: "vda".into(), parent: Some(254 << 20) };
        assert_eq!(find(254 << 20 | 1), Some(partition));
        assert_eq!(find(104 << 20).map(|place| place.name), Some("cciss/c0d0".into()));
        assert_eq!(find(253 << 20 | 3), Some(Place::disk("dm-3")));
        assert_eq!(find(8 << 20), None, "it is gone");
    }

    #[test]
    fn a_number_of_nonsense_is_no_disk_s() {
        for bad in ["", "254", "x:0", "99999999999:0"] {
            let host = host(&[("259:1", "virtual/block/loop0/loop0p1", "partition")]);
            host.write("sys/devices/virtual/block/loop0/dev", bad);
            assert_eq!(find(&host.env().sys, 259 << 20 | 1), None, "{bad:?}");
        }
    }

    #[test]
    fn a_device_is_chosen_by_its_own_name_or_its_disk_s() {
        let place = Place { name: "vda1".into(), disk: "vda".into(), parent: Some(254 << 20) };
        let among =
            |names: &[&str]| place.is_among(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert!(among(&[]) && among(&["vda"]) && among(&["sda", "vda1"]));
        assert!(!among(&["vda2"]) && !among(&["sda"]));
        assert_eq!(Place::unknown(259 << 20 | 7).name, "259:7");
    }
}
