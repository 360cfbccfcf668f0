//! `cpu`: CPU time and throttling. v1 counts nanoseconds in a file each, v2 microseconds in one.

use super::source::{File, Files};
use super::tables::Cpu;
use probe_kit::scan::{lines, number, words};

/// The keys of a flat file (`name number` lines) to `take`.
pub(super) fn flat(text: &[u8], mut take: impl FnMut(&[u8], u64)) {
    for line in lines(text) {
        let mut parts = words(line);
        if let (Some(name), Some(value)) = (parts.next(), parts.next().and_then(number)) {
            take(name, value);
        }
    }
}

/// A file that is one number.
pub(super) fn single(text: &[u8]) -> Option<u64> {
    number(text.trim_ascii())
}

/// Both forms of `cpu.stat`; a value that is known already stays.
fn stat(text: &[u8], row: &mut Cpu) {
    let ns = |us: u64| us.checked_mul(1000);
    flat(text, |name, value| {
        let (slot, value) = match name {
            b"usage_usec" => (&mut row.cpu_usage_seconds_total, ns(value)),
            b"user_usec" => (&mut row.cpu_user_seconds_total, ns(value)),
            b"system_usec" => (&mut row.cpu_system_seconds_total, ns(value)),
            b"throttled_usec" => (&mut row.cpu_cfs_throttled_seconds_total, ns(value)),
            b"throttled_time" => (&mut row.cpu_cfs_throttled_seconds_total, Some(value)),
            b"nr_periods" => (&mut row.cpu_cfs_periods_total, Some(value)),
            b"nr_throttled" => (&mut row.cpu_cfs_throttled_periods_total, Some(value)),
            _ => return,
        };
        *slot = slot.or(value);
    });
}

/// Reads them. Where v1 has the controllers, v2 tells CPU time as well, of the same tasks; v1's finer clock wins.
pub(super) fn read(files: &mut Files<'_>, buf: &mut Vec<u8>) -> Cpu {
    let mut row = Cpu {
        cpu_usage_seconds_total: files.read(File::AcctUsage, buf).and_then(single),
        cpu_user_seconds_total: files.read(File::AcctUser, buf).and_then(single),
        cpu_system_seconds_total: files.read(File::AcctSystem, buf).and_then(single),
        ..Cpu::default()
    };
    for file in [File::V1CpuStat, File::CpuStat] {
        let whole = row.cpu_usage_seconds_total.is_some() && row.cpu_cfs_periods_total.is_some();
        if let Some(text) = (!whole).then(|| files.read(file, buf)).flatten() {
            stat(text, &mut row);
        }
    }
    row
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    stat(bytes, &mut Cpu::default());
    single(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_tells_microseconds_and_v1_nanoseconds() {
        let mut row = Cpu::default();
        stat(b"usage_usec 1500000\nuser_usec 1\nsystem_usec x\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n", &mut row);
        assert_eq!(row.cpu_usage_seconds_total, Some(1_500_000_000));
        assert_eq!((row.cpu_user_seconds_total, row.cpu_system_seconds_total), (Some(1000), None));
        assert_eq!((row.cpu_cfs_periods_total, row.cpu_cfs_throttled_periods_total), (Some(4), Some(3)));
        assert_eq!(row.cpu_cfs_throttled_seconds_total, Some(2000));
        let mut row = Cpu { cpu_usage_seconds_total: Some(7), ..Cpu::default() };
        stat(b"throttled_time 42\nusage_usec 9\n", &mut row);
        assert_eq!((row.cpu_cfs_throttled_seconds_total, row.cpu_usage_seconds_total), (Some(42), Some(7)));
    }

    #[test]
    fn a_number_too_large_and_a_cut_line_are_absent() {
        let mut row = Cpu::default();
        stat(b"usage_usec 18446744073709551615\nnr_periods\nnr_throttled -1\n", &mut row);
        assert_eq!((row.cpu_usage_seconds_total, row.cpu_cfs_periods_total), (None, None));
        assert_eq!(single(b"12\n"), Some(12));
        assert_eq!(single(b"max\n"), None);
    }
}
