//! Devices that come, go, have partitions and change their names, without a kernel.

use super::*;
use probe_kit::testing::{SeenRow, seen};

const DISK: u32 = 254 << 20;
const PART: u32 = 254 << 20 | 1;

fn partition() -> Place {
    Place { name: "vda1".into(), disk: "vda".into(), parent: Some(DISK) }
}

/// What the kernel has counted: `requests` of 60 µs with 512 bytes each.
fn counts(requests: u32, period: u64) -> Vec<io_counts> {
    let mut cpu = io_counts::default();
    let stage = IO_REQUEST as usize;
    cpu.read_bytes = u64::from(requests) * 512;
    cpu.count[stage][2] = requests;
    cpu.sum[stage] = u64::from(requests) * 60_000;
    cpu.peaks[0].period = period;
    cpu.peaks[0].max[stage] = u64::from(requests) * 1000;
    cpu.peaks[0].last_at = 1;
    vec![cpu]
}

struct Bench {
    devices: Devices,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { devices: Devices::default(), now: Instant::now() }
    }

    fn read(
        &mut self,
        find: &dyn Fn(u32) -> Option<Place>,
        counts: &[(u32, Vec<io_counts>)],
    ) -> (Vec<SeenRow>, Vec<u32>) {
        self.only(&[], find, counts)
    }

    fn only(
        &mut self,
        only: &[String],
        find: &dyn Fn(u32) -> Option<Place>,
        counts: &[(u32, Vec<io_counts>)],
    ) -> (Vec<SeenRow>, Vec<u32>) {
        let once = |device: u32| (device == 259 << 20).then(|| "nvme0c0n1".to_owned());
        let names = Names { find, once: &once };
        self.devices.count(counts, Some(7), &names, self.now);
        let showing = Showing {
            groups: Groups { trace: true, count: true, ..Groups::default() },
            gives: Gives { buffers: true, accesses: true },
            numbering: Numbering::Newer,
            only,
        };
        let mut batch = Batch::new(std::time::SystemTime::now());
        let gone = self.devices.show(&showing, &names, self.now, &mut batch);
        (seen(&batch), gone)
    }
}

fn there(device: u32) -> Option<Place> {
    match device {
        DISK => Some(Place::disk("vda")),
        PART => Some(partition()),
        _ => None,
    }
}

fn value(rows: &[SeenRow], table: &str, device: &str, column: &str) -> Option<f64> {
    rows.iter().find(|row| row.table == table && row.label("blk_name") == Some(device))?.get(column)
}

#[test]
fn a_disk_has_its_own_and_its_partitions_numbers() {
    let mut bench = Bench::new();
    let (rows, _) = bench.read(&there, &[(PART, counts(10, 7)), (DISK, counts(3, 7))]);
    assert_eq!(value(&rows, "io_count", "vda1", "read_bytes"), Some(5120.0));
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), Some(13.0 * 512.0));
    assert_eq!(value(&rows, "io_latency", "vda", "count_latency_req"), Some(13.0));
    assert_eq!(value(&rows, "io_latency", "vda", "latency_req_max"), Some(10_000.0), "the partition's");
    let (rows, _) = bench.read(&there, &[(PART, counts(11, 6)), (DISK, counts(3, 6))]);
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), Some(14.0 * 512.0), "what has grown");
    assert_eq!(value(&rows, "io_latency", "vda", "latency_req_max"), None, "of another period");
}

#[test]
fn a_disk_of_which_only_a_partition_works_is_shown() {
    let (rows, _) = Bench::new().read(&there, &[(PART, counts(2, 7))]);
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), Some(1024.0));
}

#[test]
fn a_device_that_is_gone_has_a_last_row_and_is_forgotten() {
    let mut bench = Bench::new();
    bench.read(&there, &[(PART, counts(1, 7))]);
    let gone = |device| there(device).filter(|_| device == DISK);
    let (rows, forgotten) = bench.read(&gone, &[(PART, counts(4, 7))]);
    assert_eq!(value(&rows, "io_count", "vda1", "read_bytes"), Some(2048.0), "to its end");
    assert_eq!(forgotten, [PART]);
    let (rows, forgotten) = bench.read(&gone, &[]);
    assert_eq!(value(&rows, "io_count", "vda1", "read_bytes"), None);
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), Some(2048.0), "the disk keeps its part");
    assert!(forgotten.is_empty());
}

#[test]
fn another_device_with_the_same_number_begins_anew() {
    let mut bench = Bench::new();
    bench.read(&there, &[(DISK, counts(5, 7))]);
    let other = |_| Some(Place::disk("sdb"));
    let (rows, _) = bench.read(&other, &[(DISK, counts(6, 7))]);
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), Some(3072.0), "the last of the old one");
    let (rows, _) = bench.read(&other, &[(DISK, counts(8, 7))]);
    assert_eq!(value(&rows, "io_count", "sdb", "read_bytes"), Some(1024.0));
    assert_eq!(value(&rows, "io_count", "vda", "read_bytes"), None);
}

#[test]
fn a_device_that_the_host_does_not_name_has_the_kernel_s_name_until_it_is_idle() {
    let mut bench = Bench::new();
    let counted = [(259 << 20, counts(1, 7)), (253 << 20, counts(1, 7))];
    let (rows, _) = bench.read(&|_| None, &counted);
    assert_eq!(value(&rows, "io_count", "nvme0c0n1", "read_bytes"), Some(512.0));
    assert_eq!(value(&rows, "io_count", "253:0", "read_bytes"), Some(512.0), "of which nothing is known");
    bench.now += IDLE;
    let (_, mut forgotten) = bench.read(&|_| None, &counted);
    forgotten.sort_unstable();
    assert_eq!(forgotten, [253 << 20, 259 << 20]);
}

#[test]
fn only_chosen_devices_are_shown_and_a_disk_chooses_its_partitions() {
    let counted = [(PART, counts(1, 7)), (259 << 20, counts(1, 7))];
    let (rows, _) = Bench::new().only(&["vda".into()], &there, &counted);
    let mut names: Vec<_> = rows.iter().filter_map(|row| row.label("blk_name")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["vda", "vda1"]);
}

#[test]
fn page_cache_counts_are_of_the_device_and_of_its_disk_and_none_is_no_row() {
    let mut devices = Devices::default();
    let names = Names { find: &there, once: &|_| None };
    let pages = |loaded| io_pages { accessed: 1, buffers_dirtied: 2, loaded, dirtied: 4 };
    devices.cache(&[(PART, pages(3))], &names, Instant::now());
    devices.cache(&[(PART, pages(9))], &names, Instant::now());
    let mut batch = Batch::new(std::time::SystemTime::now());
    let showing = Showing {
        groups: Groups { trace: true, err: true, count: true, cache: true },
        gives: Gives { buffers: true, accesses: false },
        numbering: Numbering::Newer,
        only: &[],
    };
    devices.show(&showing, &names, Instant::now(), &mut batch);
    let rows = seen(&batch);
    assert_eq!(rows.len(), 2, "no request was seen, so there is no row but of the cache: {rows:#?}");
    for device in ["vda", "vda1"] {
        assert_eq!(value(&rows, "io_pagecache", device, "load_page_cache"), Some(9.0));
        assert_eq!(value(&rows, "io_pagecache", device, "access_pagecache"), None, "not given here");
    }
}
