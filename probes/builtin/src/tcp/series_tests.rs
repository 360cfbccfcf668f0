//! Series from growth to rows: what is shown, when they end, and that nothing goes back.

use super::*;
use probe_kit::testing::{SeenRow, seen};
use proptest::prelude::*;
use std::cell::Cell;
use std::time::SystemTime;

fn key(tgid: u32, client_port: u16) -> Key {
    Key { tgid, client_port, server_port: 80, family: 2, role: 1, ..Key::default() }
}

fn grown(rx_bytes: u64, opened: u32, closed: u32) -> bpf::tcp_sums {
    bpf::tcp_sums { rx_bytes, opened, closed, ..bpf::tcp_sums::default() }
}

fn groups() -> Groups {
    Groups { stats: true, abnormal: true, ..Groups::default() }
}

fn show(all: &mut AllSeries, scope: &Scope, runs: bool, now: Instant) -> Vec<SeenRow> {
    let mut batch = Batch::new(SystemTime::now());
    let showing = Showing { scope, groups: groups(), runs: &|_| runs, closes: true };
    all.show(&showing, now, &mut batch);
    seen(&batch)
}

fn bytes(rows: &[SeenRow]) -> Vec<Option<f64>> {
    rows.iter().map(|row| row.get("rx_bytes")).collect()
}

#[test]
fn a_series_without_a_connection_goes_on_with_the_next_one_and_ends_when_nothing_comes() {
    let (mut all, begun) = (AllSeries::default(), Instant::now());
    all.count(key(1, 0), &grown(10, 1, 1), begun);
    assert_eq!(bytes(&show(&mut all, &Scope::All, true, begun)), [Some(10.0)]);
    all.count(key(1, 0), &grown(5, 1, 1), begun + IDLE / 2);
    assert_eq!(bytes(&show(&mut all, &Scope::All, true, begun + IDLE)), [Some(15.0)]);
    assert_eq!(bytes(&show(&mut all, &Scope::All, true, begun + IDLE * 2)), [Some(15.0)], "the last report");
    assert!(show(&mut all, &Scope::All, true, begun + IDLE * 2).is_empty());
}

#[test]
fn a_connection_that_lives_and_is_silent_stays_as_long_as_its_process() {
    let (mut all, begun) = (AllSeries::default(), Instant::now());
    all.count(key(1, 0), &grown(10, 1, 0), begun);
    for _ in 0..3 {
        assert_eq!(show(&mut all, &Scope::All, true, begun + IDLE * 9).len(), 1);
    }
    assert_eq!(show(&mut all, &Scope::All, false, begun + IDLE * 9).len(), 1, "the last report");
    assert!(show(&mut all, &Scope::All, false, begun + IDLE * 9).is_empty());
}

#[test]
fn a_connection_with_its_port_in_the_key_ends_with_its_end() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    all.count(key(1, 4711), &grown(10, 1, 0), now);
    assert_eq!(show(&mut all, &Scope::All, true, now).len(), 1);
    all.count(key(1, 4711), &grown(7, 0, 1), now);
    assert_eq!(bytes(&show(&mut all, &Scope::All, true, now)), [Some(17.0)]);
    assert!(show(&mut all, &Scope::All, true, now).is_empty());
}

#[test]
fn what_comes_after_a_last_report_is_counted_as_left_out_and_makes_no_new_series() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    all.count(key(1, 0), &grown(3, 0, 1), now);
    let mut batch = Batch::new(SystemTime::now());
    let showing = Showing { scope: &Scope::All, groups: groups(), runs: &|_| true, closes: true };
    all.show(&showing, now, &mut batch);
    assert_eq!(batch.rows().len(), 0);
    assert_eq!(batch.skipped(), [("series_ended", 1)]);
}

#[test]
fn a_process_that_leaves_the_scope_has_no_row_and_comes_back_with_what_it_had() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    let nobody = Scope::Only(std::sync::Arc::default());
    all.count(key(1, 0), &grown(10, 1, 0), now);
    assert!(show(&mut all, &nobody, true, now).is_empty());
    all.count(key(1, 0), &grown(1, 0, 0), now);
    assert_eq!(bytes(&show(&mut all, &Scope::All, true, now)), [Some(11.0)]);
}

#[test]
fn a_process_that_ended_is_shown_once_more_if_it_was_in_scope_and_not_if_the_scope_left_it_out_before() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    let nobody = Scope::Only(std::sync::Arc::default());
    // It began, was counted and ended between two reports, and so did its place in the scope.
    all.count(key(1, 0), &grown(10, 1, 1), now);
    assert_eq!(bytes(&show(&mut all, &nobody, false, now)), [Some(10.0)]);
    assert!(show(&mut all, &nobody, false, now).is_empty());
    all.count(key(2, 0), &grown(10, 1, 0), now);
    assert!(show(&mut all, &nobody, true, now).is_empty(), "narrowed");
    all.count(key(3, 0), &grown(7, 1, 0), now);
    assert_eq!(bytes(&show(&mut all, &nobody, false, now)), [Some(7.0)]);
}

#[test]
fn columns_of_sub_probes_that_are_off_are_absent_not_zero() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    all.count(key(1, 0), &grown(10, 1, 0), now);
    let rows = show(&mut all, &Scope::All, true, now);
    let row = rows.first().expect("a row");
    assert_eq!((row.get("retran_packets"), row.get("zero_rcv_wnd_count")), (Some(0.0), None));
    assert_eq!(row.get("backlog_drops"), None, "this kernel does not tell");
    assert_eq!(row.label("client_port"), Some("0"), "no key is empty");
}

#[test]
fn there_is_a_limit_and_what_is_beyond_it_is_counted() {
    let (mut all, now) = (AllSeries::default(), Instant::now());
    for tgid in 0..u32::try_from(MAX_SERIES).expect("small") + 3 {
        all.count(key(tgid, 0), &grown(1, 1, 0), now);
    }
    assert_eq!((all.known.len(), all.over), (MAX_SERIES, 3));
}

proptest! {
    #[test]
    fn no_counter_goes_back_whatever_comes(steps in prop::collection::vec((0..4_u32, 0..1000_u64, 0..2_u32, 0..2_u32, any::<bool>()), 1..60)) {
        let (mut all, now) = (AllSeries::default(), Instant::now());
        let nobody = Scope::Only(std::sync::Arc::default());
        let last = Cell::new([0.0_f64; 4]);
        for (tgid, rx, opened, closed, scoped) in steps {
            all.count(key(tgid, 0), &grown(rx, opened, closed), now);
            let scope = if scoped { &Scope::All } else { &nobody };
            for row in show(&mut all, scope, true, now) {
                let tgid: usize = row.label("tgid").and_then(|text| text.parse().ok()).expect("a tgid");
                let value = row.get("rx_bytes").expect("a value");
                let mut seen = last.get();
                prop_assert!(value >= seen[tgid]);
                seen[tgid] = value;
                last.set(seen);
            }
        }
    }
}
