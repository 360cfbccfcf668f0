//! Name lookups: those of a process through the C library, with names that are no good labels.

use super::super::DNS;
use super::worker::missing;
use super::*;

fn name<'r>(rows: &'r [SeenRow], pid: u32, domain: &str) -> Option<&'r SeenRow> {
    let about = |row: &&SeenRow| matches!(row.subject, Subject::Process(key) if key.tgid == pid);
    rows.iter().filter(about).find(|row| row.label("domain") == Some(domain))
}

#[test]
fn root_lookups_are_counted_by_name_with_those_that_found_nothing() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[DNS], only(&[pid]), |work, outcome| {
        assert_eq!(outcome.missing(), Vec::<String>::new());
        worker.does("find 5");
        worker.does("miss 3");
        let rows = report(work);
        let found = name(&rows, pid, "127.1").expect("a row");
        assert_eq!((found.get("count"), found.get("error_count")), (Some(5.0), Some(0.0)));
        assert_eq!(found.get("error_ratio"), Some(0.0));
        let (mean, longest) = (found.get("delay_avg"), found.get("max_delay"));
        assert!(mean > Some(0.0) && mean <= longest, "{mean:?} ms, at most {longest:?}");
        let failed = name(&rows, pid, &missing()).unwrap_or_else(|| panic!("{rows:#?}"));
        assert_eq!((failed.get("count"), failed.get("error_ratio")), (Some(3.0), Some(1.0)));
        assert_eq!(failed.get("delay_avg"), None, "of none that found something");
        let again = report(work);
        assert_eq!(
            name(&again, pid, "127.1").expect("a row").get("error_ratio"),
            None,
            "none in this period"
        );
        worker.end();
        report(work);
        assert!(name(&report(work), pid, "127.1").is_none(), "gone with its process");
    });
}

#[test]
fn root_a_process_that_comes_into_scope_is_followed_and_one_that_goes_is_not() {
    let (mut first, mut second) = (Worker::start(), Worker::start());
    observing(&[DNS], only(&[first.pid()]), |work, _| {
        second.does("find 2");
        assert!(name(&report(work), second.pid(), "127.1").is_none());
        work.observe(only(&[second.pid()])).expect("observed");
        first.does("find 2");
        second.does("find 3");
        let rows = report(work);
        assert!(name(&rows, first.pid(), "127.1").is_none());
        assert_eq!(name(&rows, second.pid(), "127.1").and_then(|row| row.get("count")), Some(3.0));
    });
}
