//! The per-period view: what it shows after each close (contract items 3 and 4).

use super::{Driver, Flow, flow, histogram};
use probe_core::{Baseline, Baseline::FirstReading, Baseline::Zero, Subject::Host};

const BYTES: &str = "gala_gopher_flow_bytes_total";

#[test]
fn counters_of_a_period_by_baseline_and_by_the_batch_that_saw_them_first() {
    // Readings in order; `true`: the batch ends a period. Then what each close shows.
    type Case = (Baseline, &'static [(bool, Option<u64>)], &'static [Option<f64>]);
    let cases: [Case; 7] = [
        // A first reading that is no close is the start of the first period.
        (FirstReading, &[(false, Some(100)), (true, Some(103)), (true, Some(110))], &[Some(3.0), Some(7.0)]),
        // One that is: nothing is known about the period that ends with it.
        (FirstReading, &[(true, Some(100)), (true, Some(103))], &[None, Some(3.0)]),
        (Zero, &[(true, Some(100)), (true, Some(103))], &[Some(100.0), Some(3.0)]),
        (Zero, &[(false, Some(40)), (true, Some(100))], &[Some(100.0)]),
        // The source began anew.
        (FirstReading, &[(false, Some(100)), (true, Some(4)), (true, Some(6))], &[Some(4.0), Some(2.0)]),
        // A reading failed once: the next period makes up for it.
        (FirstReading, &[(false, Some(1)), (true, None), (true, Some(9))], &[None, Some(8.0)]),
        (FirstReading, &[(false, None), (true, Some(5)), (true, Some(9))], &[None, Some(4.0)]),
    ];
    for (baseline, readings, expected) in cases {
        let mut driver = Driver::new();
        driver.store.want_periods();
        let mut shown = Vec::new();
        for (closing, bytes_total) in readings.iter().copied() {
            let row = Flow { bytes_total, ..flow("a", 0) };
            if closing {
                driver.close(|batch| batch.push(Host, baseline, row));
                shown.push(driver.period_value(BYTES, &[]));
            } else {
                driver.send(|batch| batch.push(Host, baseline, row));
                assert_eq!(driver.period_text(), "", "before the first period has ended");
            }
        }
        assert_eq!(shown, expected, "{baseline:?} {readings:?}");
    }
}

#[test]
fn the_text_is_the_originals() {
    let mut driver = Driver::new();
    driver.store.want_periods();
    driver.now_ms = 1_000;
    driver.send(|batch| {
        batch.push(Host, FirstReading, Flow { rtt: histogram([1, 1, 1], 70.0), ..flow("a", 5) });
    });
    driver.close(|batch| {
        batch.push(Host, FirstReading, Flow { rtt: histogram([3, 1, 2], 99.5), ..flow("a", 8) });
    });
    let labels = r#"{tgid="7",peer="a",role="client",machine_id="m""#;
    let expected = [
        format!("gala_gopher_flow_bytes_total{labels}}} 3 3000"),
        format!("gala_gopher_flow_packets{labels}}} 3 3000"),
        format!("gala_gopher_flow_ratio{labels}}} 0.5 3000"),
        format!("gala_gopher_flow_rtt{labels},le=\"10\"}} 2 3000"),
        format!("gala_gopher_flow_rtt{labels},le=\"100\"}} 2 3000"),
        format!("gala_gopher_flow_rtt{labels},le=\"+Inf\"}} 3 3000"),
        format!("gala_gopher_flow_rtt_sum{labels}}} 29.5 3000"),
        format!("gala_gopher_flow_rtt_max{labels}}} 99.5 3000"),
        String::new(),
        String::new(),
    ];
    assert_eq!(driver.period_text(), expected.join("\n"));
    let mut one = Vec::new();
    driver.store.write_period_of(super::FEATURE, &mut one);
    assert_eq!(String::from_utf8(one).expect("UTF-8"), driver.period_text());
    let mut none = Vec::new();
    driver.store.write_period_of("other", &mut none);
    assert!(none.is_empty());
}

#[test]
fn readings_during_a_period_do_not_show_before_it_ends() {
    let mut driver = Driver::new();
    driver.store.want_periods();
    driver.close(|batch| batch.push(Host, Zero, flow("a", 5)));
    let shown = driver.period_text();
    driver.send(|batch| batch.push(Host, Zero, Flow { ratio: Some(0.9), ..flow("a", 9) }));
    assert_eq!(driver.period_text(), shown);
    driver.close(|_| {});
    assert_eq!(driver.period_value(BYTES, &[]), Some(4.0));
}

#[test]
fn a_row_that_a_period_ended_without_is_not_shown_and_its_counts_come_with_the_next() {
    let mut driver = Driver::new();
    driver.store.want_periods();
    driver.close(|batch| batch.push(Host, Zero, flow("a", 5)));
    driver.close(|_| {});
    assert_eq!(driver.period_text(), "");
    driver.close(|batch| batch.push(Host, Zero, flow("a", 11)));
    assert_eq!(driver.period_value(BYTES, &[]), Some(6.0));
}

#[test]
fn who_asks_first_gets_an_empty_body_and_the_period_that_runs_when_it_ends() {
    let mut driver = Driver::new();
    driver.close(|batch| batch.push(Host, FirstReading, flow("a", 100)));
    assert_eq!(driver.period_text(), "");
    driver.close(|batch| {
        batch.push(Host, FirstReading, flow("a", 104));
        batch.push(Host, Zero, flow("young", 3));
    });
    assert_eq!(driver.period_value(BYTES, &[("peer", "a")]), Some(4.0));
    assert_eq!(driver.period_value(BYTES, &[("peer", "young")]), Some(3.0));
}

#[test]
fn the_last_report_of_a_subject_is_its_last_period() {
    let mut driver = Driver::new();
    driver.store.want_periods();
    driver.close(|batch| batch.push(Host, Zero, flow("a", 5)));
    driver.send(|batch| batch.push_last(Host, Zero, flow("a", 9)));
    driver.close(|batch| batch.push(Host, Zero, flow("b", 1)));
    assert_eq!(driver.period_value(BYTES, &[("peer", "a")]), Some(4.0));
    driver.close(|batch| batch.push(Host, Zero, flow("b", 3)));
    assert_eq!(driver.period_value(BYTES, &[("peer", "a")]), None);
    assert_eq!(driver.period_value(BYTES, &[("peer", "b")]), Some(2.0), "the row that took its place");
}
