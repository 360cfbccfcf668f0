//! Events at a web address.

use crate::driver::Setup;
use crate::server::{Answer, Server};
use crate::tally::tally;
use gopher_e2e::kafka::shared;
use gopher_e2e::pki::Authority;
use gopher_e2e::{eventually, process};
use std::fs;

fn webhook(setup: &Setup, port: u16, more: &str) -> String {
    format!(
        "[[webhook]]\nurl = \"https://localhost:{port}/hook?x=1\"\nca_file = \"{}\"\n{more}\n",
        setup.path("ca.pem").display()
    )
}

/// A server, and a process that posts to it and to nobody else.
fn one(more: &str) -> (Authority, Server, Setup) {
    let authority = Authority::new("webhook authority");
    let server = Server::start(&authority);
    let setup = Setup::new("");
    fs::write(setup.path("ca.pem"), authority.pem()).expect("written");
    fs::write(setup.path("secret"), "hunter2\n").expect("written");
    let none = "[event]\nout_channel = \"\"\n[meta]\nout_channel = \"\"\n";
    let more = more.replace("SECRET", &setup.path("secret").display().to_string());
    setup.configure(&format!("{none}{}", webhook(&setup, server.port, &more)));
    (authority, server, setup)
}

#[test]
fn each_event_is_posted_once_in_order_and_its_signature_is_what_openssl_computes() {
    let (_, server, setup) = one("secret_file = \"SECRET\"");
    let mut driver = setup.start();
    driver.send("event", 30, 100);
    driver.send("meta", 5, 100);
    driver.drained("webhook");
    let got = server.got();
    assert_eq!(server.taken(), driver.accepted()[..30], "events, and no metadata");
    for got in &got {
        assert_eq!((got.path.as_str(), got.content_type.as_deref()), ("/hook?x=1", Some("application/json")));
        drop(serde_json::from_slice::<serde_json::Value>(&got.body).expect("a document"));
    }
    let first = &got[0];
    let signature = first.signature.as_deref().expect("a signature");
    let (time, sum) =
        signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("its form");
    let signed = [time.as_bytes(), b".", &first.body].concat();
    let openssl = process::run("openssl", &["dgst", "-sha256", "-hmac", "hunter2"], &signed);
    let openssl = String::from_utf8(openssl.stdout).expect("text");
    assert!(openssl.trim().ends_with(sum), "{openssl} {sum}");
    driver.close();
}

#[test]
fn a_server_that_fails_gets_the_same_event_again_and_one_that_refuses_it_does_not() {
    let (_, server, setup) = one("timeout = \"300ms\"");
    let mut driver = setup.start();
    for answer in [Answer::Status(503), Answer::Status(429), Answer::Status(307), Answer::Silence] {
        server.answers(answer);
        let before = server.got().len();
        driver.send("event", 1, 100);
        eventually("the attempt", || (server.got().len() > before).then_some(()));
        eventually("the problem to be shown", || driver.problems().contains("webhook").then_some(()));
        assert_eq!(driver.sink("webhook")["pending_records"], 1);
        server.answers(Answer::Status(200));
        driver.drained("webhook");
        assert_eq!(driver.problems(), "[]");
    }
    assert_eq!(server.taken(), driver.accepted());
    assert!(server.got().iter().all(|got| got.path == "/hook?x=1"), "no redirect is followed");
    server.answers(Answer::Status(400));
    driver.send("event", 1, 100);
    driver.drained("webhook");
    server.answers(Answer::Status(200));
    driver.send("event", 1, 100);
    driver.drained("webhook");
    assert_eq!(driver.sink("webhook")["lost"]["rejected"], 1);
    assert_eq!(server.taken().len() + 1, driver.accepted().len());
    driver.close();
}

#[test]
fn a_server_whose_certificate_another_authority_signed_gets_nothing() {
    let (_, server, setup) = one("");
    fs::write(setup.path("ca.pem"), Authority::new("another").pem()).expect("written");
    let mut driver = setup.start();
    driver.send("event", 1, 100);
    eventually("the problem to be shown", || driver.problems().contains("certificate").then_some(()));
    assert!(server.got().is_empty());
    driver.close();
}

#[test]
fn a_dead_webhook_does_not_hold_kafka_back_and_gets_its_events_after_a_kill() {
    let broker = shared();
    let (authority, server, setup) = one("");
    let port = server.port;
    drop(server);
    let both = format!(
        "{}{}",
        crate::kafka::config(&broker.address(), "beside_webhook", ""),
        webhook(&setup, port, "timeout = \"300ms\"")
    );
    setup.configure(&both);
    let mut driver = setup.start();
    driver.send("event", 200, 100);
    driver.drained("kafka");
    assert_eq!(broker.read("beside_webhook").len(), 200);
    assert_eq!(driver.sink("webhook")["pending_records"], 200);
    let accepted = driver.kill();
    let server = Server::start_at(&authority, port);
    let mut driver = setup.start();
    driver.drained("webhook");
    let result = tally("webhook after a kill", &accepted, &server.taken());
    assert_eq!((result.missing.len(), result.twice), (0, 0));
    driver.close();
}
