//! Devices that have no requests, only bios: device mapper where the kernel has it, else zram.

use crate::harness::Observer;
use crate::stage::{BLOCK, Direct, Loop, Stat, run};
use std::fs;

/// Such a device; gone when dropped.
pub(crate) struct Stacked {
    name: String,
    kind: Kind,
}

enum Kind {
    /// With the name of the map, and what lies below.
    Mapped(String, #[allow(dead_code)] Option<Loop>), // held, not read
    Compressed,
}

/// Whether there is device mapper.
fn mapped() -> bool {
    fs::exists("/dev/mapper/control").unwrap_or_default()
}

impl Stacked {
    /// Of 4 MiB.
    fn new(label: &str) -> Self {
        if mapped() {
            let below = Loop::new(4 << 20);
            let table = format!("0 8192 linear /dev/{} 0", below.name());
            return Self::map(label, &table, Some(below));
        }
        Self::compressed("4M")
    }

    /// One whose writes fail.
    fn failing(label: &str) -> Self {
        if mapped() {
            return Self::map(label, "0 8192 error", None);
        }
        let device = Self::compressed("4M");
        // Less than a block of what cannot be compressed.
        fs::write(format!("/sys/block/{}/mem_limit", device.name), "1").expect("a limit");
        device
    }

    fn map(label: &str, table: &str, below: Option<Loop>) -> Self {
        run("dmsetup", &["create", label, "--noudevsync", "--table", table]).expect("made");
        let number = run("dmsetup", &["info", "-c", "--noheadings", "-o", "minor", label]).expect("asked");
        eprintln!("VERDICT io/tested without requests: device mapper");
        Self { name: format!("dm-{number}"), kind: Kind::Mapped(label.into(), below) }
    }

    fn compressed(size: &str) -> Self {
        let number = fs::read_to_string("/sys/class/zram-control/hot_add").expect("device mapper or zram");
        let name = format!("zram{}", number.trim());
        fs::write(format!("/sys/block/{name}/disksize"), size).expect("a size");
        eprintln!("VERDICT io/tested without requests: zram");
        Self { name, kind: Kind::Compressed }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Stacked {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Mapped(label, _) => drop(run("dmsetup", &["remove", "--noudevsync", label])),
            Kind::Compressed => {
                let number = self.name.trim_start_matches("zram");
                drop(fs::write("/sys/class/zram-control/hot_remove", number));
            }
        }
    }
}

#[test]
fn root_a_device_without_requests_is_measured_by_its_bios_and_has_a_last_row_when_it_goes() {
    let device = Stacked::new("gopherd-io-bios");
    let name = device.name().to_owned();
    let mut observer = Observer::start();
    let before = Stat::of(&name);
    {
        let mut disk = Direct::open(&name);
        (0..100).for_each(|block| disk.write(BLOCK, block * BLOCK as u64).expect("written"));
        (0..30).for_each(|block| disk.read(4 * BLOCK, block * 4 * BLOCK as u64).expect("read"));
    }
    let rows = observer.read();
    let stat = Stat::of(&name).since(before);
    assert_eq!((stat.write_bytes, stat.read_bytes), (100 * 4096, 120 * 4096), "the stage is set");
    assert_eq!(rows.value("io_count", &name, "write_bytes"), 100.0 * 4096.0);
    assert_eq!(rows.value("io_count", &name, "read_bytes"), 120.0 * 4096.0);
    assert_eq!(rows.value("io_latency", &name, "count_latency_req"), 130.0);
    let row = rows.row("io_latency", &name);
    assert_eq!(
        (row.get("latency_device_sum"), row.get("latency_driver_max")),
        (None, None),
        "it has no stages"
    );
    assert_eq!(row.label("disk_name"), Some(&*name));

    // Gone between two readings: what it did until then is in its last row.
    Direct::open(&name).write(BLOCK, 0).expect("written");
    drop(device);
    let last = observer.read();
    assert_eq!(last.value("io_count", &name, "write_bytes"), 101.0 * 4096.0);
    assert!(observer.read().find("io_count", &name).is_none(), "and then it is gone");
    assert_eq!(observer.lost("request_map_full"), 0);
}

#[test]
fn root_a_bio_that_fails_is_counted_and_told_with_who_handed_it_over() {
    let device = Stacked::failing("gopherd-io-failing");
    let mut observer = Observer::start();
    let mut disk = Direct::open(device.name());
    disk.scramble();
    let failed = (0..50).filter(|block| disk.write(BLOCK, block * BLOCK as u64).is_err()).take(10).count();
    assert_eq!(failed, 10, "the stage is set");
    // The first wakes the reader, the others come with the reading.
    let rows = observer.read();
    observer.told(10);
    assert_eq!(rows.value("io_err", device.name(), "err_count"), 10.0);
    assert!(rows.value("io_err", device.name(), "err_code") > 0.0);
    let own = std::process::id().to_string();
    for told in &observer.told {
        assert_eq!(told.labels[2], device.name());
        assert!(told.args.iter().any(|(name, value)| *name == "pid" && *value == own), "{told:?}");
        assert!(told.args.iter().any(|(name, value)| *name == "size" && value == "4096"), "{told:?}");
    }
}
