//! `fs`: what the container read from block devices and wrote to them, as its cgroup counts it.
//!
//! A request to a device mapper or RAID device is counted there and again at the devices below it: those on top are
//! left out. The inodes of the container's file system are asked for by `inodes`.

use super::source::{File, Files};
use super::tables::Fs;
use probe_kit::scan::{lines, number, pair, words};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Devices that are remembered; when there are more, all are looked at anew.
const MAX_DEVICES: usize = 4096;

/// Which block devices lie on top of others.
#[derive(Debug)]
pub(super) struct Devices {
    sys: PathBuf,
    stacked: HashMap<(u32, u32), bool>,
}

impl Devices {
    /// Those below `sys`, the host's /sys.
    pub(super) fn new(sys: &Path) -> Self {
        Self { sys: sys.to_owned(), stacked: HashMap::new() }
    }

    /// Whether the device has others below it.
    fn is_stacked(&mut self, device: (u32, u32)) -> bool {
        if self.stacked.len() >= MAX_DEVICES {
            self.stacked.clear();
        }
        let sys = &self.sys;
        *self.stacked.entry(device).or_insert_with(|| {
            let slaves = sys.join(format!("dev/block/{}:{}/slaves", device.0, device.1));
            std::fs::read_dir(slaves).is_ok_and(|mut entries| entries.next().is_some())
        })
    }

    /// Forgets what was seen: the number of a device that is gone may be another's.
    pub(super) fn forget(&mut self) {
        self.stacked.clear();
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.stacked.capacity() * size_of::<((u32, u32), bool)>()) as u64
    }
}

/// `8:0`.
fn device(word: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = pair(word, b':')?;
    let part = |word| number(word).and_then(|number| u32::try_from(number).ok());
    Some((part(major)?, part(minor)?))
}

/// Adds up; a number that does not fit is absent for good.
fn add(slot: &mut Option<u64>, value: Option<u64>) {
    *slot = slot.and_then(|sum| sum.checked_add(value?));
}

/// `io.stat`: a line for each device with `name=number` words. Devices that were never used have none, so an empty
/// file says 0.
fn stat(text: &[u8], is_stacked: &mut dyn FnMut((u32, u32)) -> bool, row: &mut Fs) {
    let zero = Some(0);
    row.fs_reads_bytes_total = zero;
    row.fs_writes_bytes_total = zero;
    row.fs_reads_total = zero;
    row.fs_writes_total = zero;
    for line in lines(text) {
        let mut parts = words(line);
        let Some(device) = parts.next().and_then(device) else { continue };
        if is_stacked(device) {
            continue;
        }
        for (name, value) in parts.filter_map(|part| pair(part, b'=')) {
            let slot = match name {
                b"rbytes" => &mut row.fs_reads_bytes_total,
                b"wbytes" => &mut row.fs_writes_bytes_total,
                b"rios" => &mut row.fs_reads_total,
                b"wios" => &mut row.fs_writes_total,
                _ => continue,
            };
            add(slot, number(value));
        }
    }
}

/// A file of `blkio`: lines `8:0 Read 4096`, and the sum of all at its end.
fn by_direction(text: &[u8], is_stacked: &mut dyn FnMut((u32, u32)) -> bool) -> (Option<u64>, Option<u64>) {
    let (mut read, mut written) = (Some(0), Some(0));
    for line in lines(text) {
        let mut parts = words(line);
        let Some(device) = parts.next().and_then(device) else { continue };
        let slot = match parts.next() {
            Some(b"Read") => &mut read,
            Some(b"Write") => &mut written,
            _ => continue,
        };
        if !is_stacked(device) {
            add(slot, parts.next().and_then(number));
        }
    }
    (read, written)
}

/// Reads the counts.
pub(super) fn read(files: &mut Files<'_>, devices: &mut Devices, buf: &mut Vec<u8>) -> Fs {
    let mut row = Fs::default();
    let mut is_stacked = |device| devices.is_stacked(device);
    if let Some(text) = files.read(File::IoStat, buf) {
        stat(text, &mut is_stacked, &mut row);
    }
    if let Some(text) = files.read(File::IoBytes, buf) {
        (row.fs_reads_bytes_total, row.fs_writes_bytes_total) = by_direction(text, &mut is_stacked);
    }
    if let Some(text) = files.read(File::IoCount, buf) {
        (row.fs_reads_total, row.fs_writes_total) = by_direction(text, &mut is_stacked);
    }
    if let Some(text) = files.read(File::IoTime, buf) {
        (row.fs_read_seconds_total, row.fs_write_seconds_total) = by_direction(text, &mut is_stacked);
    }
    row
}

/// What holds of any text: where every device is stacked nothing is counted.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    for stacked in [false, true] {
        let mut row = Fs::default();
        stat(bytes, &mut |_| stacked, &mut row);
        let directions = by_direction(bytes, &mut |_| stacked);
        assert!(!stacked || (row.fs_reads_bytes_total, directions) == (Some(0), (Some(0), Some(0))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;
    use proptest::prelude::*;

    #[test]
    fn a_device_on_top_of_others_is_not_counted_twice() {
        let host = FakeHost::new();
        host.write("sys/dev/block/253:0/slaves/sda/x", "").write("sys/dev/block/8:0/slaves/.x", "");
        std::fs::remove_file(host.path("sys/dev/block/8:0/slaves/.x")).expect("removed");
        let mut devices = Devices::new(&host.env().sys);
        let mut row = Fs::default();
        let text = b"253:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=9\n8:16\n7:0 rbytes=5\n";
        stat(text, &mut |device| devices.is_stacked(device), &mut row);
        assert_eq!((row.fs_reads_bytes_total, row.fs_writes_bytes_total), (Some(15), Some(20)));
        assert_eq!((row.fs_reads_total, row.fs_writes_total), (Some(1), Some(2)));
        let v1 =
            b"253:0 Read 10\n253:0 Write 1\n8:0 Read 10\n8:0 Write 1\n8:0 Sync 3\n8:0 Total 11\nTotal 22\n";
        assert_eq!(by_direction(v1, &mut |device| devices.is_stacked(device)), (Some(10), Some(1)));
    }

    #[test]
    fn what_was_never_used_is_zero_and_what_cannot_be_read_is_absent() {
        let mut row = Fs::default();
        stat(b"", &mut |_| false, &mut row);
        assert_eq!((row.fs_reads_bytes_total, row.fs_writes_total), (Some(0), Some(0)));
        stat(b"8:0 rbytes=x rios=1\n8:1 rbytes=5\n", &mut |_| false, &mut row);
        assert_eq!((row.fs_reads_bytes_total, row.fs_reads_total), (None, Some(1)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(bytes: Vec<u8>, text in "([0-9]{1,3}:[0-9]{1,11} |Read |rbytes=|[0-9]{1,21}|\n){0,30}") {
            for text in [&bytes[..], text.as_bytes()] {
                stat(text, &mut |_| false, &mut Fs::default());
                by_direction(text, &mut |_| false);
                super::super::cpu::flat(text, |_, _| {});
            }
        }
    }
}
