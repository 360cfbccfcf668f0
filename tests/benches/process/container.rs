//! CPU of the whole daemon with `container` over a thousand containers, every 10 s, and what part of it the probe has.
//!
//! A runtime with a thousand containers does not fit a small machine: these are real cgroups in every hierarchy, with
//! the paths that Docker gives them, and a sleeping process in each.

use crate::Length;
use crate::measure::{cpu, memory, threads};
use crate::process_table::sleepers;
use crate::report::Report;
use gopher_e2e::cgroup::Cgroups;
use gopher_e2e::{Setup, eventually};
use std::thread::sleep;
use std::time::{Duration, Instant};

const COUNT: usize = 1000;
const PERIOD: Duration = Duration::from_secs(10);
const NAME: &str = "bench-container";

/// Adds the daemon's CPU and the probe's.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let setup = Setup::new();
    let processes = sleepers(&setup, NAME, COUNT);
    let cgroups = Cgroups::everywhere();
    for (number, process) in processes.iter().enumerate() {
        cgroups.put(process.pid(), &format!("docker/{number:012x}{:052x}", 0xb));
    }
    let daemon = setup.start();
    let before = memory(daemon.pid()).rss;
    daemon.put("container", r#"{"params":{"report_period":10},"state":"running"}"#);
    eventually("all containers in the store", || {
        let scrape = daemon.scrape("/metrics");
        (scrape.all("gala_gopher_container_cpu_usage_seconds_total").count() >= COUNT).then_some(())
    });
    let probe = || threads(daemon.pid()).into_iter().filter(|(name, _)| name.starts_with("probe-container"));
    let spent =
        || (cpu(daemon.pid()).as_secs_f64(), probe().map(|(_, time)| time.as_secs_f64()).sum::<f64>());
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for _ in 0..length.pick(3, 1) {
        let (begun, before) = (Instant::now(), spent());
        sleep(PERIOD * length.pick(6, 2));
        let (after, seconds) = (spent(), begun.elapsed().as_secs_f64());
        all.push(100.0 * (after.0 - before.0) / seconds);
        own.push(100.0 * (after.1 - before.1) / seconds);
    }
    report.limited("container, 1,000 containers at 10 s: CPU", "% of a core", 0.5, own);
    report.shown("container, the same: CPU of the whole daemon, finding them included", "% of a core", all);
    report.shown("container: growth of RSS with them", "MB", vec![memory(daemon.pid()).rss - before]);
    drop(daemon);
    processes.into_iter().for_each(gopher_e2e::process::Background::kill);
}
