//! `gopher-ctl` as an administrator and a script meet it: what each command prints, for people and as JSON.

use gopher_e2e::ctl::{ctl, document, done, fails};
use gopher_e2e::process::{Background, command, run};
use gopher_e2e::{Setup, eventually};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::Path;

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

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
fn a_feature_is_explained_with_what_to_do() {
    let setup = Setup::new();
    let daemon = setup.start();
    let text = done(ctl(&setup, &["probe", "explain", "baseinfo"], ""));
    for words in ["gopher-ctl probe start baseinfo", "report_period", "5..600", "system_meminfo", "softirqs"]
    {
        assert!(text.contains(words), "no {words} in {text}");
    }
    daemon.put("baseinfo", MEMORY);
    let text = done(ctl(&setup, &["probe", "explain", "BaseInfo"], ""));
    assert!(text.contains("running since") && text.contains("blacklist"), "{text}");
    let raw = document(ctl(&setup, &["--json", "probe", "explain", "baseinfo"], ""));
    assert_eq!(
        (&raw["feature"], &raw["probe"]["config"]["params"]["report_period"]),
        (&json!("baseinfo"), &json!(5))
    );
    assert!(raw["tables"].as_array().is_some_and(|tables| !tables.is_empty()), "{raw}");
}

#[test]
fn targets_are_listed_and_a_process_is_explained() {
    let setup = Setup::new();
    let daemon = setup.start();
    let name = setup.path("ctl-target");
    symlink("/bin/sleep", &name).expect("another name of sleep");
    let mut target = command(&name);
    target.arg("600");
    let target = Background::start(target, &setup.path("target.log"));
    let pid = target.pid().to_string();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["proc"]},"snoopers":{"proc_name":[{"comm":"^ctl-target$"}]},"state":"running"}"#,
    );
    // A process that is new is found at the next look at /proc.
    eventually("the process", || {
        let text = done(ctl(&setup, &["targets", "baseinfo"], ""));
        let mut lines = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        lines.any(|words| words == [pid.as_str(), "ctl-target"]).then_some(())
    });
    let text = done(ctl(&setup, &["targets", "baseinfo", "--pid", &pid], ""));
    assert!(text.starts_with(&format!("pid {pid} is observed: ")), "{text}");
    let text = done(ctl(&setup, &["targets", "baseinfo", "--pid", "1"], ""));
    assert!(text.starts_with("pid 1 is not observed: "), "{text}");
    let raw = document(ctl(&setup, &["targets", "baseinfo", "--pid", "1", "--json"], ""));
    assert_eq!(raw["verdict"]["observed"], false);
    daemon.put("baseinfo", r#"{"snoopers":{}}"#);
    assert_eq!(done(ctl(&setup, &["targets", "baseinfo"], "")), "baseinfo observes the whole host.\n");
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    let before = daemon.probe("baseinfo")["config"].clone();
    let change = r#"{"params":{"report_period":9,"res_upper_thr":80},"cmd":{"probe":["cpu"]},"snooper":{}}"#;
    let file = setup.path("change.json");
    std::fs::write(&file, change).expect("a file");
    let at = format!("@{}", file.display());
    for config in [change, &at] {
        let gave = ctl(&setup, &["probe", "set", "baseinfo", config, "--dry-run"], "");
        assert!(gave.err.contains("warning: baseinfo: ") && gave.err.contains("snooper"), "{gave:?}");
        let expected = "\
baseinfo: would be accepted; running (generation 1)
  ~ /cmd/probe: [\"mem\"] -> [\"cpu\"]
  ~ /params/report_period: 5 -> 9
  + /params/res_upper_thr: 80
";
        assert_eq!(done(gave), expected);
    }
    let raw = document(ctl(&setup, &["--json", "probe", "set", "--dry-run", "baseinfo", change], ""));
    assert_eq!(raw["probes"]["baseinfo"]["config"]["params"]["report_period"], 9);
    let gave =
        ctl(&setup, &["probe", "set", "baseinfo", r#"{"params":{"report_period":5}}"#, "--dry-run"], "");
    assert_eq!(done(gave), "baseinfo: nothing would change; running (generation 1)\n");

    let set = json!({"probes": {"baseinfo": {"state": "stopped"}, "tcp": {"params": {"report_period": 20}}}})
        .to_string();
    let text = done(ctl(&setup, &["apply", "-", "--dry-run"], &set));
    for line in
        ["- /params/report_period: 5", "~ /state: \"running\" -> \"stopped\"", "+ /params/report_period: 20"]
    {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert_eq!(daemon.probe("baseinfo")["config"], before);
    let bad =
        ctl(&setup, &["probe", "set", "baseinfo", r#"{"params":{"report_period":1}}"#, "--dry-run"], "");
    fails(&bad, 1, &["report_period", "[5, 600]"]);
}

#[test]
fn the_daemon_tells_what_the_host_offers_how_much_it_logs_and_whether_it_is_ready() {
    let setup = Setup::new().probes_init("nosuch {}\n");
    let _daemon = setup.start();
    let text = done(ctl(&setup, &["capabilities"], ""));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    assert!(text.contains(release.trim()) && text.contains("BTF"), "{text}");
    let raw = document(ctl(&setup, &["--json", "capabilities"], ""));
    assert_eq!(raw["kernel_release"], release.trim());

    assert_eq!(done(ctl(&setup, &["log-level"], "")), "info\n");
    assert_eq!(done(ctl(&setup, &["log-level", "debug"], "")), "debug\n");
    assert_eq!(document(ctl(&setup, &["log-level", "--json"], "")), json!({"level": "debug"}));
    fails(&ctl(&setup, &["log-level", "loud"], ""), 2, &["loud"]);

    // A bad line of probes.init is a problem, and no reason not to be ready.
    let gave = ctl(&setup, &["ready"], "");
    assert!(gave.out.starts_with("ready, with 1 problem\n") && gave.out.contains("nosuch"), "{gave:?}");
    done(gave);
    let gave = ctl(&setup, &["ready", "--strict"], "");
    assert_eq!(gave.code, Some(4), "{gave:?}");
    assert!(gave.out.starts_with("not ready, with 1 problem\n"), "{gave:?}");
    let gave = ctl(&setup, &["--json", "ready", "--strict"], "");
    assert_eq!(gave.code, Some(4));
    assert!(serde_json::from_str::<Value>(&gave.out).expect("JSON")["problems"].is_array(), "{gave:?}");
    let list = ctl(&setup, &["probe", "list"], "");
    assert!(list.err.starts_with("warning: ") && list.err.contains("nosuch"), "{list:?}");
}

#[test]
fn top_prints_tables_or_documents_where_nobody_looks() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    let text = done(ctl(&setup, &["top", "-n", "2", "-i", "0.2", "--sort", "cpu"], ""));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("gopherd ")).count(), 2, "{text}");
    assert!(lines[1].contains("1 running") && lines[1].contains("sorted by cpu"), "{text}");
    let row: Vec<&str> =
        lines.iter().find(|line| line.starts_with("baseinfo")).expect("a row").split_whitespace().collect();
    assert_eq!((row[1], row.len()), ("running", 10), "{text}");
    assert!(row[5].ends_with('%') && !text.contains('\x1b'), "{text}");
    let all = done(ctl(&setup, &["top", "-n1", "-i0.1", "--all"], ""));
    assert!(all.lines().any(|line| line.starts_with("virt")), "{all}");

    let text = done(ctl(&setup, &["top", "-n3", "-i0.1", "--json"], ""));
    let documents: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(documents.len(), 3);
    assert!(documents.iter().all(|list| list["daemon"]["cpu_ns"].is_u64() && list["items"].is_array()));
    let grown = |name: &str| documents[2]["daemon"][name].as_u64() >= documents[0]["daemon"][name].as_u64();
    assert!(grown("cpu_ns"), "{text}");
    for bad in [["-n", "0"], ["-i", "0.01"], ["-i", "x"], ["--sort", "x"]] {
        assert_eq!(ctl(&setup, &["top", bad[0], bad[1]], "").code, Some(2), "{bad:?}");
    }
}

#[test]
fn check_config_says_what_the_daemon_itself_says() {
    for (line, init) in [("", ""), ("", "nosuch {}\n"), ("nope = 1", "nosuch {}\n")] {
        let setup = Setup::new().section("global", line).probes_init(init);
        let theirs = setup.run(&["--check-config"]);
        let (config, init) = (setup.config_path(), setup.probes_init_path());
        let flags =
            ["--config", config.to_str().expect("text"), "--probes-init", init.to_str().expect("text")];
        let ours = ctl(&setup, &[&["check-config"][..], &flags].concat(), "");
        assert_eq!(ours.code, theirs.status.code(), "{ours:?}");
        // The daemon's folders come by flags here, which the client does not have.
        assert_eq!(ours.out, String::from_utf8(theirs.stdout).expect("text"));
        let raw = ctl(&setup, &[&["--json", "check-config"][..], &flags].concat(), "");
        let raw: Value = serde_json::from_str(&raw.out).expect("JSON");
        assert_eq!(raw["exit_code"], json!(ours.code));
        assert_eq!(raw["lines"].as_array().map(Vec::len), Some(ours.out.lines().count()));
    }
}

#[test]
fn completions_are_those_that_are_shipped() {
    let setup = Setup::new();
    for (shell, name) in [("bash", "gopher-ctl.bash"), ("zsh", "_gopher-ctl"), ("fish", "gopher-ctl.fish")] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/completions").join(name);
        let shipped = std::fs::read_to_string(shipped).expect("the file is shipped");
        assert_eq!(done(ctl(&setup, &["completions", shell], "")), shipped, "{shell}");
    }
}

#[test]
fn bash_completes_commands_and_features() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/completions/gopher-ctl.bash");
    let complete = |words: &str| {
        let text = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
             _gopher__ctl gopher-ctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = run("bash", &["-c", &text], b"");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(complete("gopher-ctl pro"), "probe");
    assert_eq!(complete("gopher-ctl probe exp"), "explain");
    assert_eq!(complete("gopher-ctl probe set basei"), "baseinfo");
    assert_eq!(complete("gopher-ctl targets fl"), "flamegraph flowtracer");
}
