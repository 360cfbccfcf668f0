//! What goes wrong in between: the broker, the process, the disk, the configuration.

use crate::driver::Setup;
use crate::kafka::config;
use crate::tally::{in_order_by_key, seqs, tally};
use gopher_e2e::kafka::shared;
use gopher_e2e::{SmallDisk, eventually, within};
use std::time::{Duration, Instant};

/// How often something is repeated: few times in `make test`, many in `make soak`.
fn times(name: &str, few: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Waits until the process has accepted so many more.
#[track_caller]
fn more(driver: &crate::driver::Driver, count: usize) {
    let target = driver.accepted().len() + count;
    eventually("more to be accepted", || (driver.accepted().len() >= target).then_some(()));
}

#[test]
fn a_broker_that_is_stopped_in_the_stream_gets_everything_when_it_is_back() {
    let mut broker = shared();
    let setup = Setup::new(&config(&broker.address(), "stopped", ""));
    let mut driver = setup.start();
    driver.flow();
    more(&driver, 1000);
    broker.stop();
    let back = Instant::now() + Duration::from_secs(times("GOPHERD_E2E_OUTAGE", 0));
    eventually("the problem to be shown", || driver.problems().contains("kafka").then_some(()));
    more(&driver, 5000);
    let outage = back.saturating_duration_since(Instant::now());
    within(outage + Duration::from_secs(60), || (Instant::now() >= back).then_some(()));
    broker.start();
    more(&driver, 500);
    driver.halt();
    driver.drained("kafka");
    let read = broker.read("stopped");
    let result = tally("broker stopped", &driver.accepted(), &seqs(&read));
    assert_eq!((result.missing.len() as u64, driver.lost("kafka")), (0, 0));
    in_order_by_key(&read);
    assert_eq!(driver.problems(), "[]");
    driver.close();
}

#[test]
fn a_broker_that_hangs_gets_everything_when_it_goes_on() {
    let broker = shared();
    let setup = Setup::new(&config(
        &broker.address(),
        "hangs",
        "[kafka.properties]\n\"socket.timeout.ms\" = \"2000\"",
    ));
    let mut driver = setup.start();
    driver.flow();
    more(&driver, 500);
    broker.hangs(|| more(&driver, 5000));
    driver.halt();
    driver.drained("kafka");
    let read = broker.read("hangs");
    assert_eq!(tally("broker hangs", &driver.accepted(), &seqs(&read)).missing.len(), 0);
    in_order_by_key(&read);
    driver.close();
}

#[test]
fn what_was_accepted_before_a_kill_arrives_after_it() {
    let broker = shared();
    let setup = Setup::new(&config(&broker.address(), "killed", ""));
    let mut accepted = Vec::new();
    for round in 0..times("GOPHERD_E2E_KILLS", 5) {
        let mut driver = setup.start();
        driver.flow();
        // At another moment each time: before the first message has arrived, and long after.
        more(&driver, [1, 700, 60, 1500, 250][usize::try_from(round % 5).expect("small")]);
        let before = driver.kill();
        let ahead = accepted.last().is_none_or(|last| before.first().is_some_and(|first| first > last));
        assert!(ahead, "numbers go on");
        accepted.extend(before);
    }
    let mut driver = setup.start();
    driver.drained("kafka");
    let read = broker.read("killed");
    let result = tally("process killed", &accepted, &seqs(&read));
    assert_eq!((result.missing, driver.lost("kafka")), (vec![], 0));
    in_order_by_key(&read);
    driver.close();
}

#[test]
fn a_full_disk_loses_what_comes_counted_and_recovers_by_itself() {
    let mut broker = shared();
    let setup = Setup::new(&config(&broker.address(), "full", ""));
    let Some(disk) = SmallDisk::mount(&setup.path("state"), "2m", 100) else { return };
    let mut driver = setup.start();
    driver.send("event", 200, 1000);
    driver.drained("kafka");
    broker.stop();
    let filler = disk.path().join("filler");
    let full = std::fs::write(&filler, vec![b'x'; 4 << 20]).expect_err("two mebibytes hold no four");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    driver.send("event", 3000, 1000);
    assert!(driver.problems().contains("spool"), "{}", driver.problems());
    std::fs::remove_file(&filler).expect("room again");
    driver.send("event", 100, 1000);
    assert!(!driver.problems().contains("spool"), "{}", driver.problems());
    broker.start();
    driver.drained("kafka");
    let lost = driver.lost("kafka");
    let result = tally("disk full", &driver.accepted(), &seqs(&broker.read("full")));
    assert!(lost > 0);
    assert_eq!((result.missing.len() as u64, result.twice), (lost, 0));
    driver.close();
}

#[test]
fn a_disk_that_forces_nothing_is_named_until_it_does_and_everything_arrives() {
    let broker = shared();
    let setup = Setup::new(&format!(
        "{}[spool]\nfsync = \"interval\"\nfsync_interval = \"100ms\"\n",
        config(&broker.address(), "unforced", "")
    ));
    let faults = setup.path("faults");
    std::fs::write(&faults, "spool.sync 5\n").expect("a fault");
    let mut driver = setup.start_with(&[("TEST_FAULTS", faults.display().to_string())]);
    driver.send("event", 100, 1000);
    let named = |driver: &mut crate::driver::Driver| driver.problems().contains("forcing to the disk");
    // What is wrong is looked at when something is accepted.
    eventually("the problem to be shown", || {
        driver.send("event", 1, 100);
        named(&mut driver).then_some(())
    });
    // A write that works is no word about the disk.
    for _ in 0..20 {
        driver.send("event", 10, 1000);
        assert!(named(&mut driver), "{}", driver.problems());
    }
    std::fs::write(&faults, "").expect("no fault");
    eventually("the problem to be over", || {
        driver.send("event", 1, 100);
        (driver.problems() == "[]").then_some(())
    });
    driver.drained("kafka");
    let result = tally("disk forces nothing", &driver.accepted(), &seqs(&broker.read("unforced")));
    assert_eq!((result.missing.len(), driver.lost("kafka")), (0, 0));
    driver.close();
}

#[test]
fn a_spool_that_is_full_drops_the_oldest_and_each_is_counted() {
    let mut broker = shared();
    let setup =
        Setup::new(&format!("{}[spool]\nmax_bytes = \"1MiB\"\n", config(&broker.address(), "dropped", "")));
    let mut driver = setup.start();
    driver.send("event", 10, 1000);
    driver.drained("kafka");
    broker.stop();
    driver.send("event", 5000, 1000);
    assert!(driver.spool()["bytes"].as_u64().expect("bytes") <= 1 << 20);
    broker.start();
    driver.drained("kafka");
    let lost = driver.lost("kafka");
    let result = tally("spool full", &driver.accepted(), &seqs(&broker.read("dropped")));
    assert!(lost > 3000);
    assert_eq!((result.missing.len() as u64, result.twice), (lost, 0));
    driver.close();
}

#[test]
fn a_reload_that_changes_the_producer_in_the_stream_loses_nothing() {
    let broker = shared();
    let with =
        |codec: &str| config(&broker.address(), "reloaded", &format!("compression_codec = \"{codec}\""));
    let setup = Setup::new(&with("none"));
    let mut driver = setup.start();
    driver.flow();
    for codec in ["gzip", "zstd", "snappy", "lz4", "none"] {
        more(&driver, 300);
        setup.configure(&with(codec));
        driver.reload();
    }
    more(&driver, 300);
    driver.halt();
    driver.drained("kafka");
    let read = broker.read("reloaded");
    let result = tally("reloaded", &driver.accepted(), &seqs(&read));
    assert_eq!((result.missing.len(), driver.lost("kafka")), (0, 0));
    in_order_by_key(&read);
    driver.close();
}

#[test]
fn what_was_purged_is_counted_and_what_comes_later_arrives() {
    let mut broker = shared();
    let setup = Setup::new(&config(&broker.address(), "purged", ""));
    broker.stop();
    let mut driver = setup.start();
    driver.send("event", 100, 100);
    assert_eq!(driver.purge("kafka"), 100);
    assert_eq!(driver.sink("kafka")["lost"]["purged"], 100);
    broker.start();
    driver.send("event", 10, 100);
    driver.drained("kafka");
    broker.read_until("what came later", "purged", |read| {
        let there = seqs(read);
        driver.accepted()[100..].iter().all(|seq| there.contains(seq)).then_some(())
    });
    driver.close();
}

#[test]
fn a_channel_that_is_taken_out_gives_its_messages_up_and_says_so() {
    let mut broker = shared();
    let setup = Setup::new(&config(&broker.address(), "removed", ""));
    broker.stop();
    let mut driver = setup.start();
    driver.send("event", 100, 100);
    eventually("the problem to be shown", || driver.problems().contains("kafka").then_some(()));
    setup.configure("[event]\nout_channel = \"logs\"\n[meta]\nout_channel = \"\"\n");
    driver.reload();
    assert_eq!(driver.spool()["sinks"], serde_json::json!([]));
    assert_eq!(driver.problems(), "[]");
    driver.send("event", 10, 100);
    setup.configure(&config(&broker.address(), "removed", ""));
    driver.reload();
    assert_eq!(driver.sink("kafka")["lost"]["channel_removed"], 100);
    broker.start();
    driver.send("event", 10, 100);
    driver.drained("kafka");
    assert_eq!(broker.read("removed").len(), 10);
    driver.close();
}
