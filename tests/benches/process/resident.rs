//! What the daemon costs while nobody asks it anything: idle, and with `baseinfo` every 5 s; node_exporter
//! beside both, in the same window.

use crate::Length;
use crate::latency::BASEINFO;
use crate::measure::{Memory, cpu, memory};
use crate::report::Report;
use crate::scrape::NodeExporter;
use gopher_e2e::Setup;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Past the start, the second reading a second later and the first regular one: the daemon as it stays.
const SETTLE: Duration = Duration::from_secs(7);

#[derive(Default)]
struct Column {
    cpu: Vec<f64>,
    rss: Vec<f64>,
    pss: Vec<f64>,
    anonymous: Vec<f64>,
}

impl Column {
    fn take(&mut self, share: f64, memory: Memory) {
        self.cpu.push(share);
        self.rss.push(memory.rss);
        self.pss.push(memory.pss);
        self.anonymous.push(memory.anonymous);
    }
}

/// Adds CPU and memory of each.
pub(crate) fn measure(length: Length, report: &mut Report) {
    // Whole periods, so that each run has the same number of readings.
    let window = Duration::from_secs(length.pick(20, 10));
    let mut columns: [Column; 3] = Default::default();
    for _ in 0..length.pick(3, 1) {
        let (idle, busy) = (Setup::new(), Setup::new());
        let (idle, busy, node) = (idle.start(), busy.start(), NodeExporter::start());
        busy.put("baseinfo", BASEINFO);
        sleep(SETTLE);
        let pids = [idle.pid(), busy.pid(), node.pid()];
        let (start, before) = (Instant::now(), pids.map(cpu));
        sleep(window);
        let after = pids.map(cpu);
        let seconds = start.elapsed().as_secs_f64();
        for ((column, pid), (before, after)) in
            columns.iter_mut().zip(pids).zip(before.into_iter().zip(after))
        {
            column.take(100.0 * (after - before).as_secs_f64() / seconds, memory(pid));
        }
    }
    let [idle, busy, node] = columns;
    for (name, column, limits) in [
        ("idle", idle, Some((0.05, 12.0))),
        ("baseinfo every 5 s", busy, Some((0.2, 18.0))),
        ("node_exporter, not asked", node, None),
    ] {
        let (cpu, rss) = (format!("{name}: CPU"), format!("{name}: RSS"));
        match limits {
            Some((cpu_limit, rss_limit)) => {
                report.limited(&cpu, "% of a core", cpu_limit, column.cpu);
                report.limited(&rss, "MB", rss_limit, column.rss);
            }
            None => {
                report.shown(&cpu, "% of a core", column.cpu);
                report.shown(&rss, "MB", column.rss);
            }
        }
        report.shown(&format!("{name}: PSS"), "MB", column.pss);
        report.shown(&format!("{name}: anonymous"), "MB", column.anonymous);
    }
}
