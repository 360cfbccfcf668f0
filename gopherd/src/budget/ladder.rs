//! The steps by which a feature is restrained: it reports half and then a quarter as often, then goes without one
//! sub-probe after the other, the most expensive first, and at last does not run. Pure.
//!
//! Owns the order of the steps and what they come to. Leaves when one is taken to `judge`, and taking it to the manager.

use crate::cost::SubProbeCost;
use std::time::{Duration, SystemTime};

/// So many times the configured report period, one step after the other.
const FACTORS: [u32; 2] = [2, 4];

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It reports once in this time.
    Period(Duration),
    /// It goes without this sub-probe.
    Without(&'static str),
    /// It does not run.
    Stop,
}

impl Step {
    /// Its name in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Period(_) => "period",
            Self::Without(_) => "sub_probe",
            Self::Stop => "stop",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Period(period) => write!(f, "reports every {} s", period.as_secs()),
            Self::Without(sub_probe) => write!(f, "goes without {sub_probe}"),
            Self::Stop => f.write_str("is stopped"),
        }
    }
}

/// Whose budget a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The feature's own.
    Feature,
    /// The whole daemon's, of which it took the most.
    Daemon,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The step.
    pub step: Step,
    /// Whose budget it is for.
    pub whose: Whose,
    /// What was over which limit, as a sentence without its end.
    pub reason: String,
    /// When.
    pub since: SystemTime,
}

/// How a feature is restrained: the steps in force, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restraint(Vec<Taken>);

impl Restraint {
    /// The steps in force.
    pub fn steps(&self) -> &[Taken] {
        &self.0
    }

    /// The last step.
    pub fn last(&self) -> Option<&Taken> {
        self.0.last()
    }

    /// How often it reports, if not as often as it is configured to.
    pub fn period(&self) -> Option<Duration> {
        self.0.iter().rev().find_map(|taken| match taken.step {
            Step::Period(period) => Some(period),
            Step::Without(_) | Step::Stop => None,
        })
    }

    /// Why it goes without this sub-probe, if it does.
    pub fn without(&self, sub_probe: &str) -> Option<&Taken> {
        self.0.iter().find(|taken| matches!(taken.step, Step::Without(name) if name == sub_probe))
    }

    /// Why it does not run, if it does not.
    pub fn stopped(&self) -> Option<&Taken> {
        self.last().filter(|taken| taken.step == Step::Stop)
    }

    /// With one step more.
    #[must_use]
    pub fn tightened(&self, taken: Taken) -> Self {
        let mut steps = self.0.clone();
        steps.push(taken);
        Self(steps)
    }

    /// With one step less; `None` when there is none to take back. What was stopped is not started again: nothing says
    /// that it would cost less.
    pub fn relaxed(&self) -> Option<Self> {
        let (last, rest) = self.0.split_last()?;
        (last.step != Step::Stop).then(|| Self(rest.to_vec()))
    }
}

/// What the ladder has to know of a feature that runs.
#[derive(Clone, Debug)]
pub(super) struct Rungs<'a> {
    /// The report period that it is configured with; `None` for a feature that reports when it has something to say.
    pub(super) period: Option<Duration>,
    /// The longest report period that there is.
    pub(super) longest: Duration,
    /// The sub-probes that run now, in the descriptor's order.
    pub(super) running: &'a [&'static str],
    /// What sub-probes cost, as far as it is known.
    pub(super) costs: &'a [SubProbeCost],
}

/// The step that comes next; `None` when the last one was taken.
pub(super) fn next(restraint: &Restraint, rungs: &Rungs<'_>) -> Option<Step> {
    if restraint.stopped().is_some() {
        return None;
    }
    // A sub-probe that is off comes back before the period does, so the period is over once one is.
    let begun = restraint.steps().iter().any(|taken| matches!(taken.step, Step::Without(_)));
    if let Some(period) = rungs.period.filter(|_| !begun) {
        let now = restraint.period().unwrap_or(period);
        let mut longer = FACTORS.iter().map(|factor| (period * *factor).min(rungs.longest));
        if let Some(longer) = longer.find(|longer| *longer > now) {
            return Some(Step::Period(longer));
        }
    }
    if rungs.running.len() > 1
        && let Some(sub_probe) = most_expensive(rungs)
    {
        return Some(Step::Without(sub_probe));
    }
    Some(Step::Stop)
}

/// By CPU time and run time, then by series; of those that are alike the one that the descriptor names last, which is
/// the least usual one.
fn most_expensive(rungs: &Rungs<'_>) -> Option<&'static str> {
    let cost = |name: &&'static str| {
        let cost = rungs.costs.iter().find(|cost| cost.name == *name);
        cost.map_or((0.0, 0), |cost| (cost.cpu.unwrap_or(0.0) + cost.bpf.unwrap_or(0.0), cost.series))
    };
    let by_cost = |a: &&'static str, b: &&'static str| {
        let ((time_a, series_a), (time_b, series_b)) = (cost(a), cost(b));
        time_a.total_cmp(&time_b).then(series_a.cmp(&series_b))
    };
    rungs.running.iter().copied().max_by(by_cost)
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
