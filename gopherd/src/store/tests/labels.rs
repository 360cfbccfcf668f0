//! Which labels a row shows, and that no two rows show the same (contract items 1 and 3).

use super::{Driver, FEATURE, Flow, Host as HostRow, flow, fragment, process};
use crate::expose::Format;
use crate::expose::strict;
use probe_core::{Baseline::Zero, Subject::Host};
use proptest::prelude::*;

fn line(driver: &Driver) -> String {
    let text = driver.text(Format::Text);
    let line = text.lines().find(|line| line.starts_with("gala_gopher_flow_packets")).expect("a sample");
    line.to_owned()
}

#[test]
fn own_process_custom_and_host_labels_follow_each_other() {
    let mut driver = Driver::new();
    driver.known.0.insert(7, fragment(&[("comm", "nginx"), ("pod", "p")]));
    driver.store.set_custom_labels(FEATURE, &[("zone".into(), "z".into())]);
    driver.send(|batch| batch.push(process(7, 1), Zero, flow("a", 1)));
    assert_eq!(
        line(&driver),
        r#"gala_gopher_flow_packets{tgid="7",peer="a",role="client",comm="nginx",pod="p",zone="z",machine_id="m"} 1"#
    );
}

#[test]
fn changed_labels_show_on_the_next_report_and_the_row_stays_one() {
    let mut driver = Driver::new();
    driver.known.0.insert(7, fragment(&[("comm", "sh")]));
    driver.send(|batch| batch.push(process(7, 1), Zero, flow("a", 1)));
    driver.known.0.insert(7, fragment(&[("comm", "nginx")]));
    driver.send(|batch| batch.push(process(7, 1), Zero, Flow { role: "server".into(), ..flow("a", 2) }));
    assert_eq!(
        line(&driver),
        r#"gala_gopher_flow_packets{tgid="7",peer="a",role="server",comm="nginx",machine_id="m"} 2"#
    );
    driver.store.set_custom_labels(FEATURE, &[("zone".into(), "z".into())]);
    assert!(line(&driver).contains(r#",comm="nginx",zone="z",machine_id="m""#), "without a new report");
    assert_eq!(driver.store.stats().features[0].rows, 1);
}

#[test]
fn a_row_about_an_unknown_process_is_dropped_but_a_known_row_gets_its_last_report() {
    let mut driver = Driver::new();
    let tally = driver.send(|batch| batch.push(process(7, 1), Zero, flow("a", 1)));
    assert_eq!((tally.unknown_subject, tally.samples), (1, 0));
    driver.known.0.insert(7, fragment(&[("comm", "x")]));
    driver.send(|batch| batch.push(process(7, 1), Zero, flow("a", 1)));
    driver.known.0.clear();
    let tally = driver.send(|batch| batch.push_last(process(7, 1), Zero, flow("a", 5)));
    assert_eq!((tally.unknown_subject, driver.bytes("a")), (0, Some(5.0)));
}

#[test]
fn a_process_with_a_used_pid_takes_the_place_of_the_dead_one() {
    let mut driver = Driver::new();
    driver.known.0.insert(7, fragment(&[("comm", "x")]));
    driver.send(|batch| batch.push(process(7, 1), Zero, flow("a", 900)));
    let tally = driver.send(|batch| {
        batch.push(Host, Zero, flow("other", 2));
        batch.push(process(7, 2), Zero, flow("a", 3));
    });
    assert_eq!((tally.duplicates, driver.bytes("a"), driver.bytes("other")), (0, Some(3.0), Some(2.0)));
    assert_eq!(driver.store.stats().features[0].rows, 2);
}

#[test]
fn two_rows_of_a_batch_with_the_same_labels_are_counted_and_the_later_is_kept() {
    let mut driver = Driver::new();
    driver.known.0.insert(7, fragment(&[("comm", "x")]));
    let tally = driver.send(|batch| {
        batch.push(process(7, 1), Zero, flow("a", 1));
        batch.push(process(7, 2), Zero, flow("a", 2));
    });
    assert_eq!((tally.duplicates, driver.bytes("a")), (1, Some(2.0)));
}

#[test]
fn rows_that_become_alike_leave_one() {
    let mut driver = Driver::new();
    driver.store.set_custom_labels(FEATURE, &[]);
    driver.known.0.insert(7, fragment(&[("comm", "x")]));
    driver.known.0.insert(8, fragment(&[("comm", "y")]));
    driver.send(|batch| {
        batch.push(process(7, 1), Zero, flow("a", 1));
        batch.push(process(8, 1), Zero, flow("a", 2));
        batch.push(process(8, 1), Zero, flow("b", 2));
    });
    driver.known.0.insert(8, fragment(&[("comm", "x")]));
    driver.send(|batch| batch.push(process(8, 1), Zero, flow("a", 4)));
    assert_eq!((driver.bytes("a"), driver.bytes("b")), (Some(4.0), Some(2.0)));
}

#[test]
fn a_scrape_changes_nothing() {
    let mut driver = Driver::new();
    driver.close(|batch| batch.push(Host, Zero, flow("a", 1)));
    let first = (driver.text(Format::Text), driver.text(Format::OpenMetrics), driver.period_text());
    assert_eq!(first, (driver.text(Format::Text), driver.text(Format::OpenMetrics), driver.period_text()));
}

proptest! {
    #[test]
    fn any_label_value_is_read_back_as_it_was(
        values in prop::collection::vec("(?s).{0,12}", 4)
    ) {
        let mut driver = Driver::new();
        let (tgid, peer, role, comm) = (&values[0], &values[1], &values[2], &values[3]);
        driver.known.0.insert(7, fragment(&[("comm", comm)]));
        driver.send(|batch| {
            let row = Flow { tgid: tgid.into(), peer: peer.into(), role: role.into(), rtt: super::histogram([1, 0, 2], 3.5), ..flow("", 1) };
            batch.push(process(7, 1), Zero, row);
        });
        driver.close(|batch| batch.push(Host, Zero, HostRow { forks: Some(1), load: None }));
        let expected: Vec<_> = [("tgid", tgid), ("peer", peer), ("role", role), ("comm", comm)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .chain([("machine_id".to_owned(), "m".to_owned())])
            .collect();
        for format in [Format::Text, Format::OpenMetrics] {
            let parsed = strict::parse(format, &driver.text(format));
            for sample in parsed.samples().filter(|sample| sample.name.starts_with("gala_gopher_flow")) {
                let labels: Vec<_> = sample.labels.iter().filter(|(n, _)| n != "le").cloned().collect();
                prop_assert_eq!(&labels, &expected);
            }
            prop_assert_eq!(parsed.samples().count(), 3 + 6 + 1);
        }
    }
}
