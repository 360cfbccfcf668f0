//! `gopher-ctl` as an administrator and a script meet it: what it prints where, and its exit codes.

use gopher_e2e::Setup;
use gopher_e2e::process::{built, run};
use serde_json::{Value, json};

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

/// What a call gave.
#[derive(Debug)]
struct Gave {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ctl(setup: &Setup, args: &[&str], input: &str) -> Gave {
    let socket = setup.socket_path();
    let all = [&["--socket", socket.to_str().expect("a path of text")], args].concat();
    let output = run(built("gopher-ctl"), &all, input.as_bytes());
    Gave {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

#[track_caller]
fn done(gave: Gave) -> String {
    assert_eq!(gave.code, Some(0), "{gave:?}");
    gave.out
}

/// The call fails with this code, prints no result, and its message has every word.
#[track_caller]
fn fails(gave: &Gave, code: i32, words: &[&str]) {
    assert_eq!((gave.code, gave.out.as_str()), (Some(code), ""), "{gave:?}");
    assert!(words.iter().all(|word| gave.err.contains(word)), "no {words:?} in {gave:?}");
}

#[test]
fn probes_are_listed_shown_set_started_and_stopped() {
    let setup = Setup::new();
    let daemon = setup.start();
    let state = |feature: &str| {
        let list = done(ctl(&setup, &["probe", "list"], ""));
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(feature));
        line.and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned)
    };
    assert_eq!(state("baseinfo").as_deref(), Some("stopped"));
    assert_eq!(done(ctl(&setup, &["probe", "set", "baseinfo", MEMORY], "")), "New config takes effect\n");
    assert_eq!(state("baseinfo").as_deref(), Some("running"));
    let shown: Value =
        serde_json::from_str(&done(ctl(&setup, &["probe", "get", "baseinfo"], ""))).expect("JSON");
    assert_eq!(shown["params"]["report_period"], 5);

    // The compatible door: it merges, also from standard input, and what it ignores goes to stderr.
    let merged =
        ctl(&setup, &["probe", "set", "baseinfo", "-"], r#"{"params":{"report_period":6},"snooper":{}}"#);
    assert!(merged.err.contains("snooper"), "{merged:?}");
    done(merged);
    let shown: Value =
        serde_json::from_str(&done(ctl(&setup, &["probe", "get", "baseinfo"], ""))).expect("JSON");
    assert_eq!((&shown["params"]["report_period"], &shown["cmd"]["probe"]), (&json!(6), &json!(["mem"])));

    done(ctl(&setup, &["probe", "stop", "baseinfo"], ""));
    assert_eq!(daemon.state("baseinfo"), "stopped");
    done(ctl(&setup, &["probe", "start", "baseinfo"], ""));
    assert_eq!(daemon.state("baseinfo"), "running");
    let raw: Value =
        serde_json::from_str(&done(ctl(&setup, &["--json", "probe", "list"], ""))).expect("JSON");
    assert!(raw["items"].is_array());
}

#[test]
fn metrics_are_printed_and_nothing_is_drained() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    daemon.scrape_until("memory", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));
    let total = |text: &str| {
        text.lines().find(|line| line.starts_with("gala_gopher_mem_total_kB{")).map(str::to_owned)
    };
    let first = total(&done(ctl(&setup, &["metric"], ""))).expect("the memory");
    assert_eq!(total(&done(ctl(&setup, &["metric"], ""))), Some(first.clone()));
    assert_eq!(total(&daemon.metrics().get("/metrics").expect(200).text()), Some(first));
}

#[test]
fn the_present_set_is_saved_and_several_features_are_applied_at_once() {
    let setup = Setup::new().probes_init("# by hand\n");
    let daemon = setup.start();
    let good = json!({"probes": {"baseinfo": {"cmd": {"probe": ["mem"]}, "state": "running"}, "tcp": {"params": {"report_period": 20}}}});
    let dry = ctl(&setup, &["apply", "--dry-run", "-"], &good.to_string());
    assert!(done(dry).contains("would be accepted"));
    assert_eq!(daemon.state("baseinfo"), "stopped");
    let file = setup.path("set.json");
    std::fs::write(&file, good.to_string()).expect("a file");
    let applied = done(ctl(&setup, &["apply", file.to_str().expect("text")], ""));
    assert!(applied.contains("baseinfo: accepted; running"), "{applied}");

    let saved = done(ctl(&setup, &["save"], ""));
    assert!(saved.contains("2 features") && saved.contains("probes.init"), "{saved}");
    let text = std::fs::read_to_string(setup.probes_init_path()).expect("probes.init");
    assert!(
        text.starts_with("# by hand\n") && text.contains("\nbaseinfo ") && text.contains("\ntcp "),
        "{text}"
    );
    assert!(daemon.terminate().success());
    let daemon = setup.start();
    assert_eq!(daemon.state("baseinfo"), "running");
}

#[test]
fn the_exit_code_tells_refused_misused_and_unreachable_apart() {
    let setup = Setup::new().env("GOPHER_PROBES_INIT", "baseinfo {\"state\":\"stopped\"}\n");
    let nobody = Setup::new();
    fails(&ctl(&nobody, &["probe", "list"], ""), 3, &["gopherd.sock"]);
    let daemon = setup.start();
    let bad = r#"{"params":{"report_period":1}}"#;
    fails(&ctl(&setup, &["probe", "set", "baseinfo", bad], ""), 1, &["report_period", "[5, 600]"]);
    fails(&ctl(&setup, &["probe", "get", "nosuch"], ""), 1, &["not found"]);
    fails(&ctl(&setup, &["probe", "set", "../healthz", "{}"], ""), 1, &["not found"]);
    fails(&ctl(&setup, &["save"], ""), 1, &["GOPHER_PROBES_INIT"]);
    let set = json!({"probes": {"nosuch": {}, "tcp": {"params": {"report_period": 1}}}}).to_string();
    fails(&ctl(&setup, &["apply", "-"], &set), 1, &["nosuch", "report_period"]);
    fails(&ctl(&setup, &["apply", "/nonexistent/set.json"], ""), 2, &["/nonexistent/set.json"]);
    fails(&ctl(&setup, &["probe", "set", "baseinfo"], ""), 2, &["JSON"]);
    fails(&ctl(&setup, &["nonsense"], ""), 2, &["nonsense"]);
    assert!(done(ctl(&setup, &["--version"], "")).contains(env!("CARGO_PKG_VERSION")));
    assert!(daemon.terminate().success());
    fails(&ctl(&setup, &["metric"], ""), 3, &["gopherd.sock"]);
}
