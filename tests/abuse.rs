//! A hostile or careless operator: pipes where files belong, signals in the wrong moment, clients that take what
//! others need, changes that overtake each other. Nothing hangs, nothing is lost, nothing else is harmed.

use gopher_e2e::{Setup, eventually};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

fn make_pipe(path: &Path) {
    // What is there may be the setup's file; nothing being there is right too.
    drop(fs::remove_file(path));
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
}

#[test]
fn a_pipe_instead_of_a_file_is_named_and_holds_nothing_up() {
    let setup = Setup::new();
    setup.write();
    make_pipe(&setup.probes_init_path());
    make_pipe(&setup.path("state/machine_id"));
    let daemon = setup.start();
    let problems = daemon.rest().get("/readyz").expect(200).json()["problems"].to_string();
    assert!(problems.contains("probes.init") && problems.contains("not a file"), "{problems}");

    make_pipe(&setup.config_path());
    daemon.signal(Signal::HUP);
    eventually("the reload to be refused", || {
        daemon.log().contains("the configuration stays as it was").then_some(())
    });
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"state":"running"}"#);
    assert!(daemon.terminate().success());
}

#[test]
fn saving_never_replaces_what_is_no_file() {
    let setup = Setup::new();
    let precious = setup.path("precious");
    make_pipe(&precious);
    fs::remove_file(setup.probes_init_path()).expect("the setup's probes.init");
    symlink(&precious, setup.probes_init_path()).expect("a link");
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"params":{"report_period":7}}"#);
    let answer =
        daemon.rest().send("POST", "/api/v1/probes:save", &[("content-type", "application/json")], "");
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(fs::symlink_metadata(&precious).expect("still there").file_type().is_fifo());
}

#[test]
fn what_an_operator_has_changed_stays_at_every_reload() {
    let line = r#"baseinfo {"cmd":{"probe":["mem"]},"params":{"report_period":9},"state":"running"}"#;
    let setup = Setup::new().probes_init(line);
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"params":{"report_period":7}}"#);
    for reload in 1..=3 {
        daemon.signal(Signal::HUP);
        eventually("the line to be skipped", || {
            (daemon.log().matches("line skipped").count() == reload).then_some(())
        });
        let document = daemon.rest().get("/baseinfo").expect(200).json();
        assert_eq!(document["params"]["report_period"], 7, "after reload {reload}");
    }
}

#[test]
fn whoever_fills_the_rest_listener_does_not_lock_the_administrator_out() {
    let setup = Setup::new().section("rest_api_server", "max_connections = 20\nbody_timeout = \"60s\"");
    let daemon = setup.start();
    let mut half_open: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = daemon.rest().connect();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHos").expect("sent");
            stream
        })
        .collect();
    assert_eq!(daemon.socket().get("/healthz").status, 200);
    assert_eq!(daemon.metrics().get("/metrics").status, 200);
    // None of them was ended to make room for these answers.
    let first = half_open.first_mut().expect("forty");
    first.set_nonblocking(true).expect("set");
    assert_eq!(first.read(&mut [0]).expect_err("still held").kind(), ErrorKind::WouldBlock);
}

#[test]
fn each_change_is_answered_with_the_document_that_it_made() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    let clients: Vec<_> = (0..8_u64)
        .map(|client| {
            let rest = rest.clone();
            let work = move || {
                // Above the default, which a document leaves out.
                let changes = (0..20).map(|n| 61 + client * 20 + n);
                let made = changes.map(|period| {
                    let body = json!({"params": {"report_period": period}, "state": "stopped"});
                    let answer = rest.send_json("PUT", "/api/v1/probes/baseinfo", &body).expect(200);
                    let document = answer.json();
                    assert_eq!(document["config"]["params"]["report_period"], period);
                    assert_eq!(
                        answer.header("etag"),
                        Some(format!("\"{}\"", document["generation"]).as_str())
                    );
                    document["generation"].as_u64().expect("a generation")
                });
                made.collect::<Vec<_>>()
            };
            std::thread::Builder::new().spawn(work).expect("a client")
        })
        .collect();
    let mut generations: Vec<u64> =
        clients.into_iter().flat_map(|client| client.join().expect("no client failed")).collect();
    generations.sort_unstable();
    assert_eq!(generations, (1..=160).collect::<Vec<_>>());
}
