//! Requests, bytes and times beside what was asked for and what the kernel has counted.

use crate::harness::{Observer, Rows};
use crate::stage::{BLOCK, Direct, Loop, Memory, Stat, run};
use probe_core::{ParamValue, params};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

const MIB: u64 = 1 << 20;

/// 100 writes of a block, 50 reads of four, and a flush.
fn work(device: &str) {
    let mut disk = Direct::open(device);
    for block in 0..100 {
        disk.write(BLOCK, block * BLOCK as u64).expect("written");
    }
    for block in 0..50 {
        disk.read(4 * BLOCK, block * 4 * BLOCK as u64).expect("read");
    }
    disk.flush();
}

/// `asked` is how many empty writes asked for a flush, one after the other: the kernel counts each of these among the
/// writes, and again what the driver gets of it among the flushes. The driver's requests are what the probe counts.
#[track_caller]
fn is_what_the_kernel_counted(rows: &Rows, device: &str, stat: Stat, asked: u64) {
    let requests = stat.reads + stat.writes - asked + stat.discards + stat.flushes;
    #[allow(clippy::cast_precision_loss)] // small numbers
    let [read, write, requests] = [stat.read_bytes, stat.write_bytes, requests].map(|v| v as f64);
    assert_eq!(rows.value("io_count", device, "read_bytes"), read, "{rows:#?}");
    assert_eq!(rows.value("io_count", device, "write_bytes"), write, "{rows:#?}");
    assert_eq!(rows.value("io_latency", device, "count_latency_req"), requests, "{rows:#?}");
}

#[test]
fn root_requests_and_bytes_are_those_of_the_workload_and_of_the_kernel() {
    let disk = Loop::new(4 * MIB);
    let before = Stat::of(disk.name());
    let mut observer = Observer::start();
    let begun = Instant::now();
    work(disk.name());
    let wall = begun.elapsed().as_nanos();
    let rows = observer.read();
    let stat = Stat::of(disk.name()).since(before);
    assert_eq!((stat.write_bytes, stat.read_bytes), (100 * 4096, 200 * 4096), "the stage is set");
    assert_eq!((stat.reads, stat.writes, stat.discards, stat.flushes), (50, 101, 0, 1), "{stat:?}");
    is_what_the_kernel_counted(&rows, disk.name(), stat, 1);

    let value = |column: &str| rows.value("io_latency", disk.name(), column);
    for stage in ["req", "driver", "device"] {
        let count = value(&format!("count_latency_{stage}"));
        assert_eq!(count, 151.0, "{stage}: {rows:#?}");
        #[allow(clippy::cast_precision_loss)] // a small number
        let samples = rows.samples(disk.name(), &format!("{stage}_latency_ns")) as f64;
        assert_eq!(samples, count, "{stage}");
        holds_its_longest_and_its_sum(&rows, disk.name(), stage);
        assert_eq!(value(&format!("{stage}_latency_ns")), value(&format!("latency_{stage}_sum")));
        let (max, last) = (value(&format!("latency_{stage}_max")), value(&format!("latency_{stage}_last")));
        assert!(max >= last && last > 0.0 && max * count >= value(&format!("latency_{stage}_sum")));
        assert!(value(&format!("latency_{stage}_jitter")) <= max);
    }
    let sums = value("latency_driver_sum") + value("latency_device_sum");
    assert_eq!(value("latency_req_sum"), sums, "the stages are all of it");
    #[allow(clippy::cast_precision_loss)] // nanoseconds of seconds
    let wall = wall as f64;
    assert!(value("latency_req_sum") <= wall, "one after the other they took no longer than the work");
    assert_eq!(observer.lost("request_map_full") + observer.lost("device_map_full"), 0);

    let quiet = observer.read();
    assert_eq!(
        quiet.row("io_latency", disk.name()).get("latency_req_max"),
        None,
        "a period without requests"
    );
    assert_eq!(quiet.value("io_latency", disk.name(), "count_latency_req"), value("count_latency_req"));
}

/// The last bucket with something in it is that of the longest, and the sum lies between the buckets' lower and upper bounds.
#[allow(clippy::cast_precision_loss)] // seconds, and small numbers
fn holds_its_longest_and_its_sum(rows: &Rows, device: &str, stage: &str) {
    let (bounds, counts) = rows.distribution(device, &format!("{stage}_latency_ns"));
    let value = |column: &str| rows.value("io_latency", device, &format!("latency_{stage}_{column}"));
    let (max, sum) = (value("max"), value("sum"));
    let last = counts.iter().rposition(|count| *count > 0);
    assert_eq!(last, Some(bounds.partition_point(|bound| (*bound as f64) < max)), "{max} of {counts:?}");
    let lower = |at: usize| at.checked_sub(1).map_or(0.0, |at| bounds[at] as f64);
    let upper = |at: usize| bounds.get(at).map_or(max, |bound| (*bound as f64).min(max));
    let all = |bound: &dyn Fn(usize) -> f64| -> f64 {
        counts.iter().enumerate().map(|(at, count)| bound(at) * *count as f64).sum()
    };
    assert!((all(&lower)..=all(&upper)).contains(&sum), "{sum} of {counts:?}");
}

#[test]
fn root_a_scheduler_holds_requests_back_and_merges_them_and_the_counts_stay_the_kernel_s() {
    let disk = Loop::new(16 * MIB);
    let scheduler = format!("/sys/block/{}/queue/scheduler", disk.name());
    let names = fs::read_to_string(&scheduler).expect("schedulers");
    // A kernel may have its schedulers as modules; then requests go straight to the driver.
    let chosen = ["mq-deadline", "bfq", "kyber"].into_iter().find(|name| names.contains(name));
    eprintln!("VERDICT io/tested scheduler: {}", chosen.unwrap_or("none"));
    if let Some(name) = chosen {
        fs::write(&scheduler, name).expect("chosen");
    }
    let before = Stat::of(disk.name());
    let mut observer = Observer::start();
    // Through the page cache: hundreds of blocks at a time, which are merged.
    let file = fs::OpenOptions::new().write(true).open(format!("/dev/{}", disk.name())).expect("open");
    file.write_all_at(&vec![1; 8 << 20], 0).expect("written");
    file.sync_all().expect("synced");
    work(disk.name());
    let rows = observer.read();
    let stat = Stat::of(disk.name()).since(before);
    assert_eq!((stat.write_bytes, stat.flushes), ((8 << 20) + 100 * 4096, 2), "the stage is set");
    is_what_the_kernel_counted(&rows, disk.name(), stat, 2);
    drop(observer);
    fs::write(&scheduler, "none").expect("as it was");
}

#[test]
fn root_a_partition_has_rows_of_its_own_and_its_disk_has_the_sum() {
    let memory = Memory::of("16m");
    let file = memory.hole(8 * MIB);
    let disk = Loop::over(memory, &file, &["-P"]);
    // Told to the kernel, which may know no partition tables.
    run("addpart", &[&format!("/dev/{}", disk.name()), "1", "2048", "14336"]).expect("a partition");
    let partition = format!("{}p1", disk.name());
    let mut observer = Observer::start();
    let before = Stat::of(disk.name());
    let before_part = Stat::of(&format!("{}/{partition}", disk.name()));
    // What the kernel reads for the table may come before or after the start.
    let first = observer.read();
    let base = |column| first.find("io_count", disk.name()).and_then(|row| row.get(column)).unwrap_or(0.0);
    work(&partition);
    Direct::open(disk.name()).write(BLOCK, 0).expect("written");
    let rows = observer.read();
    let part = Stat::of(&format!("{}/{partition}", disk.name())).since(before_part);
    assert_eq!((part.reads, part.write_bytes), (50, 100 * 4096), "the stage is set");
    assert_eq!(part.flushes, 0, "the flush itself is its disk's");
    // Each write but the one that asked for it has a block; before some kernel that one is the disk's too.
    is_what_the_kernel_counted(&rows, &partition, part, part.writes - part.write_bytes / BLOCK as u64);
    #[allow(clippy::cast_precision_loss)] // small numbers
    let whole = Stat::of(disk.name()).since(before).write_bytes as f64;
    assert_eq!(rows.value("io_count", disk.name(), "write_bytes") - base("write_bytes"), whole);
    assert_eq!(whole, 101.0 * 4096.0, "the stage is set");
    let row = rows.row("io_latency", &partition);
    assert_eq!(row.label("disk_name"), Some(disk.name()));
    let whole = rows.row("io_latency", disk.name());
    assert!(whole.get("count_latency_req") > row.get("count_latency_req"));
    assert!(whole.get("latency_req_max") >= row.get("latency_req_max"));

    // The disk is pulled: the partition is gone, and has a last row.
    disk.detach();
    observer
        .until("the end of the partition", |rows| rows.find("io_count", &partition).is_none().then_some(()));
}

#[test]
fn root_only_the_devices_that_were_asked_for_are_shown() {
    let (one, other) = (Loop::new(MIB), Loop::new(MIB));
    let names = ParamValue::Words(vec![one.name().to_owned()]);
    let mut observer = Observer::with(&crate::harness::ALL, &[(&params::DEV_NAME, names)]);
    work_a_little(one.name());
    work_a_little(other.name());
    let rows = observer.read();
    assert_eq!(rows.value("io_count", one.name(), "write_bytes"), 4096.0);
    assert!(rows.0.iter().all(|row| row.label("disk_name") == Some(one.name())), "{rows:#?}");
}

fn work_a_little(device: &str) {
    Direct::open(device).write(BLOCK, 0).expect("written");
}

/// Of every kind that the emulated machine has; whoever runs the tests on a machine of his own names disks that may be
/// overwritten.
#[test]
fn root_the_counts_of_spare_disks_of_other_kinds_are_the_kernel_s_too() {
    let disks = std::env::var("GOPHERD_SPARE_DISKS").unwrap_or_default();
    eprintln!("VERDICT io/tested spare disks: {}", if disks.is_empty() { "none" } else { &disks });
    for disk in disks.split_whitespace() {
        let mut observer = Observer::start();
        let before = Stat::of(disk);
        work(disk);
        let rows = observer.read();
        let stat = Stat::of(disk).since(before);
        assert_eq!((stat.write_bytes, stat.read_bytes), (100 * 4096, 200 * 4096), "{disk}: the stage is set");
        // One that writes through is not asked.
        is_what_the_kernel_counted(&rows, disk, stat, stat.flushes);
    }
}
