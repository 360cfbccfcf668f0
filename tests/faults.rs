//! Faults on purpose: each place of the daemon where the kernel, the disk or a thread can fail, made to fail while it runs.
//! The feature's state names it, the rest runs, the daemon answers, and once the fault is gone it recovers and nothing is
//! left behind: no descriptor, no BPF object.
//!
//! What real faults there are elsewhere is not repeated: full disks in `channels` and `delivery`, brokers and webhooks that
//! refuse in `delivery`, programs that the verifier refuses in the kit's `root_selftest`.

use gopher_e2e::process::built;
use gopher_e2e::{Daemon, Setup, bpf, eventually};
use serde_json::json;
use std::fs;

/// The file of faults of a setup, see `probe_kit::fault`.
fn with_faults() -> Setup {
    let program = fs::read(built("gopherd")).expect("the daemon");
    let asks = program.windows(11).any(|window| window == b"TEST_FAULTS");
    assert!(asks, "this daemon has no faults: build it with the tests, cargo test --workspace");
    let setup = Setup::new();
    let file = setup.path("faults");
    fs::write(&file, "").expect("no faults");
    setup.env("TEST_FAULTS", file.display().to_string())
}

fn set(setup: &Setup, faults: &str) {
    let (file, next) = (setup.path("faults"), setup.path("faults.next"));
    fs::write(&next, faults).and_then(|()| fs::rename(&next, &file)).expect("the faults");
}

/// What a process holds: descriptors, and BPF objects by kind.
fn held(daemon: &Daemon<'_>) -> (usize, [usize; 3]) {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("descriptors").count();
    (descriptors, bpf::KINDS.map(|kind| bpf::held(kind, daemon.pid()).len()))
}

/// Waits until it holds as much as `before` again; connections of earlier requests take a moment to end.
#[track_caller]
fn nothing_left(daemon: &Daemon<'_>, before: (usize, [usize; 3]), fault: &str) {
    let mut now = before;
    let same = gopher_e2e::within(std::time::Duration::from_secs(30), || {
        now = held(daemon);
        // One of the connections may have been counted before.
        (now.0 <= before.0 && now.1 == before.1).then_some(())
    });
    assert!(same.is_some(), "{fault}: it holds {now:?} and held {before:?}");
}

/// The daemon answers, and `baseinfo`, which has nothing to do with the fault, runs.
#[track_caller]
fn the_rest_runs(daemon: &Daemon<'_>, fault: &str) {
    assert_eq!(daemon.rest().get("/healthz").status, 200, "{fault}");
    assert_eq!(daemon.metrics().get("/metrics").status, 200, "{fault}");
    assert_eq!(daemon.state("baseinfo"), "running", "{fault}");
}

/// The state that a feature comes to here without a fault: a kernel may lack what some part needs.
#[track_caller]
fn healthy(daemon: &Daemon<'_>, feature: &str) -> String {
    daemon.put(feature, RUNNING);
    let state = daemon.state(feature);
    assert!(matches!(state.as_str(), "running" | "degraded"), "{feature} is {state}");
    daemon.put(feature, STOPPED);
    state
}

const REST: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;
const STOPPED: &str = r#"{"state":"stopped"}"#;
const RUNNING: &str = r#"{"params":{"report_period":5},"state":"running"}"#;

/// What a start comes to.
enum Start {
    /// It is refused, with these words.
    Refused(&'static str),
    /// It runs without a part, which is named with these words.
    Degraded(&'static str),
}

#[test]
fn a_fault_at_the_start_is_named_leaves_nothing_behind_and_the_next_start_works() {
    use Start::{Degraded, Refused};
    let setup = with_faults();
    let daemon = setup.start();
    daemon.put("baseinfo", REST);
    // What is loaded once and stays, the scope's maps among it, is no leak.
    let healthy = |feature: &str| healthy(&daemon, feature);
    let (io, tcp) = (healthy("io"), healthy("tcp"));
    let before = held(&daemon);
    for (feature, fault, expected) in [
        (
            "io",
            "thread/probe-io 11",
            Refused("starting the probe's thread: Resource temporarily unavailable"),
        ),
        ("io", "bpf.map 12", Refused("Cannot allocate memory")),
        ("io", "bpf.program 22", Refused("Invalid argument")),
        ("io", "bpf.program/completed 22", Degraded("program completed: Invalid argument")),
        ("io", "bpf.attach 28", Refused("No space left on device")),
        ("io", "bpf.attach/completed 1", Degraded("program completed: Operation not permitted")),
        ("io", "bpf.attach/completed 2", Degraded("program completed: No such file or directory")),
        ("io", "bpf.ring_made 12", Refused("ring: Cannot allocate memory")),
        ("tcp", "bpf.map 12", Refused("Cannot allocate memory")),
        ("tcp", "bpf.attach 1", Refused("Operation not permitted")),
    ] {
        set(&setup, fault);
        let answer = daemon.rest().put(&format!("/{feature}"), RUNNING);
        match expected {
            Refused(words) => {
                assert_eq!(answer.status, 400, "{fault}: {}", answer.text());
                assert!(answer.text().contains(words), "{fault}: {}", answer.text());
                assert_eq!(daemon.state(feature), "stopped", "{fault}");
                nothing_left(&daemon, before, fault);
            }
            Degraded(words) => {
                assert_eq!(answer.status, 200, "{fault}: {}", answer.text());
                assert!(answer.json()["warnings"].to_string().contains(words), "{fault}: {}", answer.text());
                let status = daemon.probe(feature)["status"].clone();
                assert_eq!(status["state"], "degraded", "{fault}: {status}");
                assert!(status["sub_probes"].to_string().contains(words), "{fault}: {status}");
            }
        }
        the_rest_runs(&daemon, fault);
        set(&setup, "");
        daemon.put(feature, STOPPED);
        nothing_left(&daemon, before, fault);
        daemon.put(feature, RUNNING);
        assert_eq!(daemon.state(feature), if feature == "io" { &*io } else { &*tcp }, "{fault} is over");
        daemon.put(feature, STOPPED);
        nothing_left(&daemon, before, fault);
    }
    assert!(daemon.terminate().success());
}

#[test]
fn a_dry_run_loads_everything_attaches_nothing_and_leaves_nothing_behind() {
    let setup = with_faults();
    let daemon = setup.start();
    daemon.put("baseinfo", REST);
    let features = ["io", "tcp", "socket", "proc", "container"];
    for feature in features {
        healthy(&daemon, feature);
    }
    let before = held(&daemon);
    let dry = |feature: &str| daemon.rest().put(&format!("/{feature}?dry_run=true"), RUNNING);
    // Whatever would be attached is refused: nothing is.
    set(&setup, "bpf.attach 1");
    for feature in features {
        let result = dry(feature).expect(200).json()["probes"][feature].clone();
        assert_eq!(result["state"], "stopped", "{feature}: {result}");
        assert!(!result.to_string().contains("Operation not permitted"), "{feature}: {result}");
        let maps = result["expected_cost"]["map_bytes"].as_u64();
        assert_eq!(maps.is_some_and(|bytes| bytes > 0), feature != "container", "{feature}: {result}");
        nothing_left(&daemon, before, "a dry run");
    }
    // What would be loaded is.
    for (fault, words) in [
        ("bpf.map 12", Err("Cannot allocate memory")),
        ("bpf.program 22", Err("Invalid argument")),
        ("bpf.program/completed 22", Ok("program completed: Invalid argument")),
        ("thread/probe-io 11", Err("Resource temporarily unavailable")),
    ] {
        set(&setup, fault);
        let answer = dry("io");
        let (status, words) = match words {
            Ok(warning) => (200, warning),
            Err(refused) => (400, refused),
        };
        assert_eq!(answer.status, status, "{fault}: {}", answer.text());
        assert!(answer.text().contains(words), "{fault}: {}", answer.text());
        assert_eq!(daemon.state("io"), "stopped", "{fault}");
        nothing_left(&daemon, before, fault);
    }
    assert!(daemon.terminate().success());
}

#[test]
fn a_fault_of_a_running_feature_is_named_and_it_recovers_by_itself_when_it_is_over() {
    let setup = with_faults();
    let daemon = setup.start();
    daemon.put("baseinfo", REST);
    let states = ["io", "tcp", "socket"].map(|feature| (feature, healthy(&daemon, feature)));
    let before = held(&daemon);
    for (feature, fault, words) in [
        ("io", "bpf.ring 5", "ring: Input/output error"),
        ("io", "bpf.read 5", "reading requests: Input/output error"),
        ("tcp", "bpf.read 5", "Input/output error"),
        ("socket", "bpf.read 5", "Input/output error"),
        ("socket", "bpf.iterator 5", "Input/output error"),
    ] {
        daemon.put(feature, RUNNING);
        set(&setup, fault);
        let error = eventually("the feature to fail", || {
            let status = daemon.probe(feature)["status"].clone();
            (status["state"] == "failed").then(|| status["error"].as_str().unwrap_or_default().to_owned())
        });
        assert!(error.contains(words), "{fault}: {error}");
        nothing_left(&daemon, before, fault);
        the_rest_runs(&daemon, fault);
        set(&setup, "");
        eventually("the feature to run again", || {
            states.contains(&(feature, daemon.state(feature))).then_some(())
        });
        daemon.put(feature, STOPPED);
        nothing_left(&daemon, before, fault);
    }
    assert!(daemon.terminate().success());
}

#[test]
fn a_probe_whose_thread_cannot_start_at_boot_is_tried_again_and_runs() {
    let line = format!("io {RUNNING}\nbaseinfo {REST}\n");
    let setup = with_faults().probes_init(&line);
    set(&setup, "thread/probe-io 11");
    let daemon = setup.spawn();
    let status = eventually("the feature to have failed", || {
        let answer = daemon.socket().try_send("GET", "/api/v1/probes/io", &[], Vec::new()).ok()?;
        let status = answer.json()["status"].clone();
        (status["state"] == "failed").then_some(status)
    });
    assert_eq!(
        status["error"],
        json!("starting the probe's thread: Resource temporarily unavailable (os error 11)")
    );
    assert!(status["retry_at"].is_string(), "{status}");
    eventually("the rest to run", || (daemon.state("baseinfo") == "running").then_some(()));
    set(&setup, "");
    eventually("the feature to run", || (daemon.state("io") == "running").then_some(()));
    assert!(daemon.terminate().success());
}

#[test]
fn a_netlink_socket_that_does_not_answer_costs_the_values_that_come_from_it_and_is_counted() {
    const HOST: &str = r#"{"cmd":{"probe":["host","mem"]},"params":{"report_period":5},"state":"running"}"#;
    let setup = with_faults();
    set(&setup, "netlink 5");
    let daemon = setup.start();
    daemon.put("baseinfo", HOST);
    daemon.scrape_until("what could not be read", |scrape| {
        let lost = scrape.all("gopherd_lost_total").filter(|lost| lost.label("owner") == Some("baseinfo"));
        let mut unreadable =
            lost.filter(|lost| lost.label("reason") == Some("unreadable") && lost.value > 0.0);
        unreadable.next().map(|_| ())
    });
    the_rest_runs(&daemon, "netlink");
    let addresses = |scrape: &gopher_e2e::Scrape| {
        let row = scrape.all("gala_gopher_host_value").next()?;
        scrape.value("gala_gopher_mem_total_kB", &[])?;
        Some(row.label("ip_addr").map(str::to_owned))
    };
    assert_eq!(daemon.scrape_until("the other values", addresses), None, "no address is made up");
    set(&setup, "");
    daemon.scrape_until("an address", |scrape| addresses(scrape)?.filter(|text| !text.is_empty()));
    assert!(daemon.terminate().success());
}
