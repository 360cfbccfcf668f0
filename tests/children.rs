//! No measurement starts another program.
//!
//! The kernel adds a child's page faults to its parent when the parent collects it, and lists children that
//! were not collected yet; a process that never had one shows neither.

use gopher_e2e::daemon::proc_file;
use gopher_e2e::{Daemon, Setup, eventually};

/// Page faults of collected children (proc(5): cminflt, field 11 of stat).
fn faults_of_children(pid: u32) -> u64 {
    let stat = proc_file(pid, "stat").expect("the daemon's stat");
    // The name in brackets may hold blanks; the first field after it is number 3.
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    after_name.split_whitespace().nth(8).and_then(|text| text.parse().ok()).expect("a number")
}

/// Children of all threads that were not collected yet.
fn children(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon's threads");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn look(daemon: &Daemon<'_>) {
    assert_eq!(children(daemon.pid()), Vec::<String>::new());
    assert_eq!(faults_of_children(daemon.pid()), 0);
}

#[test]
fn the_check_itself_sees_a_child() {
    let me = std::process::id();
    let before = faults_of_children(me);
    gopher_e2e::process::text_of("true", &[]);
    assert!(faults_of_children(me) > before, "this kernel does not count the faults of children");
}

#[test]
fn two_periods_of_every_built_feature_start_no_program() {
    let setup = Setup::new();
    let daemon = setup.start();
    look(&daemon);
    let list = daemon.rest().get("/api/v1/probes").expect(200).json();
    let features: Vec<String> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["feature"].as_str().map(str::to_owned))
        .filter(|feature| daemon.has_built(feature))
        .collect();
    assert!(!features.is_empty());
    let mut running = 0;
    for feature in &features {
        // Everything in scope, so that each reader has something to do. What cannot run here says so with 400.
        let body =
            r#"{"snoopers":{"proc_name":[{"comm":"."}]},"params":{"report_period":5},"state":"running"}"#;
        running += usize::from(daemon.rest().put(&format!("/{feature}"), body).status == 200);
        look(&daemon);
    }
    assert!(running > 0);
    let samples = |daemon: &Daemon<'_>| -> f64 {
        daemon.scrape("/metrics/cumulative").all("gopherd_samples_total").map(|sample| sample.value).sum()
    };
    let mut seen = samples(&daemon);
    for _ in 0..2 {
        seen = eventually("the next samples", || {
            look(&daemon);
            let now = samples(&daemon);
            (now > seen).then_some(now)
        });
    }
    look(&daemon);
}
