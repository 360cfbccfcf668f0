//! CPU of the whole daemon for each process of the process table and period: the probe's thread, the
//! pipeline, the scope engine's scans, everything.

use crate::Length;
use crate::measure::{cpu, memory, threads};
use crate::report::Report;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Setup, eventually};
use serde_json::json;
use std::thread::sleep;
use std::time::Duration;

const PROCESSES: usize = 500;
/// Name of the processes to be observed, so that nothing else on the machine is.
const NAME: &str = "bench-sleeper";
const PERIOD: Duration = Duration::from_secs(5);

/// Adds the cost of a process, and each thread's part in it.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let sleepers = sleepers(&setup, NAME, PROCESSES);
    let daemon = setup.start();
    let order = json!({
        "cmd": {"probe": ["proc"]}, "snoopers": {"proc_name": [{"comm": format!("^{NAME}$")}]},
        "params": {"report_period": PERIOD.as_secs(), "smaps": 0}, "state": "running",
    });
    daemon.put("baseinfo", &order.to_string());
    eventually("all processes in scope and in the store", || {
        let scrape = daemon.scrape("/metrics");
        let known = scrape.all("gala_gopher_proc_num_threads").count();
        (known == sleepers.len()).then_some(())
    });
    // Descriptors are opened and young processes looked at often in the first scans, and limits of open files are
    // read again when a process has been known for 64 s, then for 128 s, in the end every 5 minutes.
    sleep(length.pick(Duration::from_secs(66), PERIOD * 2));
    // Labels are read again every 30 s: a window is a multiple of that, or it would miss this.
    let periods = length.pick(6, 2);
    let (mut each, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..length.pick(2, 1) {
        let (before, threads_before) = (cpu(daemon.pid()), threads(daemon.pid()));
        sleep(PERIOD * periods);
        let after = cpu(daemon.pid());
        each.push(per_process(after - before, periods));
        parts = threads(daemon.pid())
            .into_iter()
            .map(|(name, time)| {
                let used = time.saturating_sub(threads_before.get(&name).copied().unwrap_or_default());
                (per_process(used, periods), name)
            })
            .collect();
    }
    report.limited("process table, 500 processes: CPU each a period", "µs", 10.0, each);
    report.shown("process table, 500 processes: RSS", "MB", vec![memory(daemon.pid()).rss]);
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let parts: Vec<_> = parts.iter().take(4).map(|(time, name)| format!("{name} {time:.2} µs")).collect();
    report.note(format!("Of a process and period: {}.", parts.join(", ")));
}

#[allow(clippy::cast_precision_loss)] // 500
fn per_process(time: Duration, periods: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(periods) / PROCESSES as f64
}

/// So many processes that do nothing, under a name of their own.
pub(crate) fn sleepers(setup: &Setup, name: &str, count: usize) -> Vec<Background> {
    let found = command("sleep").get_program().to_owned();
    let own = setup.path(name);
    std::fs::copy(found, &own).expect("a copy of sleep");
    let log = setup.path("sleepers.log");
    let start = |_| {
        let mut program = command(&own);
        program.arg("900");
        Background::start(program, &log)
    };
    (0..count).map(start).collect()
}
