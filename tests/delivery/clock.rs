//! The wall clock set back under a process (`faketime`; the machine's own clock stays).

use crate::driver::Setup;
use crate::kafka::config;
use crate::tally::{in_order_by_key, seqs, tally};
use gopher_e2e::kafka::shared;
use gopher_e2e::process::text_of;
use gopher_e2e::{eventually, within};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The environment in which the wall clock is as far off as the file says. The clock that only goes forward is the real
/// one, as it is where an operator or NTP sets the other one back.
pub(crate) fn clock(file: &Path) -> [(&'static str, String); 4] {
    set(file, "+0");
    let library = text_of("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"]);
    [
        ("LD_PRELOAD", library.trim().to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Sets it: `-2h`.
pub(crate) fn set(file: &Path, offset: &str) {
    // In one step: a reader must not find half of it.
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset}\n")).expect("written");
    fs::rename(&new, file).expect("renamed");
}

#[test]
fn a_clock_that_is_set_back_in_the_stream_loses_nothing_and_changes_no_order() {
    let broker = shared();
    let setup = Setup::new(&config(&broker.address(), "clock", ""));
    let file = setup.path("clock");
    let mut driver = setup.start_with(&clock(&file));
    driver.flow();
    let more = |driver: &crate::driver::Driver, count: usize| {
        let target = driver.accepted().len() + count;
        eventually("more to be accepted", || (driver.accepted().len() >= target).then_some(()));
    };
    for offset in ["-1h", "-30d", "-2h"] {
        more(&driver, 1000);
        set(&file, offset);
    }
    more(&driver, 1000);
    driver.halt();
    driver.drained("kafka");
    // And over a restart: numbers go on, whatever the clock says.
    let mut accepted = driver.accepted();
    driver.close();
    set(&file, "-40d");
    let mut driver = setup.start_with(&clock(&file));
    set(&file, "-40d");
    driver.send("event", 100, 100);
    within(Duration::from_secs(120), || (driver.sink("kafka")["pending_records"] == 0).then_some(()))
        .expect("the spool is drained");
    accepted.extend(driver.accepted());
    assert!(accepted.is_sorted(), "numbers go on");
    let read = broker.read("clock");
    let result = tally("clock set back", &accepted, &seqs(&read));
    assert_eq!((result.missing, result.twice, driver.lost("kafka")), (vec![], 0, 0));
    in_order_by_key(&read);
    let stamps: Vec<i64> = read.iter().filter_map(|read| read.envelope["ts"].as_i64()).collect();
    let (first, last) = (stamps.iter().min().expect("messages"), stamps.iter().max().expect("messages"));
    assert!(last - first > 39 * 86_400_000, "the clock was set: {first} to {last}");
    driver.close();
}
