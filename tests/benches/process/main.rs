//! What the built daemon costs as a process, against the project's limits and beside node_exporter in the
//! same run.
//!
//! Owns the order of the measurements and the exit code: 1 when something could not be measured, 0 otherwise,
//! because a machine that is busy must not look like a broken program. The table says what falls short.
//!
//! `make bench` runs it after the benches of functions; `BENCH=short` is the one-minute form.

mod container;
mod containers;
mod delivery;
mod each_probe;
mod events;
mod flood;
mod functions;
mod growth;
mod io;
mod keepalive;
mod latency;
mod measure;
mod proc;
mod process_table;
mod report;
mod resident;
mod scrape;
mod servers;
mod socket;
mod tcp;
mod tcp_load;
mod tracker;

use report::Report;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// How long and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// As the numbers are quoted.
    Full,
    /// Enough to see a slip of the order of the limit.
    Short,
}

impl Length {
    fn pick<T>(self, full: T, short: T) -> T {
        if self == Self::Full { full } else { short }
    }
}

/// A part of the run, and what does it.
type Part = (&'static str, fn(Length, &mut Report));

const PARTS: &[Part] = &[
    ("functions", functions::measure),
    ("latency", latency::measure),
    ("scrape", scrape::measure),
    ("resident", resident::measure),
    ("process table", process_table::measure),
    ("containers", containers::measure),
    ("container", container::measure),
    ("flood", flood::measure),
    ("tcp", tcp::measure),
    ("tcp load", tcp_load::measure),
    ("socket", socket::measure),
    ("tracker", tracker::measure),
    ("events", events::measure),
    ("delivery", delivery::measure),
    ("proc: system calls", proc::measure),
    ("proc: servers", servers::measure),
    ("disk requests", io::measure),
    ("each probe", each_probe::measure),
    ("growth", growth::measure),
];

fn main() -> ExitCode {
    if tcp::hold_if_asked() || tcp_load::connect_if_asked() {
        return ExitCode::SUCCESS;
    }
    let length = match std::env::var("BENCH").as_deref() {
        Ok("short") => Length::Short,
        _ => Length::Full,
    };
    let mut report = Report::new(length == Length::Short);
    // As with criterion, words choose parts by name: `cargo bench --bench process -- table`.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    for (name, part) in PARTS.iter().filter(|(name, _)| chosen(name)) {
        eprintln!("measuring: {name}");
        // The harness panics with the reason; the other parts are still worth having.
        if catch_unwind(AssertUnwindSafe(|| part(length, &mut report))).is_err() {
            report.failed(name);
        }
    }
    report.finish()
}
