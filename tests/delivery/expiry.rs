//! Certificates of receivers that expire while the daemon runs: told, everything kept, and sent once they are renewed.

use crate::driver::Setup;
use crate::kafka::config;
use crate::server::Server;
use crate::tally::{in_order_by_key, seqs, tally};
use gopher_e2e::daemon::free_port;
use gopher_e2e::kafka::shared;
use gopher_e2e::pki::Authority;
use gopher_e2e::within;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

/// Waits until `time` has passed on the wall clock, by which certificates are judged.
fn passes(time: SystemTime) {
    let left = time.duration_since(SystemTime::now()).unwrap_or_default();
    // A certificate is good for the whole last second.
    let over = || SystemTime::now() > time + Duration::from_secs(1);
    within(left + Duration::from_secs(60), || over().then_some(())).expect("time passes");
}

#[test]
fn a_webhook_whose_certificate_expires_gets_nothing_until_it_has_another_and_then_everything() {
    let authority = Authority::new("webhook authority");
    let setup = Setup::new("");
    fs::write(setup.path("ca.pem"), authority.pem()).expect("written");
    let port = free_port();
    setup.configure(&format!(
        "[event]\nout_channel = \"\"\n[meta]\nout_channel = \"\"\n[[webhook]]\nurl = \"https://localhost:{port}/\"\n\
         ca_file = \"{}\"\n",
        setup.path("ca.pem").display()
    ));
    let mut driver = setup.start();
    let end = SystemTime::now() + Duration::from_secs(20);
    let brief = authority.server_until("webhook", end);
    let server = Server::start_as(&brief, port);
    driver.send("event", 10, 100);
    driver.drained("webhook");
    assert_eq!(driver.problems(), "[]");
    let mut taken = server.taken();
    passes(end);
    // Its connections end with it; the next one comes too late.
    drop(server);
    let server = Server::start_as(&brief, port);
    driver.send("event", 10, 100);
    let shown = within(Duration::from_secs(60), || {
        let problems = driver.problems().to_lowercase();
        problems.contains("expired").then_some(problems)
    });
    assert!(shown.is_some_and(|shown| shown.contains("webhook")), "{}", driver.problems());
    assert_eq!((server.got().len(), driver.sink("webhook")["pending_records"].as_u64()), (0, Some(10)));
    drop(server);
    let server = Server::start_as(&authority.server("webhook"), port);
    driver.drained("webhook");
    taken.extend(server.taken());
    let result = tally("certificate of a webhook", &driver.accepted(), &taken);
    assert_eq!((result.missing, result.twice, driver.lost("webhook")), (vec![], 0, 0));
    assert!(taken.is_sorted());
    assert_eq!(driver.problems(), "[]");
    driver.close();
}

#[test]
fn a_broker_whose_certificate_expires_gets_nothing_until_it_has_another_and_then_everything() {
    let mut broker = shared();
    broker.stop();
    let begun = Instant::now();
    broker.start();
    // Long enough for a start as long as this one, and for ten messages.
    let life = begun.elapsed() * 2 + Duration::from_secs(15);
    broker.stop();
    let end = SystemTime::now() + life;
    broker.certify(&broker.authority().server_until("broker", end));
    broker.start();
    let more = format!("security_protocol = \"ssl\"\nssl_ca = \"{}\"", broker.ca().display());
    let setup = Setup::new(&config(&broker.tls_address(), "expired", &more));
    let mut driver = setup.start();
    driver.send("event", 10, 100);
    driver.drained("kafka");
    let mut accepted = driver.accepted();
    driver.close();
    passes(end);
    // A connection that stands is not judged again; the next one is.
    let mut driver = setup.start();
    driver.send("event", 10, 100);
    within(Duration::from_secs(60), || {
        driver.problems().to_lowercase().contains("certificate").then_some(())
    })
    .unwrap_or_else(|| panic!("{}", driver.problems()));
    assert_eq!(driver.sink("kafka")["pending_records"], 10);
    broker.stop();
    broker.certify(&broker.authority().server("broker"));
    broker.start();
    driver.drained("kafka");
    accepted.extend(driver.accepted());
    let read = broker.read("expired");
    let result = tally("certificate of a broker", &accepted, &seqs(&read));
    assert_eq!((result.missing, driver.lost("kafka")), (vec![], 0));
    in_order_by_key(&read);
    assert_eq!(driver.problems(), "[]");
    driver.close();
}
