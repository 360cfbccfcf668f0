//! The reader over made-up trees, over this process beside the kernel's own numbers, and over children that
//! die.

use super::*;
use probe_core::{ParamValue, Params, ProcSet};
use probe_kit::testing::{FakeHost, SeenRow, order, seen};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::SystemTime;

const MINUTE: Duration = Duration::from_secs(60);

fn stat_line(pid: u32, name: &str, start: u64, user: u64) -> String {
    format!(
        "{pid} ({name}) S 1 {pid} {pid} 0 -1 4194560 11 0 12 0 {user} 50 6 7 -2 -5 3 0 {start} 40960 5 \
         18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 2 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    )
}

fn add(host: &FakeHost, pid: u32, start: u64) {
    host.write(&format!("proc/{pid}/stat"), stat_line(pid, "x", start, 100))
        .write(&format!("proc/{pid}/io"), "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\n");
}

fn detail(host: &FakeHost, pid: u32) {
    host.write(&format!("proc/{pid}/limits"), "Max open files  8  16  files\n")
        .write(&format!("proc/{pid}/fd/0"), "")
        .write(&format!("proc/{pid}/fd/1"), "")
        .write(&format!("proc/{pid}/smaps_rollup"), "Private_Dirty: 9 kB\nSwapPss: 2 kB\n");
}

fn key(tgid: u32, start_ticks: u64) -> ProcKey {
    ProcKey { tgid, start_ticks }
}

fn only(keys: &[ProcKey]) -> Scope {
    Scope::Only(Arc::new(keys.iter().copied().collect::<ProcSet>()))
}

fn apply(proc: &mut Proc, scope: Scope) {
    proc.apply(&Order { scope, ..order(&["proc"]) });
}

fn reader(host: &FakeHost, scope: Scope) -> Proc {
    let mut proc = Proc::with(&host.env(), Budget::new(300, EACH));
    apply(&mut proc, scope);
    proc
}

type Seen = (Vec<SeenRow>, Vec<(&'static str, u64)>);

fn read_at(proc: &mut Proc, now: Instant) -> Seen {
    let mut batch = Batch::new(SystemTime::now());
    proc.read_at(now, &mut batch);
    assert_eq!(batch.completed().len(), 1, "ended processes disappear at once");
    (seen(&batch), batch.skipped().to_vec())
}

fn read(proc: &mut Proc) -> Seen {
    read_at(proc, Instant::now())
}

fn pids(rows: &[SeenRow]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.label("tgid")).collect()
}

#[test]
fn every_field_of_a_process_is_shown() {
    let host = FakeHost::new();
    add(&host, 7, 900);
    detail(&host, 7);
    let mut proc = reader(&host, only(&[key(7, 900)]));
    let start = Instant::now();
    read_at(&mut proc, start);
    host.write("proc/7/stat", stat_line(7, "a) b (", 900, 100 + 500 * proc.ticks_per_second));
    let (rows, skipped) = read_at(&mut proc, start + Duration::from_secs(1000));
    assert_eq!((rows.len(), skipped.len()), (1, 0));
    let row = &rows[0];
    assert_eq!(row.subject, Subject::Process(key(7, 900)));
    assert_eq!((row.label("tgid"), row.label("pgid"), row.label("ppid")), (Some("7"), Some("7"), Some("1")));
    for (column, value) in [
        ("fd_count", 2.0),
        ("fd_free_per", 75.0),
        ("rchar_bytes", 1.0),
        ("read_bytes", 5.0),
        ("private_dirty_size", 9.0),
        ("swap_data_pss_size", 2.0),
        ("minor_pagefault_count", 11.0),
        ("major_pagefault_count", 12.0),
        ("stime_jiffies", 50.0),
        ("cutime_jiffies", 6.0),
        ("cstime_jiffies", 7.0),
        ("priority", -2.0),
        ("nice", -5.0),
        ("num_threads", 3.0),
        ("vm_size", 40_960.0),
        ("cpu", 2.0),
    ] {
        assert_eq!(row.get(column), Some(value), "{column}");
    }
    #[allow(clippy::cast_precision_loss)]
    let resident = 5.0 * rustix::param::page_size() as f64;
    assert_eq!(row.get("pm_size"), Some(resident));
    // The clock also runs while the tick does, so 500 s of CPU in 1000 s are not a half to the last digit.
    assert!(row.get("cpu_util").is_some_and(|v| (49.9..=50.1).contains(&v)), "{row:?}");
    assert_eq!((row.get("cpu_system_util"), row.get("write_bytes")), (Some(0.0), None));
}

#[test]
fn without_a_scope_nothing_is_read_and_with_one_what_it_says() {
    let host = FakeHost::new();
    (1..=4).for_each(|pid| add(&host, pid, 100));
    host.write("proc/self-like/stat", "").write("proc/99999999999/stat", "");
    let mut proc = reader(&host, Scope::Unset);
    assert_eq!(read(&mut proc).0.len(), 0);
    apply(&mut proc, Scope::All);
    assert_eq!(read(&mut proc).0.len(), 4);
    apply(&mut proc, Scope::Except(Arc::new([key(2, 100), key(3, 999)].into_iter().collect())));
    let (rows, _) = read(&mut proc);
    assert_eq!(rows.len(), 3, "process 3 is not the one that was left out");
    assert!(!pids(&rows).contains(&"2"));
    apply(&mut proc, only(&[key(4, 100), key(1, 7), key(50, 1)]));
    let (rows, skipped) = read(&mut proc);
    assert_eq!((pids(&rows), skipped.len()), (vec!["4"], 0), "others in the set have ended: no loss");
    apply(&mut proc, Scope::Unset);
    assert_eq!(read(&mut proc).0.len(), 0);
    assert!(proc.known.is_empty(), "nothing is kept for processes that are not read");
}

#[test]
fn a_reused_pid_is_another_process_that_begins_without_the_others_past() {
    let host = FakeHost::new();
    for kept in [true, false] {
        add(&host, 7, 100);
        let mut proc = Proc::with(&host.env(), Budget::new(if kept { EACH } else { 0 }, EACH));
        apply(&mut proc, Scope::All);
        let start = Instant::now();
        read_at(&mut proc, start);
        assert!(read_at(&mut proc, start + MINUTE).0[0].get("cpu_util").is_some());
        add(&host, 7, 101);
        let (rows, _) = read_at(&mut proc, start + 2 * MINUTE);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].subject, Subject::Process(key(7, 101)));
        assert_eq!(rows[0].get("cpu_util"), None, "no share of two processes' times");
        apply(&mut proc, only(&[key(7, 100)]));
        assert_eq!(read(&mut proc).0.len(), 0, "the process that was chosen has ended");
    }
}

#[test]
fn only_what_began_after_the_reading_before_counts_from_zero() {
    let host = FakeHost::new();
    host.write("proc/stat", "");
    let mut proc = reader(&host, Scope::All);
    let soon = proc.boot_ticks() + 1_000_000;
    add(&host, 7, 1);
    add(&host, 8, soon);
    let baselines = |proc: &mut Proc| -> Vec<_> {
        let mut batch = Batch::new(SystemTime::now());
        proc.read_at(Instant::now(), &mut batch);
        let mut all: Vec<_> = batch.rows().map(|row| (row.subject, row.baseline)).collect();
        all.sort_by_key(|(subject, _)| *subject);
        all.into_iter().map(|(_, baseline)| baseline).collect()
    };
    assert_eq!(baselines(&mut proc), [Baseline::FirstReading; 2], "before the first reading is unknown");
    assert_eq!(baselines(&mut proc), [Baseline::FirstReading, Baseline::Zero]);
}

#[test]
fn five_thousand_processes_are_read_and_few_descriptors_kept() {
    let host = FakeHost::new();
    (1..=5000).for_each(|pid| add(&host, pid, 100));
    let mut proc = reader(&host, Scope::All);
    for _ in 0..2 {
        let (rows, skipped) = read(&mut proc);
        assert_eq!((rows.len(), skipped.len()), (5000, 0));
        assert!(
            rows.iter()
                .all(|row| row.get("utime_jiffies") == Some(100.0) && row.get("syscr_count") == Some(3.0))
        );
        let kept = proc.known.values().filter(|known| known.files.is_some()).count();
        assert_eq!(kept * EACH, 300);
    }
    assert!(proc.memory() >= 5000 * size_of::<Known>() as u64);
    (1..=2500).for_each(|pid| std::fs::remove_dir_all(host.path(&format!("proc/{pid}"))).expect("removed"));
    apply(&mut proc, Scope::Unset);
    read(&mut proc);
    apply(&mut proc, Scope::All);
    assert_eq!(read(&mut proc).0.len(), 2500);
    let kept = proc.known.values().filter(|known| known.files.is_some()).count();
    assert_eq!(kept * EACH, 300, "shares of processes that ended are given back");
}

#[test]
fn more_processes_than_the_limit_are_counted() {
    let host = FakeHost::new();
    host.write("proc/stat", "");
    let keys: Vec<_> = (1..=20_005).map(|pid| key(pid, 1)).collect();
    let mut proc = reader(&host, only(&keys));
    assert_eq!(read(&mut proc).1, [("process_limit", 5)]);
}

#[test]
fn damaged_text_is_counted_and_what_is_not_there_is_absent() {
    let host = FakeHost::new();
    host.write("proc/5/stat", "5 (x) S 1").write("proc/6/stat", stat_line(6, "x", 1, 1));
    host.write("proc/8/stat", vec![b'x'; TEXT]);
    let (rows, skipped) = read(&mut reader(&host, Scope::All));
    assert_eq!(pids(&rows), ["6"]);
    assert_eq!(
        (rows[0].get("rchar_bytes"), rows[0].get("fd_count"), rows[0].get("fd_free_per")),
        (None, None, None)
    );
    assert!(skipped.contains(&("process_stat", 1)) && skipped.contains(&("process_unreadable", 1)));
}

#[test]
fn page_detail_is_read_once_a_minute_and_goes_at_once_when_it_is_switched_off() {
    let host = FakeHost::new();
    add(&host, 7, 1);
    detail(&host, 7);
    let mut proc = reader(&host, Scope::All);
    let start = Instant::now();
    let dirty = |seen: Seen| seen.0[0].get("private_dirty_size");
    assert_eq!(dirty(read_at(&mut proc, start)), Some(9.0));
    host.write("proc/7/smaps_rollup", "Private_Dirty: 10 kB\n");
    assert_eq!(dirty(read_at(&mut proc, start + MINUTE / 2)), Some(9.0), "the last value stands");
    assert_eq!(dirty(read_at(&mut proc, start + MINUTE)), Some(10.0));
    let mut off = Params::default();
    off.set(&params::SMAPS, ParamValue::Int(0));
    proc.apply(&Order { scope: Scope::All, params: Arc::new(off), ..order(&["proc"]) });
    assert_eq!(dirty(read_at(&mut proc, start + 2 * MINUTE)), None);
}

#[test]
fn a_limit_is_read_at_growing_intervals_of_at_most_five_minutes() {
    let start = Instant::now();
    let (mut last, mut read) = (None, Vec::new());
    for second in (0..=1200).step_by(10) {
        let now = start + Duration::from_secs(second);
        if limit_is_due(start, last, now) {
            last = Some(now);
            read.push(second);
        }
    }
    assert_eq!(read, [0, 10, 20, 40, 80, 160, 320, 620, 920]);
}

#[test]
fn a_proc_that_is_not_there_is_a_missing_requirement() {
    let host = FakeHost::new();
    let mut proc = Proc::new(&host.env());
    assert_eq!(proc.missing().len(), 1);
    apply(&mut proc, Scope::All);
    let mut batch = Batch::new(SystemTime::now());
    proc.read_at(Instant::now(), &mut batch);
    assert_eq!((batch.skipped(), batch.completed().len()), (&[("proc_unreadable", 1)][..], 0));
    assert!(Proc::new(&Env::default()).missing().is_empty());
}

fn kernel_stat(pid: u32) -> Stat {
    stat::parse(&std::fs::read(format!("/proc/{pid}/stat")).expect("stat")).expect("a stat")
}

fn kernel_io(pid: u32) -> Io {
    Io::parse(&std::fs::read(format!("/proc/{pid}/io")).expect("io"))
}

#[test]
#[allow(clippy::cast_precision_loss)]
fn this_processs_row_lies_between_the_kernels_own_numbers() {
    let pid = std::process::id();
    let mut proc = Proc::new(&Env::default());
    apply(&mut proc, only(&[key(pid, kernel_stat(pid).start_ticks)]));
    read(&mut proc);
    for _ in 0..3 {
        let before = (kernel_stat(pid), kernel_io(pid));
        let (rows, skipped) = read(&mut proc);
        let after = (kernel_stat(pid), kernel_io(pid));
        assert_eq!((rows.len(), skipped.len()), (1, 0));
        let between = |column: &str, low: u64, high: u64| {
            let value = rows[0].get(column).unwrap_or(-1.0);
            assert!((low as f64..=high as f64).contains(&value), "{column}: {low} <= {value} <= {high}");
        };
        between("utime_jiffies", before.0.user, after.0.user);
        between("stime_jiffies", before.0.system, after.0.system);
        between("minor_pagefault_count", before.0.minor_faults, after.0.minor_faults);
        between("rchar_bytes", before.1.rchar.unwrap_or(0), after.1.rchar.unwrap_or(0));
        between("syscr_count", before.1.syscr.unwrap_or(0), after.1.syscr.unwrap_or(0));
        between("cancelled_write_bytes", 0, after.1.cancelled_write_bytes.unwrap_or(0));
        between("pm_util", 0, 100);
        between("fd_free_per", 1, 100);
        between("private_dirty_size", 1, 1 << 30);
        between("cpu_util", 0, 100 * 1024);
    }
}

#[allow(clippy::disallowed_methods)] // a process to look at, no measurement
fn child() -> (Child, ProcKey) {
    let child = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
    let key = key(child.id(), kernel_stat(child.id()).start_ticks);
    (child, key)
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("waited for");
}

#[test]
fn a_process_that_ended_between_two_readings_has_no_row_and_is_no_loss() {
    let (child, key) = child();
    for keep in [true, false] {
        let mut proc = Proc::with(&Env::default(), Budget::new(if keep { EACH } else { 0 }, EACH));
        apply(&mut proc, only(&[key]));
        let (rows, _) = read(&mut proc);
        assert_eq!((rows.len(), rows[0].get("num_threads")), (1, Some(1.0)));
        assert_eq!(proc.known[&key.tgid].files.is_some(), keep);
    }
    let mut proc = Proc::new(&Env::default());
    apply(&mut proc, only(&[key]));
    read(&mut proc);
    end(child);
    let (rows, skipped) = read(&mut proc);
    assert_eq!((rows.len(), skipped.len(), proc.known.len()), (0, 0, 0));
}

#[test]
fn a_process_that_dies_while_it_is_read_is_told_apart_from_one_that_refuses() {
    let (child, key) = child();
    let root = Root::open(std::path::Path::new("/proc")).expect("/proc");
    let (mut buf, mut known) = ([0; TEXT], Known::new(key, Instant::now()));
    let (mut files, stat) = find(&root, key.tgid, None, &mut buf).expect("it runs");
    let mut rest = |files: &mut Files| rest(&mut known, files, stat, Instant::now(), None, &mut buf);
    assert!(rest(&mut files).is_ok());
    end(child);
    assert_eq!(rest(&mut files).expect_err("it died after its stat was read"), Absent::Died);
    assert_eq!(find(&root, key.tgid, Some(files), &mut [0; TEXT]).map(|_| ()), Err(Absent::NotThere));
}

#[test]
fn kernel_threads_and_zombies_have_what_the_kernel_says_of_them() {
    let (mut child, key) = child();
    child.kill().expect("killed");
    // Until it is waited for it stays a zombie; wait for it to become one.
    while !std::fs::read_to_string(format!("/proc/{}/stat", key.tgid)).expect("stat").contains(") Z ") {
        std::thread::yield_now();
    }
    let mut chosen = vec![key];
    // In a pid namespace of its own a test sees no kernel threads.
    if std::fs::read("/proc/2/comm").is_ok_and(|name| name == b"kthreadd\n") {
        chosen.push(ProcKey { tgid: 2, start_ticks: kernel_stat(2).start_ticks });
    }
    let mut proc = Proc::new(&Env::default());
    apply(&mut proc, only(&chosen));
    let (rows, skipped) = read(&mut proc);
    assert_eq!((rows.len(), skipped.len()), (chosen.len(), 0));
    for row in &rows {
        assert_eq!((row.get("vm_size"), row.get("private_dirty_size")), (Some(0.0), None), "{row:?}");
    }
    assert!(pids(&rows).contains(&key.tgid.to_string().as_str()));
    child.wait().expect("waited for");
}
