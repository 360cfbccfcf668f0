//! Which mounts are file systems of their own, and how full they are: the rules and the rounding of `df -T`
//! and `df -T -i`, as pure functions.
//!
//! The rules: a pseudo file system by its type is none; of several mounts of one device one is kept (see
//! [`choose`]); a mount that another one hides is none; one without blocks is none.

use super::mountinfo::{Device, Mount};
use probe_core::{Label, table};
use probe_kit::scan;
use std::collections::HashMap;
use std::sync::Arc;

table! {
    /// One mounted file system.
    pub(crate) struct SystemDf = "system_df", entity "fs", sub_probe "fs" {
        keys { MountOn }
        labels { MountStatus, Fsname, Fstype, Inodes, Blocks }
        gauge IUsed: Count = "Inodes in use; absent if the file system does not count them, statvfs.";
        gauge IFree: Count = "Inodes free; absent if the file system does not count them, statvfs.";
        gauge IUsePer: Percent = "Inodes in use, rounded up to a whole percent, statvfs.";
        gauge Used: Kibibytes = "Blocks in use, statvfs.";
        gauge Free: Kibibytes = "Blocks that users other than root can still take, statvfs.";
        gauge UsePer: Percent = "Blocks in use of those in use and available to users, rounded up to a whole percent, statvfs.";
    }
}

/// What statvfs says of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Bytes of one block.
    pub(super) block_bytes: u64,
    pub(super) blocks: u64,
    pub(super) free: u64,
    pub(super) available: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
}

/// What was found at a mount's mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The mount that lies there now; another one than asked for if that is hidden.
    pub(super) mount_id: Option<u64>,
    /// The device of its files. Subvolumes of one btrfs have one each, unlike in the mount table.
    pub(super) device: Device,
    pub(super) usage: Usage,
}

/// Types that hold no data at all. Others without data have no blocks, which statvfs says.
const PSEUDO: &[&[u8]] = &[
    b"autofs",
    b"debugfs",
    b"devfs",
    b"devpts",
    b"fuse.portal",
    b"fusectl",
    b"ignore",
    b"kernfs",
    b"mqueue",
    b"proc",
    b"rpc_pipefs",
    b"subfs",
    b"sysfs",
];

/// Whether the mount's type says that it is no store of files.
pub(super) fn is_pseudo(mount: &Mount) -> bool {
    PSEUDO.contains(&mount.kind.as_slice())
}

/// Whether the files lie on another machine.
fn is_remote(mount: &Mount) -> bool {
    let elsewhere: &[&[u8]] =
        &[b"acfs", b"afs", b"auristorfs", b"coda", b"fhgfs", b"gpfs", b"ibrix", b"ocfs2", b"vxfs"];
    mount.source.contains(&b':')
        || mount.source.starts_with(b"//")
        || elsewhere.contains(&mount.kind.as_slice())
}

/// Whether someone other than this kernel has to answer for the mount, and may not.
pub(super) fn may_hang(mount: &Mount) -> bool {
    let servers: &[&[u8]] = &[b"9p", b"ceph", b"cifs", b"nfs", b"smb3", b"virtiofs"];
    is_remote(mount)
        || mount.kind.starts_with(b"fuse")
        || servers.iter().any(|kind| mount.kind.starts_with(kind))
}

/// Of several mounts of one device, in the order of the mount table, keeps one. A later mount takes the place
/// of the one before if
/// - only its source is a path (`/dev/sda1` rather than a mere name), or
/// - its mount point is nearer to `/` and it does not show a deeper part of the file system, or
/// - it is mounted on the same point from another source.
///
/// Remote mounts from different sources are all kept, for they were mounted on purpose.
pub(super) fn choose(seen: Vec<(Arc<Mount>, Facts)>) -> Vec<(Arc<Mount>, Facts)> {
    let mut kept: Vec<(Arc<Mount>, Facts)> = Vec::with_capacity(seen.len());
    let mut by_device: HashMap<Device, usize> = HashMap::new();
    for (mount, facts) in seen {
        let place = by_device.get(&facts.device).copied();
        match place.and_then(|at| kept.get_mut(at)) {
            Some(other) if !distinct_remotes(&other.0, &mount) => {
                if replaces(&other.0, &mount) {
                    *other = (mount, facts);
                }
            }
            _ => {
                by_device.insert(facts.device, kept.len());
                kept.push((mount, facts));
            }
        }
    }
    kept
}

fn distinct_remotes(a: &Mount, b: &Mount) -> bool {
    is_remote(a) && is_remote(b) && a.source != b.source
}

fn replaces(kept: &Mount, new: &Mount) -> bool {
    let is_path = |mount: &Mount| mount.source.contains(&b'/');
    let nearer = new.point.len() < kept.point.len();
    let deeper_part = new.root.len() > kept.root.len();
    (is_path(new) && !is_path(kept))
        || (nearer && !deeper_part)
        || (new.point == kept.point && new.source != kept.source)
}

/// The row of a chosen mount; `None` if it has no blocks.
pub(super) fn row(mount: &Mount, usage: &Usage) -> Option<SystemDf> {
    if usage.blocks == 0 {
        return None;
    }
    let used = known(usage.blocks).zip(known(usage.free)).map(|(all, free)| signed(all) - signed(free));
    // File systems whose reserve is in use say less than nothing, as a number below zero.
    let available = known(usage.available).map(|v| i128::from(v.cast_signed()));
    let inodes = known(usage.inodes).filter(|all| *all > 0);
    let inodes_free = inodes.and_then(|_| known(usage.inodes_free)).map(signed);
    let inodes_used = inodes.zip(inodes_free).map(|(all, free)| signed(all) - free);
    let kib = |blocks: i128| whole(ceil_div(blocks.saturating_mul(signed(usage.block_bytes)), 1024));
    Some(SystemDf {
        MountOn: scan::text(&mount.point),
        MountStatus: Label::new_static(if mount.read_only { "ro" } else { "rw" }),
        Fsname: scan::text(&mount.source),
        Fstype: scan::text(&mount.kind),
        Inodes: usage.inodes.to_string().into(),
        Blocks: ceil_div(signed(usage.blocks).saturating_mul(signed(usage.block_bytes)), 1024)
            .to_string()
            .into(),
        IUsed: inodes_used.map(whole),
        IFree: inodes_free.map(whole),
        IUsePer: inodes_used.zip(inodes_free).and_then(|(used, free)| percent(used, free)),
        Used: used.map(kib),
        Free: available.map(kib),
        UsePer: used.zip(available).and_then(|(used, available)| percent(used, available)),
    })
}

/// A file system that does not know a number says all ones.
fn known(value: u64) -> Option<u64> {
    (value != u64::MAX).then_some(value)
}

fn signed(value: u64) -> i128 {
    i128::from(value)
}

#[allow(clippy::cast_precision_loss)] // above 2^53 KiB, eight exbibytes, the last digit is lost
fn whole(value: i128) -> f64 {
    value as f64
}

/// Division rounded up; `by` is positive.
fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

/// `used` in percent of `used` and `free` together, rounded up.
fn percent(used: i128, free: i128) -> Option<f64> {
    let all = used.checked_add(free).filter(|all| *all > 0)?;
    Some(whole(ceil_div(used.checked_mul(100)?, all)))
}

#[cfg(test)]
mod tests {
    use super::super::mountinfo;
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    fn mounts(lines: &[&str]) -> Vec<Arc<Mount>> {
        lines.iter().map(|line| Arc::new(mountinfo::parse(line.as_bytes()).expect("a mount"))).collect()
    }

    fn chosen(lines: &[&str]) -> Vec<String> {
        let seen = mounts(lines)
            .into_iter()
            .map(|mount| {
                let facts = Facts { mount_id: None, device: mount.device, usage: Usage::default() };
                (mount, facts)
            })
            .collect();
        choose(seen).iter().map(|(mount, _)| String::from_utf8_lossy(&mount.point).into_owned()).collect()
    }

    #[test]
    fn of_bind_mounts_the_one_nearest_to_the_root_of_both_trees_is_kept() {
        let disk = "27 1 8:1 / / rw - ext4 /dev/sda1 rw";
        assert_eq!(chosen(&[disk, "50 27 8:1 /etc/x /x rw - ext4 /dev/sda1 rw"]), ["/"]);
        assert_eq!(
            chosen(&["27 1 8:1 / /long/way rw - ext4 /dev/sda1 rw", "28 1 8:1 / /s rw - ext4 /dev/sda1 rw"]),
            ["/s"]
        );
        assert_eq!(
            chosen(&["27 1 8:1 / /long/way rw - ext4 /dev/sda1 rw", "28 1 8:1 /a /s rw - ext4 /dev/sda1 rw"]),
            ["/long/way"]
        );
    }

    #[test]
    fn a_source_that_is_a_path_wins_and_the_last_of_one_mount_point() {
        assert_eq!(chosen(&["1 0 0:9 / /a rw - x name rw", "2 0 0:9 / /abc rw - x /dev/x rw"]), ["/abc"]);
        let last = mounts(&["1 0 0:9 / /a rw - x /dev/y rw", "2 0 0:9 / /a rw - x /dev/x rw"]);
        assert!(replaces(&last[0], &last[1]));
    }

    #[test]
    fn remote_mounts_from_different_places_are_all_kept_and_others_are_not() {
        let first = "1 0 0:9 / /a rw - nfs4 h:/one rw";
        assert_eq!(chosen(&[first, "2 0 0:9 / /b rw - nfs4 h:/two rw"]), ["/a", "/b"]);
        assert_eq!(chosen(&[first, "2 0 0:9 / /b rw - nfs4 h:/one rw"]), ["/a"]);
    }

    #[test]
    fn types_without_data_are_none_and_servers_may_hang() {
        let kinds = mounts(&[
            "1 0 0:9 / /proc rw - proc proc rw",
            "2 0 0:9 / /a rw - fuse.sshfs u@h:/ rw",
            "3 0 0:9 / /b rw - ext4 /dev/sda1 rw",
            "4 0 0:9 / /c rw - nfs4 h:/x rw",
            "5 0 0:9 / /d rw - 9p share rw",
        ]);
        assert_eq!(
            kinds.iter().map(|m| is_pseudo(m)).collect::<Vec<_>>(),
            [true, false, false, false, false]
        );
        assert_eq!(kinds.iter().map(|m| may_hang(m)).collect::<Vec<_>>(), [false, true, false, true, true]);
    }

    fn of(usage: Usage) -> Option<SystemDf> {
        row(&mounts(&["27 1 8:1 / /m ro - ext4 /dev/sda1 rw"])[0], &usage)
    }

    #[test]
    fn sizes_are_rounded_up_to_kib_and_shares_to_whole_percent_of_what_users_can_have() {
        let usage = Usage {
            block_bytes: 512,
            blocks: 1001,
            free: 500,
            available: 400,
            inodes: 300,
            inodes_free: 299,
        };
        let row = of(usage).expect("a row");
        assert_eq!(
            (row.Blocks.as_str(), row.Inodes.as_str(), row.MountStatus.as_str()),
            ("501", "300", "ro")
        );
        assert_eq!((row.Used, row.Free, row.UsePer), (Some(251.0), Some(200.0), Some(56.0)));
        assert_eq!((row.IUsed, row.IFree, row.IUsePer), (Some(1.0), Some(299.0), Some(1.0)));
    }

    #[test]
    fn what_a_file_system_does_not_know_is_absent_and_a_used_reserve_is_below_zero() {
        let usage = Usage {
            block_bytes: 4096,
            blocks: 100,
            free: 0,
            available: (-5i64).cast_unsigned(),
            ..Usage::default()
        };
        let row = of(usage).expect("a row");
        assert_eq!((row.IUsed, row.IFree, row.IUsePer), (None, None, None));
        assert_eq!((row.Free, row.UsePer), (Some(-20.0), Some(106.0)));
        assert_eq!(of(Usage { free: u64::MAX, ..usage }).expect("a row").Used, None);
        assert!(of(Usage::default()).is_none(), "no blocks, no row");
    }

    proptest! {
        #[test]
        fn no_numbers_make_it_panic_and_each_device_is_kept_once(
            n in any::<[u64; 6]>(), devices in proptest::collection::vec(0u32..4, 0..20)
        ) {
            let [block_bytes, blocks, free, available, inodes, inodes_free] = n;
            let _ = of(Usage { block_bytes, blocks, free, available, inodes, inodes_free });
            let lines: Vec<String> = (0..).zip(&devices)
                .map(|(i, d): (u32, _)| format!("{i} 0 8:{d} / /{} rw - ext4 /dev/sda{d} rw", "x".repeat((i % 5) as usize)))
                .collect();
            let kept = chosen(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let distinct: std::collections::HashSet<_> = devices.iter().collect();
            prop_assert!(kept.len() == distinct.len());
        }
    }
}
