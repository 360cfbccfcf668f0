//! What `io` costs: its programs for each request of a loop device, as the kernel measures them, and requests with and
//! without the probe, in turn, since only the difference means something on a shared machine.

use crate::Length;
use crate::measure::{Measured, cpu, run_time};
use crate::report::Report;
use gopher_e2e::disk::LoopDisk;
use gopher_e2e::{Daemon, Setup};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Reads of one measurement, by each of two threads.
const READS: u32 = 100_000;
const BLOCK: usize = 4096;

/// Adds the cost of a request and of a report.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let disk = LoopDisk::new(&setup.path("disk"), 16 << 20, 16 << 20);
    let daemon = setup.start();
    daemon.put("io", r#"{"params":{"report_period":5},"state":"running"}"#);
    read(&disk); // everything is there and warm
    let (mut cost, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..length.pick(5, 2) {
        cost.push(programs(&daemon, &disk));
        with.push(read(&disk));
        daemon.put("io", r#"{"state":"stopped"}"#);
        without.push(read(&disk));
        daemon.put("io", r#"{"state":"running"}"#);
    }
    report.limited("io: its programs, for each request of a loop device", "ns", 300.0, cost);
    report.shown("io: a direct read of 4 KiB from a loop device, observed", "µs", with);
    report.shown("io: the same, without the probe", "µs", without);
    let start = cpu(daemon.pid());
    let periods = length.pick(6, 2);
    sleep(Duration::from_secs(5) * periods);
    let each = (cpu(daemon.pid()) - start).as_secs_f64() * 1e3 / f64::from(periods);
    report.shown("io: CPU of the daemon for a report", "ms", vec![each]);
}

/// Nanoseconds that the programs take for a request, the kernel's reading of the clock included.
fn programs(daemon: &Daemon<'_>, disk: &LoopDisk) -> f64 {
    let _measured = Measured::begin();
    let (requests, before) = (disk.stat(), run_time(daemon));
    read(disk);
    let time = run_time(daemon) - before;
    #[allow(clippy::cast_precision_loss)] // some hundred thousand
    let requests = disk.stat().since(&requests).requests as f64;
    time / requests
}

/// Reads from two threads; microseconds of one read.
fn read(disk: &LoopDisk) -> f64 {
    let flags = OFlags::DIRECT.bits().try_into().expect("a flag");
    let open = || OpenOptions::new().read(true).custom_flags(flags).open(disk.path()).expect("the disk");
    let begun = Instant::now();
    scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| read_all(&open()));
        }
    });
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(READS)
}

fn read_all(file: &File) {
    let mut room = vec![0; 2 * BLOCK];
    let from = room.as_ptr().align_offset(BLOCK);
    for number in 0..READS {
        let at = u64::from(number % 1024) * BLOCK as u64;
        file.read_exact_at(&mut room[from..from + BLOCK], at).expect("read");
    }
}
