//! The probe against this kernel, as root: real processes that do a known number of things.
//!
//! The processes are this test binary again ([`worker`]), so that small machines without programs can run it too.

mod dns;
mod fs;
mod sched;
mod syscall;
mod trouble;
mod worker;

use super::probe::{Work, storages};
use probe_core::{Batch, Close, Order, Outcome, ProcKey, Scope, Subject};
use probe_kit::bpf::ScopeMaps;
use probe_kit::kernel::kernel;
use probe_kit::stat::Stat;
use probe_kit::testing::{SeenRow, order, seen};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use worker::Worker;

/// A process as scopes name it.
fn key(pid: u32) -> ProcKey {
    let text = std::fs::read(format!("/proc/{pid}/stat")).expect("a process");
    let word = Stat::parse(&text).expect("stat").words().nth(19).expect("field 22").to_vec();
    ProcKey { tgid: pid, start_ticks: probe_kit::scan::number(&word).expect("a number") }
}

fn only(pids: &[u32]) -> Scope {
    Scope::Only(Arc::new(pids.iter().map(|pid| key(*pid)).collect()))
}

/// Runs `body` with the probe at work.
fn observing<T>(
    sub_probes: &[&'static str],
    scope: Scope,
    body: impl FnOnce(&mut Work<'_>, &Outcome) -> T,
) -> T {
    let slot = ScopeMaps::new().expect("maps").slot("test").expect("a slot");
    let order = Order { scope, ..order(sub_probes) };
    let mut storages = storages();
    let (mut work, outcome) =
        Work::begin("/proc".into(), slot, kernel(), &mut storages, &order).expect("the probe begins");
    body(&mut work, &outcome)
}

/// What the probe reports now, at the end of a period.
fn report(work: &mut Work<'_>) -> Vec<SeenRow> {
    let mut batch = Batch::new(SystemTime::now());
    batch.close = Some(Close { length: Duration::from_secs(1) });
    work.read(&mut batch).expect("a reading");
    assert_eq!(batch.skipped(), [], "nothing is lost");
    seen(&batch)
}

/// The one row of `table` about process `pid`.
fn row<'r>(rows: &'r [SeenRow], table: &str, pid: u32) -> Option<&'r SeenRow> {
    let about = |row: &&SeenRow| matches!(row.subject, Subject::Process(key) if key.tgid == pid);
    let mut found = rows.iter().filter(|row| row.table == table).filter(about);
    let first = found.next();
    assert!(found.next().is_none(), "{table}: one row of {pid}");
    first
}

/// A value of it; 0 when it is absent, for differences of counters.
fn count(rows: &[SeenRow], table: &str, pid: u32, column: &str) -> f64 {
    row(rows, table, pid).and_then(|row| row.get(column)).unwrap_or(0.0)
}

#[test]
fn root_every_job_is_done_or_what_it_needs_is_named() {
    let names: Vec<_> = super::DESCRIPTOR.sub_probes.iter().map(|sub| sub.name).collect();
    observing(&names, Scope::All, |work, outcome| {
        for verdict in work.verdicts() {
            eprintln!("VERDICT proc/{verdict}");
            assert!(!verdict.ends_with("loaded"), "attached, or missing: {verdict}");
        }
        assert!(!outcome.none_runs(), "{outcome:?}");
        for sentence in outcome.missing() {
            eprintln!("VERDICT proc/without: {sentence}");
        }
    });
}
