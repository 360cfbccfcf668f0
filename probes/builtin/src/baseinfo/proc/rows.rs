//! The table `system_proc`, and one process's readings as its row: pure functions.

use super::smaps::Smaps;
use super::stat::{Io, Stat};
use probe_core::{Label, ProcKey, table};
use std::time::Duration;

table! {
    /// One process.
    pub(crate) struct SystemProc = "system_proc", entity "proc", sub_probe "proc" {
        keys { tgid }
        labels { pgid, ppid }
        gauge fd_count: Count = "Open descriptors, /proc/PID/fd.";
        gauge fd_free_per: Percent = "Descriptors that can still be opened of the soft limit, /proc/PID/limits.";
        counter rchar_bytes: Bytes = "Bytes through read-like system calls, /proc/PID/io.";
        counter wchar_bytes: Bytes = "Bytes through write-like system calls, /proc/PID/io.";
        counter syscr_count: Count = "Read-like system calls, /proc/PID/io.";
        counter syscw_count: Count = "Write-like system calls, /proc/PID/io.";
        counter read_bytes: Bytes = "Bytes fetched from storage, /proc/PID/io.";
        counter write_bytes: Bytes = "Bytes charged as written to storage, /proc/PID/io.";
        counter cancelled_write_bytes: Bytes = "Bytes whose write was cancelled before it reached storage, /proc/PID/io.";
        gauge shared_clean_size: Kibibytes = "Clean pages shared with others, /proc/PID/smaps_rollup.";
        gauge shared_dirty_size: Kibibytes = "Dirty pages shared with others, /proc/PID/smaps_rollup.";
        gauge private_clean_size: Kibibytes = "Clean pages of its own, /proc/PID/smaps_rollup.";
        gauge private_dirty_size: Kibibytes = "Dirty pages of its own, /proc/PID/smaps_rollup.";
        gauge referenced_size: Kibibytes = "Pages marked as referenced, /proc/PID/smaps_rollup.";
        gauge lazyfree_size: Kibibytes = "Pages that it gave up with MADV_FREE, /proc/PID/smaps_rollup.";
        gauge swap_data_size: Kibibytes = "Swapped-out data, /proc/PID/smaps_rollup.";
        gauge swap_data_pss_size: Kibibytes = "Its proportional share of swapped-out data, /proc/PID/smaps_rollup.";
        counter minor_pagefault_count: Count = "Page faults that needed no storage, /proc/PID/stat.";
        counter major_pagefault_count: Count = "Page faults that waited for storage, /proc/PID/stat.";
        counter utime_jiffies: Ticks = "CPU time in user mode, /proc/PID/stat.";
        counter stime_jiffies: Ticks = "CPU time in the kernel, /proc/PID/stat.";
        counter cutime_jiffies: Ticks = "CPU time in user mode of children that were waited for, /proc/PID/stat.";
        counter cstime_jiffies: Ticks = "CPU time in the kernel of children that were waited for, /proc/PID/stat.";
        gauge priority: None = "The scheduler's priority, negative for real-time processes, /proc/PID/stat.";
        gauge nice: None = "Nice value, -20 to 19, /proc/PID/stat.";
        gauge num_threads: Count = "Threads, /proc/PID/stat.";
        gauge vm_size: Bytes = "Virtual memory, /proc/PID/stat.";
        gauge pm_size: Bytes = "Resident memory, /proc/PID/stat.";
        gauge pm_util: Percent = "Resident memory of the host's memory, /proc/PID/stat and sysinfo(2).";
        gauge cpu: None = "Number of the CPU that it last ran on, /proc/PID/stat.";
        gauge cpu_util: Percent = "CPU time since the reading before, of one CPU, /proc/PID/stat.";
        gauge cpu_user_util: Percent = "CPU time in user mode without guests since the reading before, of one CPU, /proc/PID/stat.";
        gauge cpu_system_util: Percent = "CPU time in the kernel since the reading before, of one CPU, /proc/PID/stat.";
    }
}

/// What does not change from process to process.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostFacts {
    /// Clock ticks of `stat` in a second.
    pub(super) ticks_per_second: u64,
    pub(super) page_bytes: u64,
    pub(super) memory_bytes: u64,
}

/// CPU time of a process at one reading, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTime {
    user: u64,
    system: u64,
    guest: u64,
}

impl From<&Stat> for CpuTime {
    fn from(stat: &Stat) -> Self {
        Self { user: stat.user, system: stat.system, guest: stat.guest }
    }
}

/// Everything that was read of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) key: ProcKey,
    pub(super) stat: Stat,
    pub(super) io: Io,
    pub(super) descriptors: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) smaps: Smaps,
    /// The reading before, and how long ago it was.
    pub(super) before: Option<(CpuTime, Duration)>,
}

/// Total, user without guests and system, in percent of one CPU. `None` if no time has passed or the
/// kernel's times went back.
fn shares(before: CpuTime, now: &Stat, elapsed: Duration, ticks_per_second: u64) -> Option<[f64; 3]> {
    let user = now.user.checked_sub(before.user)?;
    let system = now.system.checked_sub(before.system)?;
    // The kernel scales user time but not guest time, which can therefore be the larger by a tick.
    let own = user.saturating_sub(now.guest.checked_sub(before.guest)?);
    let all = elapsed.as_secs_f64() * float(ticks_per_second);
    (all > 0.0).then(|| [user.saturating_add(system), own, system].map(|ticks| float(ticks) * 100.0 / all))
}

#[allow(clippy::cast_precision_loss)] // sizes and counts below 2^53
fn float(value: u64) -> f64 {
    value as f64
}

#[allow(clippy::cast_precision_loss)] // priorities
fn signed_float(value: i64) -> f64 {
    value as f64
}

fn label(number: u32) -> Label {
    Label::new(itoa::Buffer::new().format(number))
}

/// The row of `reading`.
pub(super) fn row(reading: &Reading, host: &HostFacts) -> SystemProc {
    let Reading { key, stat, io, descriptors, limit, smaps, before } = reading;
    let shares = before.and_then(|(cpu, elapsed)| shares(cpu, stat, elapsed, host.ticks_per_second));
    let resident = float(stat.resident_pages) * float(host.page_bytes);
    // A limit that was lowered below what is open leaves no room, not less than none.
    let room = |(open, limit): (u64, u64)| float(limit.saturating_sub(open)) * 100.0 / float(limit);
    SystemProc {
        tgid: label(key.tgid),
        pgid: label(stat.pgid),
        ppid: label(stat.ppid),
        fd_count: descriptors.map(float),
        fd_free_per: descriptors.zip(limit.filter(|limit| *limit > 0)).map(room),
        rchar_bytes: io.rchar,
        wchar_bytes: io.wchar,
        syscr_count: io.syscr,
        syscw_count: io.syscw,
        read_bytes: io.read_bytes,
        write_bytes: io.write_bytes,
        cancelled_write_bytes: io.cancelled_write_bytes,
        shared_clean_size: smaps.shared_clean.map(float),
        shared_dirty_size: smaps.shared_dirty.map(float),
        private_clean_size: smaps.private_clean.map(float),
        private_dirty_size: smaps.private_dirty.map(float),
        referenced_size: smaps.referenced.map(float),
        lazyfree_size: smaps.lazyfree.map(float),
        swap_data_size: smaps.swap.map(float),
        swap_data_pss_size: smaps.swap_pss.map(float),
        minor_pagefault_count: Some(stat.minor_faults),
        major_pagefault_count: Some(stat.major_faults),
        utime_jiffies: Some(stat.user),
        stime_jiffies: Some(stat.system),
        cutime_jiffies: Some(stat.children_user),
        cstime_jiffies: Some(stat.children_system),
        priority: Some(signed_float(stat.priority)),
        nice: Some(signed_float(stat.nice)),
        num_threads: Some(float(stat.threads)),
        vm_size: Some(float(stat.virtual_bytes)),
        pm_size: Some(resident),
        pm_util: (host.memory_bytes > 0).then(|| resident * 100.0 / float(host.memory_bytes)),
        cpu: Some(float(stat.cpu)),
        cpu_util: shares.map(|[all, ..]| all),
        cpu_user_util: shares.map(|[_, user, _]| user),
        cpu_system_util: shares.map(|[.., system]| system),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::Row;

    const HOST: HostFacts = HostFacts { ticks_per_second: 250, page_bytes: 4096, memory_bytes: 4096 * 1000 };

    fn reading(stat: Stat, before: Option<(CpuTime, Duration)>) -> Reading {
        Reading {
            key: ProcKey { tgid: 7, start_ticks: 1 },
            stat,
            io: Io::default(),
            descriptors: Some(10),
            limit: Some(40),
            smaps: Smaps::default(),
            before,
        }
    }

    #[test]
    fn the_table_has_every_field_of_the_catalogue() {
        assert_eq!(SystemProc::TABLE.columns.len(), 33);
    }

    #[test]
    fn shares_are_over_the_time_that_passed_and_a_guests_time_is_not_the_users() {
        let stat = Stat { user: 600, system: 150, guest: 200, resident_pages: 25, ..Stat::default() };
        let before = CpuTime { user: 100, system: 50, guest: 0 };
        let row = row(&reading(stat, Some((before, Duration::from_secs(4)))), &HOST);
        assert_eq!(
            (row.cpu_util, row.cpu_user_util, row.cpu_system_util),
            (Some(60.0), Some(30.0), Some(10.0))
        );
        assert_eq!((row.pm_size, row.pm_util), (Some(102_400.0), Some(2.5)));
        assert_eq!(row.fd_free_per, Some(75.0));
    }

    #[test]
    fn no_share_without_a_reading_before_or_with_times_that_went_back() {
        let stat = Stat { user: 6, ..Stat::default() };
        assert_eq!(row(&reading(stat, None), &HOST).cpu_util, None);
        let later = CpuTime { user: 7, system: 0, guest: 0 };
        assert_eq!(row(&reading(stat, Some((later, Duration::from_secs(1)))), &HOST).cpu_util, None);
        assert_eq!(row(&reading(stat, Some(((&stat).into(), Duration::ZERO))), &HOST).cpu_util, None);
    }

    #[test]
    fn a_limit_below_what_is_open_leaves_no_room_and_an_unknown_one_is_absent() {
        let mut reading = reading(Stat::default(), None);
        reading.limit = Some(5);
        assert_eq!(row(&reading, &HOST).fd_free_per, Some(0.0));
        for unknown in [None, Some(0)] {
            reading.limit = unknown;
            assert_eq!(row(&reading, &HOST).fd_free_per, None);
        }
    }
}
