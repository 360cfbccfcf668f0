//! What `proc` costs: a system call with and without being followed, and whether short processes at full speed are all
//! counted. What servers lose to it is in `servers`.

use crate::Length;
use crate::report::Report;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Daemon, Setup, within};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant};

/// Ends a feature.
pub(crate) const STOP: &str = r#"{"state":"stopped"}"#;

/// Has `proc` run with these sub-probes, or with those that are on by default, for a selection.
pub(crate) fn start(daemon: &Daemon<'_>, sub_probes: Option<&[&str]>, selection: (&str, Value)) {
    let mut order = json!({"params": {"report_period": 5}, "state": "running"});
    if let Some(names) = sub_probes {
        order["cmd"] = json!({"probe": names});
    }
    order[selection.0] = selection.1;
    daemon.put("proc", &order.to_string());
}

/// The whole host.
pub(crate) fn everything() -> (&'static str, Value) {
    ("blacklist", json!({}))
}

/// Adds everything about `proc`.
pub(crate) fn measure(length: Length, report: &mut Report) {
    calls(length, report);
    short_processes(length, report);
}

/// Nanoseconds of one read of a byte from /dev/zero, of the fastest of several rounds.
fn read_ns() -> f64 {
    const CALLS: u32 = 200_000;
    let mut zero = File::open("/dev/zero").expect("opened");
    let mut byte = [0];
    let mut fastest = f64::MAX;
    for _ in 0..8 {
        let begun = Instant::now();
        for _ in 0..CALLS {
            zero.read_exact(&mut byte).expect("read");
        }
        fastest = fastest.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    fastest
}

fn calls(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let me = || ("snoopers", json!({"proc_id": [std::process::id()]}));
    let somebody = || ("snoopers", json!({"proc_id": [daemon.pid()]}));
    let (mut counted, mut timed, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..length.pick(5, 2) {
        let added = |names: &[&str], selection: (&str, Value), to: &mut Vec<f64>| {
            let without = read_ns();
            start(&daemon, Some(names), selection);
            to.push(read_ns() - without);
            daemon.put("proc", STOP);
        };
        added(&["proc_net"], me(), &mut counted);
        added(&["proc_io"], me(), &mut timed);
        added(&["proc_io"], somebody(), &mut other);
    }
    report.limited("proc_io: added to an observed read()", "ns", 100.0, timed);
    report.shown("proc_net: added to a read(), which it does not follow", "ns", counted);
    report.shown("proc_io: added to a read() of a process out of scope", "ns", other);
}

fn short_processes(length: Length, report: &mut Report) {
    let processes: u32 = length.pick(100_000, 3_000);
    let setup = Setup::new();
    let daemon = setup.start();
    start(&daemon, Some(&["proc_syscall"]), everything());
    let own = setup.path("bench-short");
    std::fs::copy("/bin/true", &own).expect("copied");
    let sum = |name: &str, label: (&str, &str)| -> f64 {
        let scrape = daemon.scrape("/metrics");
        let ours = scrape.all(name).filter(|sample| sample.label(label.0) == Some(label.1));
        ours.map(|sample| sample.value).sum()
    };
    let script =
        format!("i=0; while [ $i -lt {processes} ]; do {}; i=$((i+1)); done; sleep 1000", own.display());
    let mut shell = command("sh");
    shell.args(["-c", &script]);
    let kernels = forks();
    let begun = Instant::now();
    let shell = Background::start(shell, &setup.path("sh.log"));
    let pid = shell.pid().to_string();
    let count = || {
        let ended = sum("gala_gopher_proc_ended_processes", ("comm", "bench-short"));
        (ended, sum("gala_gopher_proc_forks", ("tgid", &pid)))
    };
    let wanted = f64::from(processes);
    within(Duration::from_secs(600), || (count().1 >= wanted + 1.0).then_some(()));
    let seconds = begun.elapsed().as_secs_f64();
    let kernels = forks() - kernels;
    let (ended, forked) = count();
    report.shown("proc: short processes a second", "1/s", vec![wanted / seconds]);
    // `sleep` is one more.
    report.limited("proc: forks that were not counted", "", 0.0, vec![(wanted + 1.0 - forked).abs()]);
    report.shown("proc: processes that the kernel made meanwhile, threads too", "", vec![kernels]);
    report.limited(
        "proc: short processes that no name has, at most one a report",
        "",
        1.0 + seconds / 5.0,
        vec![wanted - ended],
    );
    let lost: f64 = daemon
        .scrape("/metrics")
        .all("gopherd_lost_total")
        .filter(|sample| sample.label("owner") == Some("proc"))
        .map(|sample| sample.value)
        .sum();
    report.limited("proc: losses that were counted", "", 0.0, vec![lost]);
}

/// Processes and threads that the kernel has made since it started.
fn forks() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").expect("the kernel's counters");
    let line = text.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}
