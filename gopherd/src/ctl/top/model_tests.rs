//! Rates, orders and totals of made-up looks.

use super::*;
use gopher_api::{Cost, DaemonStatus, ScopeDocument};
use std::collections::BTreeMap;

pub(in crate::ctl) fn item(feature: &str, state: ProbeState, samples: u64, cpu_ns: u64) -> ProbeItem {
    ProbeItem {
        feature: feature.into(),
        summary: String::new(),
        generation: 1,
        state,
        scope: ScopeDocument::Processes,
        sub_probes: Vec::new(),
        params: Vec::new(),
        tables: Vec::new(),
        events: Vec::new(),
        targets: Targets::default(),
        series: samples / 2,
        samples,
        lost: BTreeMap::from([("queue".to_owned(), 1), ("probe/late_tick".to_owned(), 2)]),
        cost: Cost {
            cpu_ns: Some(cpu_ns),
            memory_bytes: Some(2048),
            bpf_ns_per_s: (feature == "tcp").then_some(1_500_000),
            map_bytes: (feature == "tcp").then_some(6 << 20),
            sub_probes: if feature == "tcp" { sub_probes() } else { Vec::new() },
            ..Cost::default()
        },
    }
}

/// One that runs, one whose programs were not measured yet, and one that is switched off.
fn sub_probes() -> Vec<SubProbeCost> {
    let of = |name: &str, cpu, bpf, series| SubProbeCost {
        name: name.into(),
        cpu_ns_per_s: cpu,
        bpf_ns_per_s: bpf,
        series,
    };
    vec![
        of("tcp_stats", Some(2_000_000), Some(1_000_000), 100),
        of("tcp_rtt", Some(500_000), None, 50),
        of("tcp_delay", Some(0), None, 0),
    ]
}

/// `seconds` after an arbitrary moment.
pub(in crate::ctl) fn sample(seconds: u64, items: Vec<ProbeItem>, started: &str) -> Sample {
    static ORIGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let daemon = DaemonStatus {
        version: "1.2.3".into(),
        started: started.into(),
        cpu_ns: Some(seconds * 20_000_000),
        memory_bytes: Some(22_334_000),
        series: 1234,
        lost: BTreeMap::from([("sink/queue_full".to_owned(), 4)]),
    };
    Sample {
        at: *ORIGIN + Duration::from_secs(seconds),
        clock: humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap() + Duration::from_secs(seconds),
        list: ProbeList { items, daemon, problems: Vec::new() },
    }
}

const BOOT: &str = "2026-01-01T00:00:00Z";
const BY_NAME: Order = Order { by: SortBy::Feature, reverse: false, all: false, sub_probes: false };

fn two() -> (Sample, Sample) {
    let before = sample(
        10,
        vec![
            item("tcp", ProbeState::Running, 100, 1_000_000_000),
            item("io", ProbeState::Failed, 50, 5),
            item("l7", ProbeState::Stopped, 0, 0),
        ],
        BOOT,
    );
    let now = sample(
        12,
        vec![
            item("tcp", ProbeState::Running, 300, 1_500_000_000),
            item("io", ProbeState::Failed, 10, 5),
            item("l7", ProbeState::Stopped, 0, 0),
        ],
        BOOT,
    );
    (before, now)
}

#[test]
fn rates_are_of_the_time_between_two_looks_and_unknown_before_and_after_a_restart() {
    let (before, now) = two();
    let rates = |rows: Vec<Row<'_>>| {
        rows.into_iter().map(|row| (row.feature.to_owned(), row.samples_per_s, row.cpu)).collect::<Vec<_>>()
    };
    assert_eq!(
        rates(rows(Some(&before), &now, BY_NAME)),
        [("io".into(), None, Some(0.0)), ("tcp".into(), Some(100.0), Some(0.25))]
    );
    assert_eq!(rates(rows(None, &now, BY_NAME)), [("io".into(), None, None), ("tcp".into(), None, None)]);
    assert_eq!(rows(None, &now, Order { all: true, ..BY_NAME }).len(), 3);
}

#[test]
fn rows_come_in_the_order_that_was_asked_for() {
    let (before, now) = two();
    let names = |by, reverse| {
        let rows = rows(Some(&before), &now, Order { by, reverse, all: true, ..BY_NAME });
        rows.into_iter().map(|row| row.feature).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(SortBy::Feature, false), "io l7 tcp");
    assert_eq!(names(SortBy::Feature, true), "tcp l7 io");
    assert_eq!(names(SortBy::State, false), "io tcp l7");
    assert_eq!(names(SortBy::Samples, false), "tcp l7 io");
    assert_eq!(names(SortBy::Series, false), "tcp io l7");
    assert_eq!(names(SortBy::Cpu, false), "tcp io l7");
    assert_eq!(names(SortBy::Bpf, false), "tcp io l7");
    assert_eq!(names(SortBy::Memory, false), "tcp io l7");
    assert_eq!(names(SortBy::Lost, false), "io l7 tcp");
}

#[test]
fn totals_add_up_what_features_and_daemon_lost() {
    let (before, now) = two();
    let totals = totals(Some(&before), &now);
    assert_eq!((totals.version, totals.age, totals.lost), ("1.2.3", Some(Duration::from_secs(12)), 13));
    assert_eq!(totals.cpu, Some(0.02));
    assert_eq!(totals.samples_per_s, Some(80.0));
    assert_eq!(totals.states, [(ProbeState::Running, 1), (ProbeState::Failed, 1), (ProbeState::Stopped, 1)]);
    let other = sample(12, Vec::new(), "2026-01-01T00:00:11Z");
    assert_eq!(super::totals(Some(&before), &other).cpu, None);
}

#[test]
fn columns_are_walked_through_in_both_directions_and_around_the_end() {
    assert_eq!(SortBy::Feature.neighbour(1), SortBy::State);
    assert_eq!(SortBy::Feature.neighbour(-1), SortBy::Lost);
    assert_eq!(SortBy::Lost.neighbour(1), SortBy::Feature);
}

#[test]
fn a_frame_fits_into_80_columns() {
    let (before, now) = two();
    let look = crate::ctl::Look { width: Some(80), ..crate::ctl::Look::default() };
    let order = Order { all: true, sub_probes: true, ..BY_NAME };
    let text = super::super::view::frame(&look, Some(&before), &now, order);
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
