//! What each feature costs with its defaults over the whole host: how long its start and its end take, its memory, and
//! its CPU, in the daemon and in the kernel, on an idle host and beside a load of requests, writes and short processes.

use crate::Length;
use crate::measure::{Measured, cpu, memory, run_time};
use crate::proc::STOP;
use crate::report::Report;
use crate::servers::{redis, redis_rate};
use gopher_e2e::process::text_of;
use gopher_e2e::{Daemon, Setup};
use serde_json::json;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(5);
/// Requests of redis-benchmark at a time; it is asked again until the window ends.
const REQUESTS: &str = "50000";

/// Adds the rows of each feature that is built.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let list = setup.start().rest().get("/api/v1/probes").expect(200).json();
    report.shown("each probe: of the daemon without any: RSS", "MB", vec![idle_daemon(length)]);
    for feature in list["items"].as_array().expect("a list") {
        if feature["state"] != "unavailable" {
            let daemon = setup.start();
            one(&daemon, &setup, feature["feature"].as_str().expect("a name"), length, report);
        }
    }
}

fn idle_daemon(length: Length) -> f64 {
    let setup = Setup::new();
    let daemon = setup.start();
    sleep(PERIOD * length.pick(2, 1));
    memory(daemon.pid()).rss
}

fn one(daemon: &Daemon<'_>, setup: &Setup, feature: &str, length: Length, report: &mut Report) {
    let order = json!({"blacklist": {}, "params": {"report_period": PERIOD.as_secs()}, "state": "running"});
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let before = memory(daemon.pid()).rss;
    for _ in 0..length.pick(5, 2) {
        let begun = Instant::now();
        daemon.put(feature, &order.to_string());
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        daemon.put(feature, STOP);
        ends.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    daemon.put(feature, &order.to_string());
    sleep(PERIOD * 2);
    let windows = length.pick(3, 1);
    let idle: Vec<_> = (0..windows).map(|_| spent(daemon, || sleep(PERIOD * 2))).collect();
    let (server, port) = redis(setup);
    let loaded: Vec<_> = (0..windows).map(|_| spent(daemon, || load(setup, &port, PERIOD * 2))).collect();
    drop(server);
    let row = |what: &str| format!("{feature}, the whole host: {what}");
    report.shown(&row("PUT running, until it is answered"), "ms", starts);
    report.shown(&row("PUT stopped, until it is answered"), "ms", ends);
    report.shown(&row("RSS above that of no probe"), "MB", vec![memory(daemon.pid()).rss - before]);
    for (when, spent) in [("idle", idle), ("loaded", loaded)] {
        let (user, kernel): (Vec<_>, Vec<_>) = spent.into_iter().unzip();
        report.shown(&row(&format!("CPU, {when}")), "% of a core", user);
        report.shown(&row(&format!("BPF programs, {when}")), "% of a core", kernel);
    }
}

/// Percent of a core that the daemon and its programs take while something happens. The kernel measures the programs
/// meanwhile, which adds its reading of the clock to each run.
pub(crate) fn spent(daemon: &Daemon<'_>, what: impl FnOnce()) -> (f64, f64) {
    let _measured = Measured::begin();
    let (begun, before, programs) = (Instant::now(), cpu(daemon.pid()), run_time(daemon));
    what();
    let seconds = begun.elapsed().as_secs_f64();
    let user = (cpu(daemon.pid()) - before).as_secs_f64();
    (100.0 * user / seconds, 100.0 * (run_time(daemon) - programs) / 1e9 / seconds)
}

/// redis at full load, a write to the disk every 10 ms, and a process every 20 ms.
fn load(setup: &Setup, port: &str, time: Duration) {
    let ends = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            let mut file = File::create(setup.path("written")).expect("a file");
            while !ends.load(Relaxed) {
                file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("written");
                sleep(Duration::from_millis(10));
            }
        });
        threads.spawn(|| {
            while !ends.load(Relaxed) {
                text_of("true", &[]);
                sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < time {
            redis_rate(port, REQUESTS);
        }
        ends.store(true, Relaxed);
    });
}
