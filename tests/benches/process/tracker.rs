//! The process tracker: what it costs while nothing happens and for each process of the host, and how much of
//! what processes do right after their exec is in scope.

use crate::Length;
use crate::measure::threads;
use crate::report::Report;
use gopher_e2e::process::{command, text_of};
use gopher_e2e::{Daemon, Setup, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

/// The name of the processes that are in scope.
const NAME: &str = "bench-short";

/// Adds everything about the tracker.
pub(crate) fn measure(length: Length, report: &mut Report) {
    costs(length, report);
    early(length, report);
}

fn tracked(daemon: &Daemon<'_>, feature: &str, mut order: Value) {
    order["snoopers"] = json!({"proc_name": [{"comm": format!("^{NAME}$")}]});
    order["state"] = json!("running");
    daemon.put(feature, &order.to_string());
    eventually("the tracker", || {
        let capabilities = daemon.rest().get("/api/v1/capabilities").expect(200).json();
        (capabilities["process_tracker"]["state"] == "running").then_some(())
    });
}

/// CPU time of the thread that follows processes, in microseconds.
fn spent(daemon: &Daemon<'_>) -> f64 {
    threads(daemon.pid()).get("scope").map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Starts and ends `count` processes one after the other, none of them in scope, and says how long one takes.
fn storm(count: u32) -> f64 {
    let begun = Instant::now();
    text_of("bash", &["-c", &format!("for ((i = 0; i < {count}; i++)); do /bin/true; done")]);
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn costs(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let order = json!({"cmd": {"probe": ["proc"]}, "params": {"report_period": 600, "smaps": 0}});
    let count = length.pick(3000, 500);
    let (mut without, mut with, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..length.pick(5, 2) {
        without.push(storm(count));
        tracked(&daemon, "baseinfo", order.clone());
        let before = spent(&daemon);
        with.push(storm(count));
        each.push((spent(&daemon) - before) / f64::from(count));
        daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    }
    report.shown("tracker: a process from fork to end, nobody tracking", "µs", without);
    report.shown("tracker: the same, tracked", "µs", with);
    report.shown("tracker: CPU of the scope thread for a process (fork, exec, end)", "µs", each);
    tracked(&daemon, "baseinfo", order);
    let window = Duration::from_secs(length.pick(60, 10));
    let before = spent(&daemon);
    sleep(window);
    let idle = (spent(&daemon) - before) / window.as_secs_f64();
    report.shown("tracker: CPU of the scope thread a second, this machine otherwise idle", "µs", vec![idle]);
}

/// Clients that connect with the first thing that they do and end at once: how many `tcp` has counted.
fn early(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let daemon = setup.start();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, gopher_e2e::daemon::free_port())).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let serve = move || listener.incoming().for_each(drop);
    Builder::new().name("server".into()).spawn(serve).expect("a thread");
    tracked(&daemon, "tcp", json!({"cmd": {"probe": ["tcp_stats"]}, "params": {"report_period": 5}}));
    let link = setup.path(NAME);
    std::os::unix::fs::symlink("/bin/bash", &link).expect("a link");
    let mut lived = Vec::new();
    let clients = length.pick(300, 60);
    for _ in 0..clients {
        let begun = Instant::now();
        let mut client = command(&link);
        client.args(["-c", &format!(": 3<>/dev/tcp/127.0.0.1/{port}")]);
        assert!(client.status().expect("a shell").success());
        lived.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    let mut seen = BTreeSet::new();
    // Two reports after the last one has ended.
    while begun.elapsed() < Duration::from_secs(11) && seen.len() < clients {
        let scrape = daemon.scrape("/metrics");
        let ours = scrape
            .all("gala_gopher_tcp_link_segs_out")
            .filter(|sample| sample.label("comm") == Some(NAME) && sample.label("role") == Some("client"));
        seen.extend(ours.filter_map(|sample| sample.label("tgid").map(str::to_owned)));
        sleep(Duration::from_millis(200));
    }
    #[allow(clippy::cast_precision_loss)] // some hundred
    let missed = (clients - seen.len()) as f64 * 100.0 / clients as f64;
    report.shown("tracker: clients that connect first thing and end, from start to end", "ms", lived);
    report.limited("tracker: of these not counted by tcp", "%", 1.0, vec![missed]);
}
