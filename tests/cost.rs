//! What probes and their sub-probes cost, as the daemon tells it: in the documents, in its own metrics and in `top`.

use gopher_e2e::ctl::{ctl, done};
use gopher_e2e::{Setup, eventually};
use serde_json::Value;

fn sub_probes(cost: &Value) -> Vec<(String, u64)> {
    let parts = cost["sub_probes"].as_array().cloned().unwrap_or_default();
    let part = |part: &Value| Some((part["name"].as_str()?.to_owned(), part["cpu_ns_per_s"].as_u64()?));
    parts.iter().filter_map(part).collect()
}

#[test]
fn what_a_sub_probe_costs_is_a_part_of_its_features_and_ends_with_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","nic"]},"params":{"report_period":5},"state":"running"}"#,
    );
    let cost = eventually("a cost of a whole period", || {
        let cost = daemon.probe("baseinfo")["status"]["cost"].clone();
        let named = |name: &str| sub_probes(&cost).iter().any(|(known, cpu)| known == name && *cpu > 0);
        (["cpu", "mem", "nic"].iter().all(|name| named(name))).then_some(cost)
    });
    let whole = cost["cpu_ns_per_s"].as_u64().expect("a rate");
    let parts: u64 = sub_probes(&cost).iter().map(|(_, cpu)| cpu).sum();
    // Each is rounded.
    assert!(parts <= whole + 10, "{parts} of {whole}: {cost}");
    assert!(cost["samples_per_s"].as_f64().is_some_and(|rate| rate > 1.0), "{cost}");
    let series = |name: &str| {
        let parts = cost["sub_probes"].as_array().expect("parts");
        parts.iter().find(|part| part["name"] == name).and_then(|part| part["series"].as_u64())
    };
    assert_eq!(series("disk"), Some(0), "it is not switched on");
    assert!(series("mem") > Some(5), "{cost}");

    let spent = |name: &str| {
        let labels = [("probe", "baseinfo"), ("sub_probe", name)];
        daemon.scrape("/metrics").value("gopherd_sub_probe_cpu_seconds_total", &labels)
    };
    assert_eq!(spent("disk"), None, "nothing was ever spent for it");
    let before = (spent("mem").expect("spent"), spent("cpu").expect("spent"));
    daemon.put("baseinfo", r#"{"cmd":{"probe":["cpu"]}}"#);
    // The last reading with it may be under way while the change is answered.
    let after = spent("mem").expect("stays");
    eventually("the others to go on", || (spent("cpu")? > before.1).then_some(()));
    assert_eq!(spent("mem"), Some(after), "switched off, it costs nothing");
    assert!(after >= before.0);
}

#[test]
fn top_shows_sub_probes_when_asked() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#);
    eventually("a cost", || {
        (!sub_probes(&daemon.probe("baseinfo")["status"]["cost"]).is_empty()).then_some(())
    });
    let top = |more: &[&str]| done(ctl(&setup, &[&["top", "-n", "1", "-i", "1"], more].concat(), ""));
    assert!(top(&["--sub-probes"]).lines().any(|line| line.starts_with("  mem ")));
    assert!(!top(&[]).lines().any(|line| line.starts_with("  mem ")));
}
