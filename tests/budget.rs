//! Budgets: a feature that costs more than it may is throttled, degraded and stopped, in this order, each step once in
//! the audit log, and no other feature notices.

use gopher_e2e::{Daemon, Setup, eventually};
use serde_json::{Value, json};

/// Less than any reading of a file costs.
const NEXT_TO_NOTHING: f64 = 0.000_000_1;

fn audit(daemon: &Daemon<'_>) -> Vec<String> {
    let by_budget = |line: &&str| line.contains(" audit: ") && line.contains(r#"who="budget""#);
    daemon.log().lines().filter(by_budget).map(str::to_owned).collect()
}

fn configure(daemon: &Daemon<'_>, feature: &str, document: &Value) {
    let path = format!("/api/v1/probes/{feature}");
    daemon.rest().send_json("PUT", &path, document).expect(200);
}

/// The steps in force, by kind.
fn steps(daemon: &Daemon<'_>, feature: &str) -> Vec<String> {
    let budget = daemon.probe(feature)["status"]["budget"].clone();
    let steps = budget["steps"].as_array().cloned().unwrap_or_default();
    steps.iter().filter_map(|step| step["step"].as_str().map(str::to_owned)).collect()
}

/// Waits until so many steps are in force.
fn until_steps(daemon: &Daemon<'_>, feature: &str, count: usize) -> Vec<String> {
    eventually(&format!("step {count}"), || Some(steps(daemon, feature)).filter(|steps| steps.len() >= count))
}

#[test]
fn what_costs_too_much_is_throttled_degraded_and_stopped_and_a_change_starts_it_again() {
    let setup = Setup::new().section("limits", "budget_period = 1");
    let daemon = setup.start();
    configure(&daemon, "container", &json!({"params": {"report_period": 5}, "state": "running"}));
    let mut wish = json!({
        "cmd": {"probe": ["mem", "proc"]},
        "snoopers": {"proc_name": [{"comm": "."}]},
        "params": {"report_period": 5},
        "budget": {"cpu": NEXT_TO_NOTHING},
        "state": "running",
    });
    configure(&daemon, "baseinfo", &wish);
    let generation = daemon.probe("baseinfo")["generation"].clone();

    assert_eq!(until_steps(&daemon, "baseinfo", 1), ["period"]);
    let document = daemon.probe("baseinfo");
    assert_eq!(document["status"]["state"], "degraded");
    let budget = &document["status"]["budget"];
    assert_eq!(budget["limit"], json!({"cpu": NEXT_TO_NOTHING}));
    assert_eq!(budget["steps"][0]["what"], "reports every 10 s");
    let reason = budget["steps"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("of 0.0000001 cores of CPU time"), "{reason}");

    assert_eq!(until_steps(&daemon, "baseinfo", 3), ["period", "period", "sub_probe"]);
    let states = daemon.probe("baseinfo")["status"]["sub_probes"].clone();
    let states = states.as_array().expect("a list").iter().map(|sub| sub["state"].clone());
    assert_eq!(states.collect::<Vec<_>>(), ["running", "restrained"]);

    assert_eq!(until_steps(&daemon, "baseinfo", 4), ["period", "period", "sub_probe", "stop"]);
    let failed = eventually("its end", || {
        Some(daemon.probe("baseinfo")).filter(|document| document["status"]["state"] == "failed")
    });
    let error = failed["status"]["error"].as_str().expect("an error");
    assert!(
        error.starts_with("stopped by its budget: it used ") && error.contains("raise its budget"),
        "{error}"
    );
    assert_eq!(failed["status"]["retry_at"], Value::Null);
    assert_eq!((&failed["generation"], &failed["config"]["params"]), (&generation, &wish["params"]));
    let ready = daemon.rest().get("/readyz").expect(200).json();
    assert_eq!(ready["problems"][0]["source"], "baseinfo", "{ready}");

    let lines = audit(&daemon);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains(r#"what="baseinfo""#)), "{lines:#?}");
    let scrape = daemon.scrape("/metrics");
    for (step, count) in [("period", 2.0), ("sub_probe", 1.0), ("stop", 1.0)] {
        let labels = [("probe", "baseinfo"), ("step", step)];
        assert_eq!(scrape.value("gopherd_budget_steps_total", &labels), Some(count), "{step}");
    }
    assert_eq!(scrape.value("gopherd_budget_level", &[("probe", "baseinfo")]), Some(4.0));
    assert_eq!(scrape.value("gopherd_budget_level", &[("probe", "container")]), Some(0.0));
    assert_eq!(daemon.state("container"), "running");

    wish["budget"] = json!("off");
    configure(&daemon, "baseinfo", &wish);
    assert_eq!(daemon.state("baseinfo"), "running");
    assert_eq!(daemon.rest().get("/readyz").expect(200).json()["problems"], json!([]));
    // With a limit the first step came after two reports.
    for _ in 0..4 {
        let before = samples(&daemon);
        eventually("a report", || (samples(&daemon) > before).then_some(()));
    }
    assert_eq!((daemon.state("baseinfo"), steps(&daemon, "baseinfo")), ("running".to_owned(), Vec::new()));
    assert_eq!(audit(&daemon).len(), 4);
}

fn samples(daemon: &Daemon<'_>) -> u64 {
    daemon.probe("baseinfo")["status"]["samples"].as_u64().expect("a number")
}

#[test]
fn the_daemon_over_its_budget_restrains_what_uses_most() {
    let setup = Setup::new().section("limits", "budget_period = 1\nmemory_bytes = 1");
    let daemon = setup.start();
    configure(&daemon, "container", &json!({"budget": "off", "state": "running"}));
    configure(
        &daemon,
        "baseinfo",
        &json!({"cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"comm": "."}]}, "state": "running"}),
    );
    assert_eq!(until_steps(&daemon, "baseinfo", 3), ["period", "period", "stop"]);
    let document = daemon.probe("baseinfo");
    let reason = document["status"]["budget"]["steps"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the daemon used ") && reason.contains("of 1 bytes of memory"), "{reason}");
    assert_eq!((daemon.state("container"), steps(&daemon, "container").len()), ("running".to_owned(), 0));
}

#[test]
fn a_budget_of_series_is_kept_at_once() {
    let setup = Setup::new();
    let daemon = setup.start();
    let wish = json!({
        "cmd": {"probe": ["proc"]},
        "snoopers": {"proc_name": [{"comm": "."}]},
        "budget": {"series": 100},
        "state": "running",
    });
    configure(&daemon, "baseinfo", &wish);
    daemon.scrape_until("series that were left out", |scrape| {
        let probe = [("probe", "baseinfo")];
        scrape.value("gopherd_series_limited_total", &probe).filter(|limited| *limited > 0.0)
    });
    let series = daemon.probe("baseinfo")["status"]["series"].as_u64().expect("a number");
    // The overflow row comes on top, and a row may find more of its values later.
    assert!(series < 200, "{series}");
}
