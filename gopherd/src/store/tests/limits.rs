//! What happens beyond the limits (contract item 7).

use super::{Driver, FLOW_SERIES, Flow, Host as HostRow, flow, histogram};
use probe_core::{Baseline, Baseline::FirstReading, Baseline::Zero, Subject::Cgroup, Subject::Host};

fn send(driver: &mut Driver, baseline: Baseline, rows: &[(&str, u64)]) -> super::Ingested {
    driver.close(|batch| rows.iter().for_each(|(peer, count)| batch.push(Host, baseline, flow(peer, *count))))
}

#[test]
fn new_rows_beyond_the_limit_are_one_row_that_sums_up_counters_and_has_no_gauges() {
    let mut driver = Driver::limited(FLOW_SERIES);
    let tally = send(&mut driver, Zero, &[("a", 1), ("b", 10), ("c", 100)]);
    assert_eq!(tally.limited, 2 * FLOW_SERIES as u64);
    assert_eq!(
        (driver.bytes("a"), driver.bytes("b"), driver.bytes("overflow")),
        (Some(1.0), None, Some(110.0))
    );
    let shown = driver.shown();
    let overflow = shown.samples().find(|sample| sample.label("peer") == Some("overflow")).expect("shown");
    let labels: Vec<_> = overflow.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("tgid", "overflow"), ("peer", "overflow"), ("machine_id", "m")]);
    assert_eq!(shown.value("gala_gopher_flow_ratio", &[("peer", "overflow")]), None);
    let stats = &driver.store.stats().features[0];
    assert_eq!((stats.rows, stats.folded_rows, stats.limited_total), (2, 2, 2 * FLOW_SERIES as u64));
}

#[test]
fn the_overflow_row_never_goes_back_while_its_members_come_and_go() {
    let mut driver = Driver::limited(FLOW_SERIES);
    for (rows, total) in [
        (&[("a", 1), ("b", 10)][..], 10.0),
        (&[("a", 1), ("b", 15), ("c", 5)], 20.0),
        // b began anew, c stays.
        (&[("a", 1), ("b", 2), ("c", 5)], 22.0),
        // Nobody reports but a; after three periods b and c are forgotten.
        (&[("a", 1)], 22.0),
        (&[("a", 1)], 22.0),
        (&[("a", 1)], 22.0),
        (&[("a", 1), ("d", 3)], 25.0),
    ] {
        send(&mut driver, Zero, rows);
        assert_eq!(driver.bytes("overflow"), Some(total), "{rows:?}");
    }
    assert_eq!(driver.store.stats().features[0].folded_rows, 1);
}

#[test]
fn what_a_source_counted_before_we_looked_is_not_added() {
    let mut driver = Driver::limited(FLOW_SERIES);
    send(&mut driver, FirstReading, &[("a", 1), ("b", 1000)]);
    assert_eq!(driver.bytes("overflow"), Some(0.0));
    send(&mut driver, FirstReading, &[("a", 1), ("b", 1007)]);
    assert_eq!(driver.bytes("overflow"), Some(7.0));
}

#[test]
fn freed_space_is_used_by_whoever_is_reported_next() {
    let mut driver = Driver::limited(FLOW_SERIES);
    send(&mut driver, Zero, &[("a", 1), ("b", 10)]);
    driver.send(|batch| batch.complete::<Flow>());
    assert_eq!((driver.bytes("a"), driver.bytes("overflow")), (None, Some(10.0)));
    driver.store.set_limits(1000, 100);
    send(&mut driver, Zero, &[("b", 12)]);
    assert_eq!((driver.bytes("b"), driver.bytes("overflow")), (Some(12.0), Some(10.0)));
    assert_eq!(driver.store.stats().features[0].folded_rows, 0);
}

#[test]
fn histograms_are_summed_up_by_bucket_without_a_maximum() {
    // A row has seven series: each is one too many.
    let mut driver = Driver::limited(6);
    for (scale, total) in [(1, 16.0), (2, 32.0)] {
        driver.send(|batch| {
            for peer in ["a", "b"] {
                let rtt = histogram([scale, 2 * scale, 5 * scale], 0.5);
                batch.push(Host, Zero, Flow { rtt, bytes_total: None, packets: None, ..flow(peer, 0) });
            }
        });
        let shown = driver.shown();
        assert_eq!(shown.value("gala_gopher_flow_rtt_count", &[]), Some(total));
        assert_eq!(shown.value("gala_gopher_flow_rtt_sum", &[]), Some(1.0));
        assert_eq!(shown.value("gala_gopher_flow_rtt_max", &[]), None);
    }
}

#[test]
fn memory_for_members_is_bounded_too_and_what_cannot_be_remembered_is_counted() {
    let mut driver = Driver::limited(2 * FLOW_SERIES);
    let rows: Vec<_> = (0..20).map(|i| i.to_string()).collect();
    let rows: Vec<_> = rows.iter().map(|peer| (peer.as_str(), 1)).collect();
    send(&mut driver, Zero, &rows);
    let stats = &driver.store.stats().features[0];
    assert_eq!((stats.rows, stats.folded_rows), (3, 8));
    assert_eq!((driver.bytes("overflow"), stats.limited_total), (Some(8.0), 18 * FLOW_SERIES as u64));
    send(&mut driver, Zero, &rows);
    let stats = &driver.store.stats().features[0];
    assert_eq!(stats.limited_total, (18 + 10) * FLOW_SERIES as u64, "the forgotten ones are met again");
}

#[test]
fn a_table_without_keys_marks_its_overflow_row() {
    let mut driver = Driver::limited(2);
    driver.send(|batch| {
        batch.push(Host, Zero, HostRow { forks: Some(1), load: Some(1.0) });
        batch.push(Cgroup { id: 2 }, Zero, HostRow { forks: Some(5), load: Some(1.0) });
    });
    assert_eq!(driver.shown().value("gala_gopher_host_forks", &[("overflow", "true")]), Some(5.0));
}

#[test]
fn a_row_that_is_really_called_overflow_does_not_break_the_text() {
    let mut driver = Driver::limited(FLOW_SERIES);
    let named = || Flow { tgid: "overflow".into(), role: "".into(), ..flow("overflow", 1) };
    driver.send(|batch| batch.push(Host, Zero, named()));
    send(&mut driver, Zero, &[("b", 10)]);
    driver.store.set_limits(1000, 100);
    let tally = driver.send(|batch| batch.push(Host, Zero, named()));
    assert_eq!((driver.bytes("overflow"), tally.duplicates), (Some(10.0), 1));
}

#[test]
fn counts_of_the_overflow_row_are_right_in_the_per_period_view() {
    let mut driver = Driver::limited(FLOW_SERIES);
    driver.store.want_periods();
    let name = "gala_gopher_flow_bytes_total";
    for (rows, overflow) in [(&[("a", 1), ("b", 10)][..], 10.0), (&[("a", 1), ("b", 15), ("c", 5)], 10.0)] {
        send(&mut driver, Zero, rows);
        assert_eq!(driver.period_value(name, &[("peer", "overflow")]), Some(overflow));
    }
}
