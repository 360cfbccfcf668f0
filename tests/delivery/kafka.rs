//! What arrives in Kafka, and how the broker is reached.

use crate::driver::Setup;
use crate::tally::{in_order_by_key, seqs, tally};
use gopher_e2e::kafka::{TAKES, USER, shared};
use gopher_e2e::{eventually, within};
use std::fs;
use std::time::Duration;

/// A configuration for the topics `event` and `meta`, with more lines of the section `kafka`.
pub(crate) fn config(address: &str, event: &str, more: &str) -> String {
    format!(
        "[event]\nout_channel = [\"kafka\", \"logs\"]\nkafka_topic = \"{event}\"\n\
         [meta]\nout_channel = \"kafka\"\nkafka_topic = \"{event}_meta\"\n\
         [kafka]\nkafka_broker = \"{address}\"\n{more}\n"
    )
}

#[test]
fn events_and_metadata_arrive_with_their_keys_and_headers_and_the_log_has_the_same() {
    let broker = shared();
    let setup = Setup::new(&config(&broker.address(), "arrive", "compression_codec = \"lz4\""));
    let mut driver = setup.start();
    driver.send("event", 100, 300);
    driver.send("meta", 10, 300);
    driver.drained("kafka");
    let events = broker.read("arrive");
    let result = tally("arrive", &driver.accepted()[..100], &seqs(&events));
    assert_eq!((result.missing.len(), result.twice), (0, 0));
    in_order_by_key(&events);
    for read in &events {
        assert_eq!(read.header("content-type"), Some("application/json"));
        assert_eq!(read.header("host"), Some("test-host"));
        let number = read.document["number"].as_u64().expect("a number");
        assert_eq!(read.key(), format!("entity_{}", number % 5));
    }
    assert_eq!(broker.read("arrive_meta").len(), 10);
    let log = fs::read_to_string(setup.path("log/event/gopher_event.log")).expect("the log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    let mut numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64()).collect();
    assert!(numbers.is_sorted());
    let mut arrived: Vec<_> = events.iter().map(|read| read.document["number"].as_u64()).collect();
    numbers.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(numbers, arrived);
    driver.close();
}

#[test]
fn a_wrong_password_is_shown_and_the_spool_keeps_until_a_corrected_one_is_read() {
    let broker = shared();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let topic = format!("password_{}", mechanism.to_lowercase());
        let setup = Setup::new("");
        let file = setup.path("password");
        let more = format!(
            "username = \"{}\"\npassword_file = \"{}\"\nsasl_mechanism = \"{mechanism}\"",
            USER.0,
            file.display()
        );
        setup.configure(&config(&broker.sasl_address(), &topic, &more));
        fs::write(&file, "wrong\n").expect("written");
        let mut driver = setup.start();
        driver.send("event", 50, 100);
        let shown = eventually("the problem to be shown", || {
            let problems = driver.problems();
            problems.to_lowercase().contains("authentication").then_some(problems)
        });
        assert!(shown.contains("kafka") && !shown.contains("wrong"), "{shown}");
        assert_eq!(driver.sink("kafka")["pending_records"], 50);
        fs::write(&file, USER.1).expect("written");
        driver.reload();
        driver.drained("kafka");
        assert_eq!(driver.problems(), "[]");
        let result = tally(mechanism, &driver.accepted(), &seqs(&broker.read(&topic)));
        assert_eq!((result.missing.len(), driver.lost("kafka")), (0, 0));
        driver.close();
    }
}

#[test]
fn over_tls_the_broker_must_be_who_it_says_it_is() {
    let broker = shared();
    let setup = Setup::new("");
    let other = setup.path("other.pem");
    fs::write(&other, gopher_e2e::pki::Authority::new("another").pem()).expect("written");
    let with = |ca: &std::path::Path| {
        let more = format!("security_protocol = \"ssl\"\nssl_ca = \"{}\"", ca.display());
        config(&broker.tls_address(), "tls", &more)
    };
    setup.configure(&with(&other));
    let mut driver = setup.start();
    driver.send("event", 20, 100);
    eventually("the problem to be shown", || {
        driver.problems().to_lowercase().contains("certificate").then_some(())
    });
    assert_eq!(driver.sink("kafka")["pending_records"], 20);
    setup.configure(&with(&broker.ca()));
    driver.reload();
    driver.drained("kafka");
    assert_eq!(tally("tls", &driver.accepted(), &seqs(&broker.read("tls"))).missing.len(), 0);
    driver.close();
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_named_and_nothing_is_lost() {
    let broker = shared();
    let setup = Setup::new("");
    let with = |line: &str| config(&broker.address(), "property", &format!("[kafka.properties]\n{line}"));
    setup.configure(&with("\"no.such.thing\" = \"hunter2\""));
    let mut driver = setup.start();
    driver.send("event", 5, 100);
    let shown = eventually("the problem", || {
        let problems = driver.problems();
        problems.contains("no.such.thing").then_some(problems)
    });
    assert!(!shown.contains("hunter2"), "{shown}");
    setup.configure(&with("\"linger.ms\" = \"1\""));
    driver.reload();
    driver.drained("kafka");
    assert_eq!(broker.read("property").len(), 5);
    driver.close();
}

/// Two seconds in which messages gather to batches.
const GATHERING: &str = "compression_codec = \"none\"\nqueue_buffering_max_ms = 2000";

#[test]
fn of_a_refused_batch_only_the_message_that_is_too_large_is_counted_and_the_others_arrive_in_order() {
    let mut broker = shared();
    let setup = Setup::new(&config(&broker.address(), "refused", GATHERING));
    broker.stop();
    let mut driver = setup.start();
    // All of it is there when the broker is: batches of librdkafka's size, one of them with what is too large.
    driver.send("event", 1500, 1000);
    driver.send("event", 1, TAKES + 100_000);
    driver.send("event", 1500, 1000);
    broker.start();
    driver.drained("kafka");
    let accepted = driver.accepted();
    let read = broker.read("refused");
    let result = tally("one is too large", &accepted, &seqs(&read));
    assert_eq!((result.missing, result.twice), (vec![accepted[1500]], 0));
    in_order_by_key(&read);
    let sink = driver.sink("kafka");
    assert_eq!((&sink["lost"]["rejected"], &sink["delivered"]), (&1.into(), &3000.into()));
    assert_eq!(driver.problems(), "[]");

    // And what librdkafka itself does not send.
    for (count, size) in [(10, 100), (1, 1_010_000), (10, 100)] {
        driver.send("event", count, size);
        driver.drained("kafka");
    }
    let read = broker.read("refused");
    assert_eq!(tally("what is not sent", &driver.accepted(), &seqs(&read)).missing.len(), 2);
    assert_eq!(driver.sink("kafka")["lost"]["rejected"], 2);
    in_order_by_key(&read);
    driver.close();
}

#[test]
fn nothing_overtakes_a_batch_that_is_refused_by_a_broker_that_does_not_know_the_producer() {
    let broker = shared();
    let setup = Setup::new(&config(&broker.address(), "overtaken", "compression_codec = \"none\""));
    let mut driver = setup.start();
    // Connected, with a number as producer, and with nothing in the partitions of events.
    driver.send("meta", 1, 100);
    driver.drained("kafka");
    broker.hangs(|| {
        // More than it takes, and behind it, each on its way by itself, what it would take.
        driver.send("event", 3000, 1000);
        for _ in 0..5 {
            let sent = driver.accepted().len();
            driver.send("event", 10, 100);
            within(Duration::from_millis(100), || (driver.accepted().len() < sent).then_some(()));
        }
    });
    driver.drained("kafka");
    let read = broker.read("overtaken");
    let result = tally("refused first", &driver.accepted()[1..], &seqs(&read));
    assert_eq!((result.missing, result.twice, driver.lost("kafka")), (vec![], 0, 0));
    in_order_by_key(&read);
    driver.close();
}

#[test]
fn of_a_batch_that_is_refused_for_one_time_stamp_only_that_message_is_counted() {
    let broker = shared();
    let setup = Setup::new(&config(&broker.address(), "time_stamp", GATHERING));
    let mut driver = setup.start();
    for _ in 0..2 {
        driver.send("event", 200, 100);
        driver.send("ahead", 1, 100);
        driver.send("event", 200, 100);
        driver.drained("kafka");
    }
    let accepted = driver.accepted();
    let read = broker.read("time_stamp");
    let result = tally("two of another time", &accepted, &seqs(&read));
    assert_eq!((result.missing, result.twice), (vec![accepted[200], accepted[601]], 0));
    assert_eq!(driver.lost("kafka"), 2);
    in_order_by_key(&read);
    driver.close();
}
