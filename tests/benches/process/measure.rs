//! Readings of a process: CPU time to the nanosecond, memory as the kernel accounts it, run time of its BPF programs; and
//! medians of them.

use gopher_e2e::Daemon;
use gopher_e2e::bpf::{all, held};
use gopher_e2e::daemon::proc_file;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time of all threads of a process, those that have ended too.
pub(crate) fn cpu(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    clock_getcpuclockid(pid).and_then(ClockId::now).expect("the CPU clock of a running process").into()
}

/// CPU time of each thread that lives, summed by name.
pub(crate) fn threads(pid: u32) -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of a running process") {
        let read = |name| std::fs::read_to_string(task.as_ref().ok()?.path().join(name)).ok();
        // A thread may end between the list and the look.
        let (Some(name), Some(stat)) = (read("comm"), read("schedstat")) else { continue };
        let nanos = stat.split(' ').next().and_then(|text| text.parse().ok()).expect("a number in schedstat");
        *times.entry(name.trim_end().to_owned()).or_default() += Duration::from_nanos(nanos);
    }
    times
}

/// Memory of a process in MB (10^6 bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Everything that is mapped and present, shared pages in full.
    pub(crate) rss: f64,
    /// The same with shared pages divided among their users.
    pub(crate) pss: f64,
    /// What no file backs.
    pub(crate) anonymous: f64,
}

/// Reads it page by page, not from the kernel's counters, which lag on hosts with many CPUs.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = proc_file(pid, "smaps_rollup").expect("smaps_rollup of a running process");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field of smaps_rollup");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024.0 / 1e6
    };
    Memory { rss: field("Rss:"), pss: field("Pss:"), anonymous: field("Anonymous:") }
}

/// What the daemon's programs have run since they were loaded, of the time in which the kernel measured: nanoseconds
/// and runs, by program.
pub(crate) fn run_times(daemon: &Daemon<'_>) -> BTreeMap<u64, (f64, f64)> {
    let own = held("prog", daemon.pid());
    let programs = all("prog");
    let ours = programs.iter().filter_map(|program| {
        let of = |field: &str| program[field].as_f64().unwrap_or(0.0);
        Some((program["id"].as_u64()?, (of("run_time_ns"), of("run_cnt"))))
    });
    ours.filter(|(id, _)| own.contains(id)).collect()
}

/// Nanoseconds of all of them.
pub(crate) fn run_time(daemon: &Daemon<'_>) -> f64 {
    run_times(daemon).values().map(|(ns, _)| ns).sum()
}

/// Has the kernel measure while it lives.
#[derive(Debug)]
pub(crate) struct Measured;

impl Measured {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

    /// Begins.
    pub(crate) fn begin() -> Self {
        std::fs::write(Self::SWITCH, "1").expect("the kernel measures, as root");
        Self
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = std::fs::write(Self::SWITCH, "0");
    }
}

/// Several readings of one thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// The middle one.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// How many.
    pub(crate) runs: usize,
}

impl From<Vec<f64>> for Spread {
    fn from(mut readings: Vec<f64>) -> Self {
        readings.sort_by(f64::total_cmp);
        let runs = readings.len();
        let at = |index: usize| *readings.get(index).expect("at least one reading");
        let median = f64::midpoint(at(runs.saturating_sub(1) / 2), at(runs / 2));
        Self { median, min: at(0), max: at(runs - 1), runs }
    }
}
