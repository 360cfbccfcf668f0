//! What is measured of the daemon at one moment.

use gopher_e2e::Daemon;
use gopher_e2e::bpf::{KINDS, held};
use gopher_e2e::daemon::proc_file;

/// What is sampled: name, unit, and growth an hour that still passes when the interval does not hold 0. What is counted
/// in whole things may not grow by one of them in an hour.
pub(crate) const ROWS: [(&str, &str, f64); 9] = [
    ("RSS", "MB", 1.0),
    ("anonymous memory", "MB", 1.0),
    ("open descriptors", "", 0.5),
    ("threads", "", 0.5),
    ("BPF programs", "", 0.5),
    ("BPF maps", "", 0.5),
    ("BPF links", "", 0.5),
    ("series", "", 5.0),
    ("spool", "MB", 0.5),
];

/// The values of one moment, in the order of [`ROWS`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample(pub(crate) [f64; ROWS.len()]);

impl Sample {
    /// Of the daemon now.
    #[allow(clippy::cast_precision_loss)] // small numbers
    pub(crate) fn of(daemon: &Daemon<'_>) -> Self {
        let pid = daemon.pid();
        let rollup = proc_file(pid, "smaps_rollup").expect("smaps_rollup of a running process");
        let mb = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of kB") * 1024.0 / 1e6
        };
        let entries = |dir: &str| {
            std::fs::read_dir(format!("/proc/{pid}/{dir}")).expect("of a running process").count() as f64
        };
        let [programs, maps, links] = KINDS.map(|kind| held(kind, pid).len() as f64);
        let scrape = daemon.scrape("/metrics");
        let sum = |name: &str| scrape.all(name).map(|sample| sample.value).sum::<f64>();
        Self([
            mb("Rss:"),
            mb("Anonymous:"),
            entries("fd"),
            entries("task"),
            programs,
            maps,
            links,
            sum("gopherd_series"),
            sum("gopherd_spool_bytes") / 1e6,
        ])
    }

    /// What was lost by now and counted, largest first: with processes that end at once there is always something.
    pub(crate) fn losses(daemon: &Daemon<'_>) -> String {
        let scrape = daemon.scrape("/metrics");
        let mut lost: Vec<_> = scrape.all("gopherd_lost_total").filter(|sample| sample.value > 0.0).collect();
        lost.sort_by(|a, b| b.value.total_cmp(&a.value));
        let one = |sample: &&gopher_e2e::Sample| {
            let label = |name| sample.label(name).unwrap_or("-");
            format!("{}/{}/{} {}", label("stage"), label("owner"), label("reason"), sample.value)
        };
        lost.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// For the screen.
    pub(crate) fn line(&self) -> String {
        let values = ROWS.iter().zip(self.0);
        let texts = values.map(|((name, unit, _), value)| {
            if unit.is_empty() { format!("{name} {value}") } else { format!("{name} {value:.2} {unit}") }
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}
