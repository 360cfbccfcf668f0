//! When a row is seen and when it is gone (contract item 6).

use super::{Driver, FEATURE, Flow, Host as HostRow, flow};
use probe_core::{Baseline::Zero, Batch, Subject::Host};
use std::time::{Duration, Instant, SystemTime};

#[test]
fn a_value_is_seen_as_soon_as_it_was_collected_and_the_newest_is_kept() {
    let mut driver = Driver::new();
    for count in [3, 5] {
        let tally = driver.send(|batch| batch.push(Host, Zero, flow("a", count)));
        assert_eq!(
            (tally.samples, driver.bytes("a")),
            (3, Some(f64::from(u32::try_from(count).expect("small"))))
        );
    }
}

#[test]
fn a_row_that_misses_three_periods_in_a_row_is_gone() {
    let mut driver = Driver::new();
    driver.send(|batch| batch.push(Host, Zero, flow("a", 1)));
    // The period in which it was reported, then two without it, a report, and three without.
    for _ in 0..3 {
        driver.close(|_| {});
        assert!(driver.bytes("a").is_some());
    }
    driver.close(|batch| batch.push(Host, Zero, flow("a", 2)));
    for _ in 0..2 {
        driver.close(|_| {});
    }
    assert!(driver.bytes("a").is_some());
    driver.close(|_| {});
    assert_eq!(driver.bytes("a"), None);
    assert_eq!(driver.text(crate::expose::Format::Text), "");
}

#[test]
fn a_complete_table_loses_what_its_batch_lacks_at_once() {
    let mut driver = Driver::new();
    driver.send(|batch| {
        batch.push(Host, Zero, flow("a", 1));
        batch.push(Host, Zero, flow("b", 1));
        batch.push_last(Host, Zero, flow("ended", 1));
    });
    driver.send(|batch| {
        batch.push(Host, Zero, flow("b", 2));
        batch.complete::<Flow>();
    });
    assert_eq!((driver.bytes("a"), driver.bytes("b")), (None, Some(2.0)));
    assert_eq!(driver.bytes("ended"), Some(1.0), "a last report is shown until a period has ended with it");
}

#[test]
fn rows_of_a_sub_probe_that_is_switched_off_go_at_once_and_late_ones_do_not_bring_them_back() {
    let mut driver = Driver::new();
    let both = |batch: &mut Batch| {
        batch.push(Host, Zero, flow("a", 1));
        batch.push(Host, Zero, HostRow { forks: Some(7), load: None });
    };
    let forks = |driver: &Driver| driver.text(crate::expose::Format::Text).contains("_forks");
    driver.send(both);
    assert!(forks(&driver));
    driver.store.switch_off(FEATURE, vec!["counts"]);
    assert!(!forks(&driver));
    assert_eq!(driver.send(both).samples, 3, "what was under way is not taken");
    assert!(!forks(&driver));
    assert_eq!(driver.bytes("a"), Some(1.0), "the others stay");
    driver.store.switch_off(FEATURE, Vec::new());
    driver.send(both);
    assert!(forks(&driver));
}

#[test]
fn a_last_row_is_shown_by_one_close_and_gone_with_the_next() {
    for in_closing_batch in [true, false] {
        let mut driver = Driver::new();
        if in_closing_batch {
            driver.close(|batch| batch.push_last(Host, Zero, flow("a", 9)));
        } else {
            driver.send(|batch| batch.push_last(Host, Zero, flow("a", 9)));
            driver.close(|_| {});
        }
        assert_eq!(driver.bytes("a"), Some(9.0), "closing: {in_closing_batch}");
        driver.send(|_| {});
        assert_eq!(driver.bytes("a"), Some(9.0));
        driver.close(|_| {});
        assert_eq!(driver.bytes("a"), None);
    }
}

#[test]
fn a_connection_that_begins_anew_after_its_last_report_lives_on() {
    let mut driver = Driver::new();
    driver.close(|batch| batch.push_last(Host, Zero, flow("a", 9)));
    driver.close(|batch| batch.push(Host, Zero, flow("a", 1)));
    driver.close(|_| {});
    assert_eq!(driver.bytes("a"), Some(1.0));
}

#[test]
fn a_stopped_probe_shows_nothing_and_its_late_batches_are_not_taken() {
    let mut driver = Driver::new();
    driver.send(|batch| batch.push(Host, Zero, flow("a", 1)));
    driver.store.retire(FEATURE);
    assert_eq!(driver.bytes("a"), None);
    assert!(driver.send(|batch| batch.push(Host, Zero, flow("a", 2))).late);
    driver.store.open(FEATURE, 2);
    assert!(driver.send(|batch| batch.push(Host, Zero, flow("a", 2))).late, "run 1 is over");
    assert_eq!(driver.bytes("a"), None);
    let mut batch = Batch::new(SystemTime::now());
    batch.push(Host, Zero, flow("a", 3));
    assert!(!driver.store.ingest(FEATURE, 2, &batch, &driver.known).late);
    assert_eq!(driver.bytes("a"), Some(3.0));
}

#[test]
fn a_probe_that_hangs_loses_its_rows_after_three_periods() {
    let mut driver = Driver::new();
    driver.send(|batch| batch.push(Host, Zero, flow("a", 1)));
    let (period, heard) = (Duration::from_secs(60), Instant::now());
    assert!(!driver.store.expire(FEATURE, period, heard + period * 3));
    assert!(driver.bytes("a").is_some());
    assert!(driver.store.expire(FEATURE, period, heard + period * 4));
    assert_eq!(driver.bytes("a"), None);
    assert!(!driver.store.expire(FEATURE, period, heard + period * 9), "said once");
}
