//! Time off the CPU: between what the process itself measures and what the kernel counts of it.

use super::super::OFFCPU;
use super::*;
use std::time::Instant;

/// Nanoseconds that all threads of a process were runnable and waited, by the kernel's own account.
fn run_delay(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let of = |entry: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').nth(1)?.parse().ok()
    };
    threads.filter_map(of).sum()
}

#[test]
fn root_the_longest_time_off_the_cpu_is_that_of_the_sleep() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[OFFCPU], only(&[pid]), |work, _| {
        worker.does("yield 1");
        report(work);
        let begun = Instant::now();
        worker.does("sleep 3");
        let elapsed = begun.elapsed();
        let rows = report(work);
        let row = row(&rows, "proc_cpu", pid).expect("a row");
        let longest = row.get("offcpu_ns").expect("a spell");
        let all = row.get("offcpu_ns_total").expect("a total");
        #[allow(clippy::cast_precision_loss)] // seconds
        let elapsed = elapsed.as_nanos() as f64;
        assert!(longest >= 30e6 && longest <= elapsed, "{longest} ns of {elapsed}");
        assert!(all >= 90e6, "{all} ns in all");
        assert!(row.get("offcpu_count").is_some_and(|count| count >= 3.0));
        assert_eq!(row.get("iowait_ns"), None, "it read nothing");
    });
}

#[test]
fn root_time_in_the_run_queue_is_what_the_kernel_counts() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[OFFCPU], only(&[pid]), |work, outcome| {
        assert!(!outcome.missing().iter().any(|what| what.contains("runqueue_ns")), "{outcome:?}");
        // What was waited for the CPU that a thread has now is counted when it leaves it: all have left theirs once.
        worker.does("sleep 2");
        let (before, first) = (run_delay(pid), report(work));
        worker.does("sleep 2");
        worker.does("process 20");
        let (after, rows) = (run_delay(pid), report(work));
        let total = |rows: &[SeenRow]| count(rows, "proc_cpu", pid, "runqueue_ns_total");
        let (ours, kernels) = (total(&rows) - total(&first), after - before);
        // At both ends the last wait of each thread may be in one of the two and not in the other: a thread that still
        // waited when the kernel was asked may have run when the probe was.
        let longest = [&first, &rows]
            .map(|rows| row(rows, "proc_cpu", pid).and_then(|row| row.get("runqueue_ns")).unwrap_or(0.0));
        let longest = longest[0].max(longest[1]);
        assert!((ours - kernels).abs() <= 4.0 * longest, "{ours} ns, {kernels} by the kernel");
    });
}
