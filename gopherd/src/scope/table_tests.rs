//! The process table against fake /proc trees and this machine's own.

use super::*;
use crate::scope::fake::{Fake, FakeProc};

fn all(cmdline: bool) -> Want {
    Want { listing: Listing::All, cmdline, place: false }
}

/// A table that has scanned `proc` so often that no process is young.
fn settled(proc: &FakeProc, want: &Want) -> Table {
    let mut table = Table::new(&proc.root(), Registry::default());
    for _ in 0..=YOUNG {
        table.scan(want, Depth::Due).expect("scans");
    }
    table
}

/// Whether one full round of turns finds `pid` changed.
fn changed_within_a_round(table: &mut Table, want: &Want, pid: u32) -> bool {
    (0..TURNS).any(|_| table.scan(want, Depth::Due).expect("scans").changed.contains(&pid))
}

#[test]
fn processes_come_and_go() {
    let proc = FakeProc::new();
    let (a, b) = (Fake::new(10, "a"), Fake::new(11, "b"));
    proc.put(&a).put(&b);
    let mut table = Table::new(&proc.root(), Registry::default());
    let mut delta = table.scan(&all(false), Depth::Due).expect("scans");
    delta.changed.sort_unstable();
    assert_eq!(delta, Delta { changed: vec![10, 11], gone: vec![] });
    assert_eq!(table.scan(&all(false), Depth::Due).expect("scans"), Delta::default());
    proc.end(10);
    assert_eq!(
        table.scan(&all(false), Depth::Due).expect("scans"),
        Delta { changed: vec![], gone: vec![a.key()] }
    );
    assert!(table.get(10).is_none() && table.get(11).is_some());
}

#[test]
fn a_hostile_name_does_not_choose_parent_or_start_time() {
    let proc = FakeProc::new();
    let hostile = Fake { comm: "a) S 1 (b\n) R", ..Fake::new(10, "") };
    proc.put(&hostile);
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&all(false), Depth::Due).expect("scans");
    let facts = table.get(10).expect("known");
    assert_eq!((facts.key, facts.comm.as_str()), (hostile.key(), hostile.comm));
}

#[test]
fn a_process_that_vanishes_between_listing_and_reading_is_not_there() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "a")).put(&Fake::new(11, "b"));
    std::fs::remove_file(proc.root().join("10/stat")).expect("was there");
    std::fs::remove_file(proc.root().join("11/cmdline")).expect("was there");
    let mut table = Table::new(&proc.root(), Registry::default());
    let delta = table.scan(&all(true), Depth::Due).expect("scans");
    assert_eq!(delta, Delta::default());
    assert_eq!(table.missed(), 0);
}

#[test]
fn a_file_that_is_no_stat_line_is_counted_as_missed_and_a_known_process_stays() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "a"));
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&all(false), Depth::Due).expect("scans");
    proc.0.write("proc/10/stat", "rubbish").write("proc/11/stat", "");
    assert_eq!(table.scan(&all(false), Depth::Due).expect("scans"), Delta::default());
    assert_eq!(table.missed(), 2);
    assert!(table.get(10).is_some() && table.get(11).is_none());
}

#[test]
fn a_pid_that_is_used_again_is_another_process_even_under_the_same_name() {
    let proc = FakeProc::new();
    let first = Fake::new(10, "redis");
    let second = Fake { start: 9999, ..first.clone() };
    proc.put(&first);
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&all(false), Depth::Due).expect("scans");
    proc.end(10).put(&second);
    let delta = table.scan(&all(false), Depth::Due).expect("scans");
    assert_eq!(delta, Delta { changed: vec![10], gone: vec![first.key()] });
    assert_eq!(table.get(10).expect("known").key, second.key());
}

#[test]
fn a_settled_process_whose_directory_is_another_is_read_at_the_next_scan() {
    let proc = FakeProc::new();
    let first = Fake::new(10, "redis");
    proc.put(&first);
    let mut table = settled(&proc, &all(false));
    // The old directory stays for a while under another name, so that its inode cannot be used again.
    std::fs::rename(proc.root().join("10"), proc.root().join("old")).expect("was there");
    proc.put(&Fake { start: 9999, ..first.clone() });
    let delta = table.scan(&all(false), Depth::Due).expect("scans");
    assert_eq!(delta, Delta { changed: vec![10], gone: vec![first.key()] });
}

#[test]
fn a_young_process_is_seen_to_change_at_the_next_scan_and_a_settled_one_within_a_round() {
    let proc = FakeProc::new();
    let before = Fake::new(10, "sh");
    proc.put(&before);
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&all(false), Depth::Due).expect("scans");
    proc.put(&Fake { comm: "renamed", ..before.clone() });
    assert_eq!(table.scan(&all(false), Depth::Due).expect("scans").changed, [10]);

    let mut table = settled(&proc, &all(false));
    proc.put(&Fake { comm: "again", ..before.clone() });
    assert!(changed_within_a_round(&mut table, &all(false), 10));
    proc.put(&before);
    assert_eq!(table.scan(&all(false), Depth::Everything).expect("scans").changed, [10]);
}

#[test]
fn an_exec_under_the_same_name_brings_the_new_command_line_and_youth() {
    let proc = FakeProc::new();
    let before = Fake { cmdline: b"python\0a.py\0", ..Fake::new(10, "python") };
    proc.put(&before);
    let want = all(true);
    let mut table = settled(&proc, &want);
    let after = Fake { cmdline: b"python\0b.py\0", image: 6000, ..before.clone() };
    proc.put(&after);
    assert!(changed_within_a_round(&mut table, &want, 10));
    assert_eq!(table.get(10).and_then(|facts| facts.cmdline.as_deref()), Some("python b.py"));
    proc.put(&Fake { cmdline: b"a title of its own\0\0\0", ..after });
    assert_eq!(table.scan(&want, Depth::Due).expect("scans").changed, [10], "young again");
    assert_eq!(table.get(10).and_then(|facts| facts.cmdline.as_deref()), Some("a title of its own"));
}

#[test]
fn without_addresses_a_new_name_counts_as_an_exec() {
    let proc = FakeProc::new();
    let before = Fake { image: 0, cmdline: b"sh\0", ..Fake::new(10, "sh") };
    proc.put(&before);
    let want = all(true);
    let mut table = settled(&proc, &want);
    proc.put(&Fake { comm: "redis-server", cmdline: b"redis-server\0*:6379\0", ..before });
    assert!(changed_within_a_round(&mut table, &want, 10));
    assert_eq!(table.get(10).and_then(|facts| facts.cmdline.as_deref()), Some("redis-server *:6379"));
}

#[test]
fn command_lines_are_read_only_once_they_are_wanted() {
    let proc = FakeProc::new();
    proc.put(&Fake { cmdline: b"x\0", ..Fake::new(10, "x") });
    let mut table = settled(&proc, &all(false));
    assert_eq!(table.get(10).and_then(|facts| facts.cmdline.as_deref()), None);
    assert_eq!(table.scan(&all(true), Depth::Due).expect("scans").changed, [10]);
    assert_eq!(table.get(10).and_then(|facts| facts.cmdline.as_deref()), Some("x"));
}

/// The containers of a process, by number.
fn place(table: &Table, pid: u32) -> Option<Vec<u32>> {
    let place = table.get(pid).expect("known").place.as_ref()?;
    Some(place.iter().map(|id| id.short().parse().expect("a number")).collect())
}

#[test]
fn the_place_is_read_only_once_it_is_wanted_and_stays_the_same_memory_while_it_is_the_same() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "x")).move_to(10, &[1, 2]).put(&Fake::new(11, "no-cgroups"));
    let mut table = settled(&proc, &all(false));
    assert_eq!((place(&table, 10), table.registry.is_empty()), (None, true));
    let want = Want { place: true, ..all(false) };
    assert_eq!(table.scan(&want, Depth::Due).expect("scans").changed.len(), 2);
    assert_eq!((place(&table, 10), place(&table, 11)), (Some(vec![2, 1]), Some(vec![])));
    assert_eq!(table.registry.len(), 2, "known from the path alone");
    let before = table.get(10).expect("known").place.clone().expect("read");
    assert_eq!(table.scan(&want, Depth::Everything).expect("scans"), Delta::default());
    assert!(Arc::ptr_eq(&before, table.get(10).expect("known").place.as_ref().expect("read")));
    proc.move_to(10, &[]);
    assert_eq!(table.scan(&want, Depth::Everything).expect("scans").changed, [10]);
    assert_eq!(place(&table, 10), Some(vec![]));
}

#[test]
fn a_hostile_cgroup_file_names_no_container_and_costs_no_more_than_its_beginning() {
    let proc = FakeProc::new();
    let long = format!("1:name=systemd:/{}/docker/{}\n", "x".repeat(1 << 20), "a".repeat(64));
    for (pid, text) in [
        (10, b"\xff\xfe:\0:/docker/\"\n".to_vec()),
        (11, long.into_bytes()),
        (12, format!("0::/docker/{}\"", "a".repeat(64)).into_bytes()),
        (13, Vec::new()),
    ] {
        proc.put(&Fake::new(pid, "x")).0.write(&format!("proc/{pid}/cgroup"), text);
    }
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&Want { place: true, ..all(false) }, Depth::Due).expect("scans");
    assert!((10..=13).all(|pid| place(&table, pid) == Some(vec![])));
}

#[test]
fn a_named_process_is_looked_at_between_two_scans_and_a_thread_is_not() {
    let proc = FakeProc::new();
    let want = Want { place: true, ..all(false) };
    let mut table = settled(&proc, &want);
    proc.put(&Fake::new(10, "x")).move_to(10, &[1]).put(&Fake::new(11, "thread"));
    proc.0.write("proc/11/status", "Tgid:\t10\n");
    let mut delta = Delta::default();
    [10, 11, 12].iter().for_each(|pid| table.look(*pid, &want, &mut delta));
    assert_eq!(delta, Delta { changed: vec![10], gone: vec![] });
    assert_eq!(place(&table, 10), Some(vec![1]));
    let one = HashSet::from([crate::scope::fake::container_id(1)]);
    assert_eq!((table.inside(&one), table.inside(&HashSet::new())), (vec![10], vec![]));
    let pids = Want { listing: Listing::Pids([99].into()), ..want };
    table.look(12, &pids, &mut delta);
    assert_eq!(delta.changed, [10], "nobody wants others");
}

#[test]
fn only_the_wanted_pids_are_read_and_nothing_is_kept_when_nothing_is_wanted() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "a")).put(&Fake::new(11, "b"));
    let mut table = Table::new(&proc.root(), Registry::default());
    let want = Want { listing: Listing::Pids([10, 99].into()), cmdline: false, place: false };
    assert_eq!(table.scan(&want, Depth::Due).expect("scans").changed, [10]);
    assert_eq!(table.iter().count(), 1);
    table.scan(&Want::default(), Depth::Due).expect("scans");
    assert_eq!(table.iter().count(), 0);
}

#[test]
fn a_proc_that_cannot_be_listed_changes_nothing() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "a"));
    let mut table = Table::new(&proc.root(), Registry::default());
    table.scan(&all(false), Depth::Due).expect("scans");
    std::fs::rename(proc.root(), proc.0.path("elsewhere")).expect("moved");
    assert!(table.scan(&all(false), Depth::Due).is_err());
    assert!(table.get(10).is_some());
}

#[test]
fn five_thousand_processes_are_all_known() {
    let proc = FakeProc::new();
    for pid in 1..=5000 {
        proc.put(&Fake::new(pid, "many"));
    }
    let mut table = Table::new(&proc.root(), Registry::default());
    assert_eq!(table.scan(&all(true), Depth::Due).expect("scans").changed.len(), 5000);
    assert_eq!((table.iter().count(), table.missed()), (5000, 0));
}

#[test]
fn processes_beyond_the_limit_are_counted_and_taken_in_once_there_is_room() {
    let proc = FakeProc::new();
    let mut table = Table::new(&proc.root(), Registry::default());
    table.limit = 2;
    proc.put(&Fake::new(10, "a")).put(&Fake::new(11, "b")).put(&Fake::new(12, "c"));
    table.scan(&all(false), Depth::Due).expect("scans");
    assert_eq!((table.iter().count(), table.missed()), (2, 1));
    let one = table.iter().next().expect("two").key.tgid;
    proc.end(one);
    table.scan(&all(false), Depth::Due).expect("scans");
    table.scan(&all(false), Depth::Due).expect("scans");
    assert_eq!((table.iter().count(), table.missed()), (2, 0));
}

#[test]
fn the_real_proc_has_this_process_under_its_own_name() {
    let mut table = Table::new(Path::new("/proc"), Registry::default());
    table.scan(&all(true), Depth::Due).expect("scans");
    let facts = table.get(std::process::id()).expect("this process");
    let comm = std::fs::read_to_string("/proc/self/comm").expect("read");
    assert_eq!(facts.comm, comm.trim_end());
    assert!(facts.cmdline.as_ref().is_some_and(|cmdline| cmdline.contains("gopherd")));
    assert!(facts.image.iter().all(|at| *at != 0));
}
