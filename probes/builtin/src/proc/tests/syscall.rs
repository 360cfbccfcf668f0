//! System calls: what a process did is what is counted, and for how long.

use super::super::{IO, IOCTL, NET, SYSCALL};
use super::*;

/// Bytes of a command and its line end: one read each.
fn told(what: &str) -> f64 {
    f64::from(u32::try_from(what.len() + 1).expect("short"))
}

#[test]
fn root_each_kind_of_call_is_counted_as_often_as_it_was_made() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[SYSCALL, IO, NET, IOCTL], only(&[pid]), |work, _| {
        // It waits in a read that began before anybody looked, so that one has no time.
        worker.does("yield 1");
        // One call of its own after each thing: the answer; and the reads of the next command.
        for (what, times, table, column) in [
            ("read", 1000, "proc_syscall_io", "read_calls"),
            ("write", 500, "proc_syscall_io", "write_calls"),
            ("fsync", 7, "proc_syscall_io", "fsync_calls"),
            ("fail", 30, "proc_syscall", "syscall_failed"),
            ("yield", 40, "proc_syscall_sched", "sched_yield_calls"),
            ("ioctl", 20, "proc_syscall_ioctl", "ioctl_calls"),
            ("message", 50, "proc_syscall_net", "sendmsg_calls"),
            ("message", 50, "proc_syscall_net", "recvmsg_calls"),
            ("process", 5, "proc_syscall_fork", "forks"),
            ("thread", 6, "proc_syscall_fork", "thread_starts"),
        ] {
            let before = report(work);
            let command = format!("{what} {times}");
            worker.does(&command);
            let after = report(work);
            let grown = count(&after, table, pid, column) - count(&before, table, pid, column);
            // The answer is one write; the command was read byte by byte.
            let own = match what {
                "read" => told(&command),
                "write" => 1.0,
                _ => 0.0,
            };
            assert_eq!(grown, f64::from(times) + own, "{what}: {column}");
            let all = count(&after, "proc_syscall", pid, "syscall_count");
            let all = all - count(&before, "proc_syscall", pid, "syscall_count");
            assert!(all >= f64::from(times) + told(&command) + 1.0, "{what}: {all} calls in all");
        }
    });
}

#[test]
fn root_the_longest_read_of_a_period_is_as_long_as_the_reader_says_and_gone_with_the_period() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[IO], only(&[pid]), |work, _| {
        worker.does("read 1");
        report(work);
        // The reader waits for this; it is no wait of the test for anything.
        std::thread::sleep(Duration::from_millis(50));
        let waited: f64 = worker.does("waited 1").parse().expect("a number");
        let rows = report(work);
        let longest = count(&rows, "proc_syscall_io", pid, "ns_read");
        assert!(longest <= waited && longest > waited / 2.0, "{longest} of {waited}");
        let total = count(&rows, "proc_syscall_io", pid, "read_ns_total");
        assert!(total >= longest, "{total} in all");
        let rows = report(work);
        let row = row(&rows, "proc_syscall_io", pid).expect("a row");
        assert_eq!(row.get("ns_read"), None, "none ended since");
        assert!(row.get("read_calls").is_some());
    });
}

#[test]
fn root_the_longest_ioctl_is_shown_with_its_descriptor_and_the_parts_of_its_number() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[IOCTL], only(&[pid]), |work, _| {
        worker.does("ioctl 3");
        let rows = report(work);
        let row = row(&rows, "proc_syscall_ioctl", pid).expect("a row");
        // FS_IOC_GETFLAGS is _IOR('f', 1, long).
        let labels = ["ioctl_dir", "ioctl_type", "ioctl_nr"].map(|label| row.label(label));
        assert_eq!(labels, [Some("2"), Some("102"), Some("1")]);
        assert_eq!(row.get("ioctl_size"), Some(8.0));
        assert!(row.label("ioctl_fd").and_then(|fd| fd.parse::<i32>().ok()).is_some_and(|fd| fd > 2));
        assert!(row.get("ns_ioctl").is_some_and(|ns| ns > 0.0));
    });
}

#[test]
fn root_a_sub_probe_that_is_off_counts_nothing_and_shows_no_table() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[SYSCALL, IO], only(&[pid]), |work, _| {
        worker.does("write 10");
        let first = count(&report(work), "proc_syscall_io", pid, "write_calls");
        work.switch(&[SYSCALL].into_iter().collect());
        worker.does("write 100");
        assert!(row(&report(work), "proc_syscall_io", pid).is_none());
        work.switch(&[SYSCALL, IO].into_iter().collect());
        worker.does("write 10");
        // Each answer is a write too.
        assert_eq!(count(&report(work), "proc_syscall_io", pid, "write_calls"), first + 11.0);
    });
}
