//! Rates from two looks, and the order of the rows. Pure.

use crate::ctl::units;
use clap::ValueEnum;
use gopher_api::{ProbeItem, ProbeList, ProbeState, SubProbeCost, Targets};
use std::cmp::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// One look at the daemon.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// The same moment by the clock, to tell how long the daemon has been running.
    pub(super) clock: SystemTime,
    pub(super) list: ProbeList,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::ctl) enum SortBy {
    /// By name.
    #[default]
    Feature,
    /// What fails first.
    State,
    /// Most targets first.
    Targets,
    /// Most series first.
    Series,
    /// Most samples a second first.
    Samples,
    /// Most CPU time first.
    Cpu,
    /// Most run time in the kernel first.
    Bpf,
    /// Most memory first.
    Memory,
    /// Most losses first.
    Lost,
}

impl SortBy {
    /// The column `step` to the right of this one, around the end.
    pub(super) fn neighbour(self, step: isize) -> Self {
        let all = Self::value_variants();
        let at = all.iter().position(|column| *column == self).unwrap_or(0);
        let next = at.checked_add_signed(step).unwrap_or(all.len() - 1) % all.len();
        all.get(next).copied().unwrap_or_default()
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Which rows there are, and in which order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) by: SortBy,
    pub(super) reverse: bool,
    /// Those that do not run, too.
    pub(super) all: bool,
    /// A row for each sub-probe below its feature's.
    pub(super) sub_probes: bool,
}

/// One feature. A rate is `None` before the second look and after a restart of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row<'s> {
    pub(super) feature: &'s str,
    pub(super) state: ProbeState,
    pub(super) targets: Targets,
    pub(super) series: u64,
    pub(super) samples_per_s: Option<f64>,
    /// Of one core.
    pub(super) cpu: Option<f64>,
    /// Its programs in the kernel, of one core.
    pub(super) bpf: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) lost: u64,
    /// By sub-probe, as the daemon has sampled it.
    pub(super) sub_probes: &'s [SubProbeCost],
}

impl Row<'_> {
    /// Processes and containers together.
    fn targets(&self) -> u64 {
        self.targets.processes.unwrap_or(0) + self.targets.containers.unwrap_or(0)
    }
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Totals<'s> {
    pub(super) version: &'s str,
    pub(super) age: Option<Duration>,
    pub(super) cpu: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) series: u64,
    pub(super) samples_per_s: Option<f64>,
    /// Of the features and of the daemon.
    pub(super) lost: u64,
    /// How many features are in each state, those with none left out.
    pub(super) states: Vec<(ProbeState, usize)>,
    /// Lines of probes.init that did not apply.
    pub(super) bad_lines: usize,
}

/// Growth of a counter a second; `None` if it became smaller, as it does when the daemon is another one.
#[allow(clippy::cast_precision_loss)] // a rate for people
fn rate(before: Option<u64>, now: Option<u64>, passed: Duration) -> Option<f64> {
    let grown = now?.checked_sub(before?)?;
    (!passed.is_zero()).then(|| grown as f64 / passed.as_secs_f64())
}

const NS: f64 = 1e9;

fn memory(item: &ProbeItem) -> Option<u64> {
    match (item.cost.memory_bytes, item.cost.map_bytes) {
        (None, None) => None,
        (own, maps) => Some(own.unwrap_or(0) + maps.unwrap_or(0)),
    }
}

fn lost(lost: &std::collections::BTreeMap<String, u64>) -> u64 {
    lost.values().fold(0, |sum, count| sum.saturating_add(*count))
}

/// The features that run or shall, or all of them, in this order.
pub(super) fn rows<'s>(before: Option<&Sample>, now: &'s Sample, order: Order) -> Vec<Row<'s>> {
    let idle = |state| matches!(state, ProbeState::Stopped | ProbeState::Unavailable);
    let shown = now.list.items.iter().filter(|item| order.all || !idle(item.state));
    let mut rows: Vec<Row<'s>> = shown
        .map(|item| {
            let old =
                before.and_then(|sample| sample.list.items.iter().find(|old| old.feature == item.feature));
            let passed = before.map_or(Duration::ZERO, |before| now.at - before.at);
            Row {
                feature: &item.feature,
                state: item.state,
                targets: item.targets,
                series: item.series,
                samples_per_s: rate(old.map(|old| old.samples), Some(item.samples), passed),
                cpu: rate(old.and_then(|old| old.cost.cpu_ns), item.cost.cpu_ns, passed).map(|ns| ns / NS),
                bpf: item.cost.bpf_ns_per_s.map(units::share),
                memory_bytes: memory(item),
                lost: lost(&item.lost),
                sub_probes: &item.cost.sub_probes,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let by_column = compare(a, b, order.by);
        let by_column = if order.reverse { by_column.reverse() } else { by_column };
        by_column.then_with(|| a.feature.cmp(b.feature))
    });
    rows
}

/// What matters most comes first: names from A, numbers from the largest, states from the worst.
fn compare(a: &Row<'_>, b: &Row<'_>, by: SortBy) -> Ordering {
    let float = |a: Option<f64>, b: Option<f64>| b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0));
    match by {
        SortBy::Feature => a.feature.cmp(b.feature),
        SortBy::State => badness(b.state).cmp(&badness(a.state)),
        SortBy::Targets => b.targets().cmp(&a.targets()),
        SortBy::Series => b.series.cmp(&a.series),
        SortBy::Samples => float(a.samples_per_s, b.samples_per_s),
        SortBy::Cpu => float(a.cpu, b.cpu),
        SortBy::Bpf => float(a.bpf, b.bpf),
        SortBy::Memory => b.memory_bytes.cmp(&a.memory_bytes),
        SortBy::Lost => b.lost.cmp(&a.lost),
    }
}

fn badness(state: ProbeState) -> u8 {
    match state {
        ProbeState::Failed => 6,
        ProbeState::Degraded => 5,
        ProbeState::Starting => 4,
        ProbeState::Stopping => 3,
        ProbeState::Running => 2,
        ProbeState::Stopped => 1,
        ProbeState::Unavailable => 0,
    }
}

/// The daemon as a whole.
pub(super) fn totals<'s>(before: Option<&Sample>, now: &'s Sample) -> Totals<'s> {
    let daemon = &now.list.daemon;
    let old = before.map(|before| &before.list.daemon).filter(|old| old.started == daemon.started);
    let passed = before.map_or(Duration::ZERO, |before| now.at - before.at);
    let samples = |list: &ProbeList| list.items.iter().map(|item| item.samples).sum();
    let started = humantime::parse_rfc3339(&daemon.started).ok();
    let states = [
        ProbeState::Running,
        ProbeState::Degraded,
        ProbeState::Failed,
        ProbeState::Starting,
        ProbeState::Stopping,
        ProbeState::Stopped,
    ];
    let count = |state| now.list.items.iter().filter(|item| item.state == state).count();
    Totals {
        version: &daemon.version,
        age: started.and_then(|started| now.clock.duration_since(started).ok()),
        cpu: rate(old.and_then(|old| old.cpu_ns), daemon.cpu_ns, passed).map(|ns| ns / NS),
        memory_bytes: daemon.memory_bytes,
        series: daemon.series,
        samples_per_s: rate(before.map(|before| samples(&before.list)), Some(samples(&now.list)), passed),
        lost: now
            .list
            .items
            .iter()
            .fold(lost(&daemon.lost), |sum, item| sum.saturating_add(lost(&item.lost))),
        states: states.map(|state| (state, count(state))).into_iter().filter(|(_, n)| *n > 0).collect(),
        bad_lines: now.list.problems.len(),
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
