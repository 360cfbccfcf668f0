//! File systems: by the system calls on them on every kernel, and by their own functions where the kernel lets us.

use super::super::FS;
use super::*;

/// The row of one kind of file system.
fn on<'r>(rows: &'r [SeenRow], pid: u32, fs_type: &str) -> Option<&'r SeenRow> {
    let about = |row: &&SeenRow| matches!(row.subject, Subject::Process(key) if key.tgid == pid);
    let rows = rows.iter().filter(|row| row.table == "proc_fs_calls").filter(about);
    rows.into_iter().find(|row| row.label("fs_type") == Some(fs_type))
}

/// What holds the folder for files that are only used for a while, as the mount table says.
fn temporary() -> String {
    let folder = std::env::temp_dir().canonicalize().expect("a folder");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    // The longest place that leads there; of two at the same place the later one.
    let above = fields.filter(|fields| folder.starts_with(fields[1]));
    above.max_by_key(|fields| fields[1].len()).expect("mounted")[2].to_owned()
}

#[test]
fn root_calls_are_counted_by_the_file_system_that_they_are_on() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[FS], only(&[pid]), |work, _| {
        worker.does("write 10");
        worker.does("read 20");
        worker.does("fsync 7");
        let rows = report(work);
        // Of /dev/null and /dev/zero.
        let devices = on(&rows, pid, "devtmpfs").or_else(|| on(&rows, pid, "tmpfs"));
        let devices = devices.unwrap_or_else(|| panic!("{rows:#?}"));
        assert_eq!((devices.get("write_calls"), devices.get("read_calls")), (Some(10.0), Some(20.0)));
        let files = on(&rows, pid, &temporary()).unwrap_or_else(|| panic!("{rows:#?}"));
        assert_eq!(files.get("fsync_calls"), Some(7.0));
        assert!(files.get("ns_fsync").is_some_and(|ns| ns > 0.0));
    });
}

#[test]
fn root_functions_of_file_systems_are_timed_or_what_they_need_is_named() {
    let mut worker = Worker::start();
    let pid = worker.pid();
    observing(&[FS], only(&[pid]), |work, outcome| {
        worker.does("fsync 3");
        let rows = report(work);
        let lacking = outcome.missing();
        let told = |field: &str| lacking.iter().any(|what| what.contains(field));
        let (table, column, named) = match &*temporary() {
            "tmpfs" => ("proc_tmpfs", "ns_tmpfs_flush", told("ns_tmpfs_flush") || told("ns_tmpfs_*")),
            "ext4" => ("proc_ext4", "ns_ext4_flush", told("ns_ext4_flush") || told("ns_ext4_*")),
            // Nothing of these tables is about any other.
            _ => return,
        };
        let seen = row(&rows, table, pid).and_then(|row| row.get(column));
        assert_eq!(seen.is_some(), !named, "{column}: {seen:?}, and told: {lacking:#?}");
    });
}
