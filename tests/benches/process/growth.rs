//! Whether the cost of one thing stays the same when there are ten and a hundred times as many: processes, sockets,
//! series, events.
//!
//! Of the smallest size the fixed costs are a large part, so the limit is on a hundred times as many beside ten times as
//! many: 1.5, beyond which something grows faster than the work.

use crate::Length;
use crate::delivery::our_log;
use crate::measure::{cpu, memory};
use crate::process_table::sleepers;
use crate::report::Report;
use crate::tcp::{Holder, SAMPLE, pass, put};
use gopher_e2e::{Setup, eventually};
use serde_json::json;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(5);
const LIMIT: f64 = 1.5;

/// Adds a row for each size and one for each kind.
pub(crate) fn measure(length: Length, report: &mut Report) {
    grow(report, length, "baseinfo: CPU of a process and period", ("processes", [50, 500, 5000]), processes);
    grow(report, length, "tcp: CPU of a socket and pass", ("sockets", [200, 2000, 20_000]), sockets);
    grow(
        report,
        length,
        "scrape: CPU of a series",
        ("listening sockets", [100, 1000, 10_000]),
        |length, count| series(length, count).0,
    );
    grow(
        report,
        length,
        "store: memory of a series",
        ("listening sockets", [100, 1000, 10_000]),
        |length, count| series(length, count).1,
    );
    grow(report, length, "event log: time of an event", ("events", [10_000, 100_000, 1_000_000]), events);
}

/// `one` gives the cost of each of so many, in microseconds or, of memory, in bytes.
fn grow(
    report: &mut Report,
    length: Length,
    what: &str,
    (things, sizes): (&str, [usize; 3]),
    one: fn(Length, usize) -> f64,
) {
    let unit = if what.contains("memory") { "bytes" } else { "µs" };
    let each = sizes.map(|size| {
        let cost: Vec<f64> = (0..length.pick(3, 1)).map(|_| one(length, size)).collect();
        report.shown(&format!("{what}, {size} {things}"), unit, cost.clone());
        cost
    });
    let [_, ten, hundred] = each;
    let grown = hundred.iter().zip(&ten).map(|(hundred, ten)| hundred / ten).collect();
    report.limited(&format!("{what}: of a hundred times as many over ten times"), "×", LIMIT, grown);
}

#[allow(clippy::cast_precision_loss)] // a million at most
fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

fn processes(length: Length, count: usize) -> f64 {
    const NAME: &str = "bench-grown";
    let setup = Setup::new().section("limits", "max_series_per_probe = 1000000");
    let sleepers = sleepers(&setup, NAME, count);
    let daemon = setup.start();
    let order = json!({
        "cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"comm": format!("^{NAME}$")}]},
        "params": {"report_period": PERIOD.as_secs(), "smaps": 0}, "state": "running",
    });
    daemon.put("baseinfo", &order.to_string());
    eventually("all processes in the store", || {
        let scrape = daemon.scrape("/metrics");
        (scrape.all("gala_gopher_proc_num_threads").count() == sleepers.len()).then_some(())
    });
    // The scans after a start, which look more often.
    sleep(PERIOD * 2);
    let (before, periods) = (cpu(daemon.pid()), length.pick(4, 1));
    sleep(PERIOD * periods);
    micros((cpu(daemon.pid()) - before) / periods, count)
}

fn sockets(length: Length, count: usize) -> f64 {
    /// Connections of one process, two sockets each.
    const MOST: usize = 1000;
    let setup = Setup::new();
    let daemon = setup.start();
    let connections = count / 2;
    let _holders: Vec<_> =
        (0..connections.div_ceil(MOST)).map(|_| Holder::start(connections.min(MOST))).collect();
    put(&daemon, ("blacklist", json!({})));
    sleep(SAMPLE * 3);
    micros(Duration::from_secs_f64(pass(&daemon, length) / 1e3), count)
}

/// Microseconds of CPU of one series in a scrape, and bytes that it takes in memory.
fn series(length: Length, count: usize) -> (f64, f64) {
    let setup = Setup::new().section("limits", "max_series_per_probe = 1000000");
    let daemon = setup.start();
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a listening socket")).collect();
    let before = memory(daemon.pid()).anonymous;
    let order = json!({
        "cmd": {"probe": ["tcp_socket"]}, "snoopers": {"proc_id": [std::process::id()]},
        "params": {"report_period": 600}, "state": "running",
    });
    daemon.put("socket", &order.to_string());
    let lines = eventually("all listening sockets in the store", || {
        let scrape = daemon.scrape("/metrics");
        let known = scrape.all("gala_gopher_endpoint_tcp_listendrop").count();
        (known >= listeners.len()).then(|| scrape.under("gala_gopher_").len())
    });
    let grown = (memory(daemon.pid()).anonymous - before) * 1e6;
    let scrapes = length.pick(20, 5);
    let before = cpu(daemon.pid());
    for _ in 0..scrapes {
        daemon.metrics().get("/metrics").expect(200);
    }
    #[allow(clippy::cast_precision_loss)] // a hundred thousand
    let bytes = grown / lines as f64;
    (micros((cpu(daemon.pid()) - before) / scrapes, lines), bytes)
}

#[allow(clippy::cast_possible_truncation)] // a million at most
fn events(_: Length, count: usize) -> f64 {
    micros(Duration::from_secs_f64(our_log(count as u32)), count)
}
