//! `disk`: what every block device of `/proc/diskstats` did since the reading before, partitions and loop
//! devices included.
//!
//! Owns the table `system_iostat` and the difference of two readings. Time is taken where the file is read,
//! not from the tick: the readers of one tick run one after another, and a slow one before this must not
//! bend its rates.

use super::{Reader, unreadable};
use probe_core::{Batch, Env, Label, Row, Tick, table};
use probe_kit::kept::KeptFile;
use probe_kit::scan;
use std::collections::HashMap;
use std::time::{Duration, Instant};

table! {
    /// One block device since the reading before.
    pub(crate) struct SystemIostat = "system_iostat", entity "disk", sub_probe "disk" {
        keys { disk_name }
        labels { }
        gauge rspeed: CountPerSecond = "Reads completed, /proc/diskstats.";
        gauge rspeed_kB: KibibytesPerSecond = "Data read, /proc/diskstats (sectors of 512 bytes).";
        gauge r_await: Milliseconds = "Mean time from queueing to completion of the reads that completed; absent if none did, /proc/diskstats.";
        gauge rareq: Kibibytes = "Mean size of the reads that completed; absent if none did, /proc/diskstats.";
        gauge wspeed: CountPerSecond = "Writes completed, /proc/diskstats.";
        gauge wspeed_kB: KibibytesPerSecond = "Data written, /proc/diskstats (sectors of 512 bytes).";
        gauge w_await: Milliseconds = "Mean time from queueing to completion of the writes that completed; absent if none did, /proc/diskstats.";
        gauge wareq: Kibibytes = "Mean size of the writes that completed; absent if none did, /proc/diskstats.";
        gauge aqu: Count = "Mean number of requests in flight, /proc/diskstats.";
        gauge util: Percent = "Share of the time with requests in flight, /proc/diskstats.";
    }
}

/// More devices than this are left out and counted; their gauges alone would pass the series limit.
const MAX_DISKS: usize = 8192;

/// What the kernel has counted for one device.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    /// A device that was made anew under the same name is told apart by its number.
    device: (u64, u64),
    reads: u64,
    read_sectors: u64,
    read_ms: u64,
    writes: u64,
    written_sectors: u64,
    write_ms: u64,
    busy_ms: u64,
    weighted_ms: u64,
}

/// A line of the file: major, minor, name, then at least eleven numbers. Later kernels append fields.
fn parse(line: &[u8]) -> Option<(&[u8], Counts)> {
    let mut words = scan::words(line);
    let device = (scan::number(words.next()?)?, scan::number(words.next()?)?);
    let name = words.next()?;
    let mut next = || words.next().and_then(scan::number);
    let (reads, _merged, read_sectors, read_ms) = (next()?, next()?, next()?, next()?);
    let (writes, _merged, written_sectors, write_ms) = (next()?, next()?, next()?, next()?);
    let (_in_flight, busy_ms, weighted_ms) = (next()?, next()?, next()?);
    let counts = Counts {
        device,
        reads,
        read_sectors,
        read_ms,
        writes,
        written_sectors,
        write_ms,
        busy_ms,
        weighted_ms,
    };
    Some((name, counts))
}

/// The kernel prints the times as 32-bit numbers, which wrap after 49.7 days of waiting. A step of more
/// than half the range is no wrap but a counter that began anew.
fn wrapped_ms(before: u64, now: u64) -> Option<u64> {
    let step = u32::try_from(now).ok()?.wrapping_sub(u32::try_from(before).ok()?);
    (step <= u32::MAX / 2).then_some(u64::from(step))
}

/// The row of a device; `None` if its counters began anew between the readings or no time has passed.
#[allow(clippy::cast_precision_loss)] // differences of one period are far below 2^53
fn rates(name: &[u8], before: &Counts, now: &Counts, elapsed: Duration) -> Option<SystemIostat> {
    if before.device != now.device || elapsed.is_zero() {
        return None;
    }
    let seconds = elapsed.as_secs_f64();
    let reads = now.reads.checked_sub(before.reads)? as f64;
    let writes = now.writes.checked_sub(before.writes)? as f64;
    let read_kib = now.read_sectors.checked_sub(before.read_sectors)? as f64 / 2.0;
    let written_kib = now.written_sectors.checked_sub(before.written_sectors)? as f64 / 2.0;
    let read_ms = wrapped_ms(before.read_ms, now.read_ms)? as f64;
    let write_ms = wrapped_ms(before.write_ms, now.write_ms)? as f64;
    let busy_ms = wrapped_ms(before.busy_ms, now.busy_ms)? as f64;
    let weighted_ms = wrapped_ms(before.weighted_ms, now.weighted_ms)? as f64;
    let mean = |sum: f64, count: f64| (count > 0.0).then(|| sum / count);
    Some(SystemIostat {
        disk_name: scan::text(name),
        rspeed: Some(reads / seconds),
        rspeed_kB: Some(read_kib / seconds),
        r_await: mean(read_ms, reads),
        rareq: mean(read_kib, reads),
        wspeed: Some(writes / seconds),
        wspeed_kB: Some(written_kib / seconds),
        w_await: mean(write_ms, writes),
        wareq: mean(written_kib, writes),
        aqu: Some(weighted_ms / 1000.0 / seconds),
        // The kernel books busy time in whole clock ticks, so a busy disk can show a little over 100.
        util: Some((busy_ms / 10.0 / seconds).min(100.0)),
    })
}

/// The reader.
pub(crate) struct Disk {
    file: KeptFile,
    text: Vec<u8>,
    before: HashMap<Label, Counts>,
    read_at: Option<Instant>,
}

impl Disk {
    /// The reader for the list of readers.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self::new(env))
    }

    /// A reader of `env`'s `/proc/diskstats`.
    fn new(env: &Env) -> Self {
        let file = KeptFile::new(env.proc.join("diskstats"));
        Self { file, text: Vec::new(), before: HashMap::new(), read_at: None }
    }

    /// Reads at `now`. A device's first reading gives no row: there is nothing to compare it with.
    fn read_at(&mut self, now: Instant, out: &mut Batch) {
        let Ok(text) = self.file.read(&mut self.text) else {
            out.skip("disk_unreadable", 1);
            return;
        };
        let elapsed = self.read_at.replace(now).map(|before| now.saturating_duration_since(before));
        let mut counts = HashMap::with_capacity(self.before.len());
        for line in scan::lines(text) {
            let Some((name, now)) = parse(line) else {
                out.skip("disk_line", 1);
                continue;
            };
            if counts.len() >= MAX_DISKS {
                out.skip("disk_limit", 1);
                continue;
            }
            let name_label = scan::text(name);
            if let (Some(before), Some(elapsed)) = (self.before.get(&name_label), elapsed) {
                match rates(name, before, &now, elapsed) {
                    Some(row) => row.host(out),
                    None => out.skip("disk_reset", 1),
                }
            }
            counts.insert(name_label, now);
        }
        self.before = counts;
        out.complete::<SystemIostat>();
    }
}

impl Reader for Disk {
    fn missing(&mut self) -> Vec<String> {
        unreadable(&mut self.file, &mut self.text)
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        self.read_at(Instant::now(), out);
    }

    fn memory(&self) -> u64 {
        (self.text.capacity() + self.before.capacity() * size_of::<(Label, Counts)>()) as u64
    }
}

/// What holds of any text, each line of which follows the one before by a second: rates are rates.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let devices: Vec<_> = scan::lines(bytes).filter_map(parse).collect();
    for pair in devices.windows(2) {
        let Some(row) = rates(pair[0].0, &pair[0].1, &pair[1].1, Duration::from_secs(1)) else { continue };
        let numbers =
            [row.rspeed, row.wspeed, row.r_await, row.w_await, row.rareq, row.wareq, row.aqu, row.util];
        assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
        assert!(row.util <= Some(100.0));
    }
}

#[cfg(test)]
mod tests;
