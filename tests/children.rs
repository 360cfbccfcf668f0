//! No measurement starts another program.
//!
//! The kernel adds a child's page faults to its parent when the parent collects it, and lists children that
//! were not collected yet; a process that never had one shows neither. And strace sees each program that a
//! process or anything that came of it starts, over a whole session at both doors.

use gopher_e2e::daemon::proc_file;
use gopher_e2e::process::{Background, command, text_of};
use gopher_e2e::{Daemon, Setup, eventually};
use rustix::process::Signal;
use std::path::Path;

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
    text_of("true", &[]);
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

/// The programs that strace, writing to `file`, has seen started.
fn started(file: &Path) -> Vec<String> {
    let seen = std::fs::read_to_string(file).expect("what strace wrote");
    seen.lines().filter(|line| line.contains("exec")).map(str::to_owned).collect()
}

const STRACE: [&str; 5] = ["-f", "-q", "-e", "trace=execve,execveat", "-o"];

#[test]
fn strace_itself_sees_a_child_of_a_child() {
    let setup = Setup::new();
    let file = setup.path("strace.log");
    let mut args = STRACE.to_vec();
    let path = file.display().to_string();
    args.extend([path.as_str(), "sh", "-c", "(/bin/true; :); :"]);
    text_of("strace", &args);
    assert_eq!(started(&file).iter().filter(|line| line.contains("execve(\"/bin/true\"")).count(), 1);
}

#[test]
fn a_session_at_both_doors_starts_no_program() {
    let setup = Setup::new();
    let daemon = setup.start();
    let file = setup.path("strace.log");
    let mut strace = command("strace");
    strace.args(STRACE).arg(&file).args(["-p", &daemon.pid().to_string()]);
    let mut strace = Background::start(strace, &setup.path("strace.err"));
    eventually("strace on every thread", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).ok()?;
        let traced = |status: String| {
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        let mut all =
            tasks.map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok().map(traced));
        all.all(|traced| traced == Some(true)).then_some(())
    });

    let rest = daemon.rest();
    let list = rest.get("/api/v1/probes").expect(200).json();
    for item in list["items"].as_array().expect("items") {
        let feature = item["feature"].as_str().expect("a name");
        let path = format!("/{feature}");
        // What is not built, or needs what is not here, refuses; that must start nothing either.
        rest.put(
            &path,
            r#"{"snoopers":{"proc_name":[{"comm":"."}]},"params":{"report_period":5},"state":"running"}"#,
        );
        rest.put(&path, r#"{"cmd":{"bin":"/bin/true","check_cmd":"/bin/true","probe":[]}}"#);
        rest.get(&path);
        rest.get(&format!("/api/v1/probes/{feature}"));
        rest.get(&format!("/api/v1/targets?feature={feature}&pid=1"));
    }
    rest.put("/baseinfo", "not json");
    rest.get("/api/v1/capabilities").expect(200);
    daemon
        .socket()
        .send("POST", "/api/v1/probes:save", &[("content-type", "application/json")], Vec::new())
        .expect(200);
    daemon.scrape_until("processes", |scrape| scrape.all("gala_gopher_proc_num_threads").next().map(|_| ()));
    daemon.scrape("/metrics/per_period");
    daemon.signal(Signal::HUP);
    eventually("the reload", || daemon.log().contains("reading the configuration again").then_some(()));
    daemon.signal(Signal::USR1);
    assert!(daemon.terminate().success());
    eventually("strace to end with it", || strace.ended());
    assert_eq!(started(&file), Vec::<String>::new());
}
