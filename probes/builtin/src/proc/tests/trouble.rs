//! What goes wrong or away: processes that end, pids of which nobody knows, names that are no text, changing scopes.

use super::super::{IO, SYSCALL};
use super::*;

/// The sum of a column over processes that ended within a period, by name.
fn ended(rows: &[SeenRow], comm: &str, column: &str) -> f64 {
    let of = |row: &&SeenRow| row.table == "proc_ended" && row.label("comm") == Some(comm);
    rows.iter().filter(of).filter_map(|row| row.get(column)).sum()
}

#[test]
fn root_processes_that_end_before_they_are_read_are_counted_by_name_and_take_no_room() {
    const PROCESSES: u32 = 500;
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[SYSCALL], Scope::All, |work, _| {
        let before = report(work);
        let memory = work.memory();
        worker.does(&format!("process {PROCESSES}"));
        let after = report(work);
        let grown = |of: &dyn Fn(&[SeenRow]) -> f64| of(&after) - of(&before);
        let forks = grown(&|rows| count(rows, "proc_syscall_fork", pid, "forks"));
        assert_eq!(forks, f64::from(PROCESSES));
        let processes = grown(&|rows| ended(rows, "true", "processes"));
        assert_eq!(processes, f64::from(PROCESSES));
        let calls = grown(&|rows| ended(rows, "true", "syscall_count"));
        assert!(calls >= 10.0 * f64::from(PROCESSES), "{calls} calls");
        assert!(work.memory() <= memory + 512 * 1024, "{} after {memory}", work.memory());
    });
}

#[test]
fn root_a_process_that_was_shown_is_shown_once_more_with_everything_it_did() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[SYSCALL, IO], only(&[pid]), |work, _| {
        worker.does("write 10");
        let before = count(&report(work), "proc_syscall_io", pid, "write_calls");
        worker.does("write 90");
        worker.end();
        let last = count(&report(work), "proc_syscall_io", pid, "write_calls");
        // The answer is a write, and the test harness says that the test is done.
        assert!(last >= before + 91.0, "{last} after {before}");
        assert!(row(&report(work), "proc_syscall_io", pid).is_none());
    });
}

#[test]
fn root_what_happens_out_of_scope_is_not_counted() {
    let (mut inside, mut outside) = (Worker::start(), Worker::start());
    observing(&[SYSCALL, IO], only(&[inside.pid()]), |work, _| {
        inside.does("write 10");
        outside.does("write 10");
        let rows = report(work);
        assert!(row(&rows, "proc_syscall", outside.pid()).is_none());
        let first = count(&rows, "proc_syscall_io", inside.pid(), "write_calls");
        work.observe(only(&[outside.pid()])).expect("observed");
        inside.does("write 10");
        outside.does("write 10");
        let rows = report(work);
        assert!(row(&rows, "proc_syscall", inside.pid()).is_none());
        assert_eq!(count(&rows, "proc_syscall_io", outside.pid(), "write_calls"), 11.0);
        work.observe(Scope::Except(Arc::new([key(outside.pid())].into()))).expect("observed");
        inside.does("write 10");
        let again = count(&report(work), "proc_syscall_io", inside.pid(), "write_calls");
        assert_eq!(again, first + 11.0, "it comes back with what it had");
    });
}
