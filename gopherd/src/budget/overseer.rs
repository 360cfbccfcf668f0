//! One look at all features and at the daemon: who is over its budget, who has room again, and which steps follow. Pure
//! but for its memory of earlier looks.

use super::judge::{Judge, Verdict};
use super::ladder::{Restraint, Rungs, Step, Taken, Whose, next};
use super::settings::Values;
use super::usage::{Resource, Used, Window, looks, part, text};
use crate::cost::FeatureCost;
use crate::feature::Limits;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// A feature that runs, as this look finds it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: &'static str,
    pub(super) generation: u64,
    pub(super) restraint: Restraint,
    /// `None`: nothing ever restrains it.
    pub(super) limits: Option<Limits>,
    /// The report period that it is configured with.
    pub(super) period: Option<Duration>,
    /// The sub-probes that run.
    pub(super) running: Vec<&'static str>,
    pub(super) cost: FeatureCost,
}

impl Seen {
    /// What it uses at this moment.
    pub(super) fn used(&self) -> Used {
        let cost = &self.cost;
        let cpu = cost.cpu.map(|cpu| cpu + cost.bpf.unwrap_or(0.0));
        Used { cpu, memory: cost.memory_bytes.saturating_add(cost.map_bytes) }
    }

    /// The time between two of its reports.
    fn span(&self) -> Duration {
        self.restraint.period().or(self.period).unwrap_or_default()
    }
}

/// A step for a feature: its restraint shall be this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) feature: &'static str,
    pub(super) generation: u64,
    pub(super) from: Restraint,
    pub(super) to: Restraint,
}

/// What is remembered of a feature.
#[derive(Debug, Default)]
struct Known {
    generation: u64,
    restraint: Restraint,
    judge: Judge,
    window: Window,
    used: Used,
}

/// The memory of earlier looks.
#[derive(Debug, Default)]
pub(super) struct Overseer {
    features: HashMap<&'static str, Known>,
    daemon: Judge,
    window: Window,
}

impl Overseer {
    /// A look at the features that run and at what the daemon uses at this moment. At most one step for each feature.
    pub(super) fn look(
        &mut self,
        seen: &[Seen],
        daemon: Used,
        values: &Values,
        longest: Duration,
        now: SystemTime,
    ) -> Vec<Decision> {
        self.features.retain(|name, _| seen.iter().any(|seen| seen.name == *name));
        let mut decisions = Vec::new();
        for seen in seen {
            let known = self.features.entry(seen.name).or_default();
            decisions.extend(known.look(seen, values.period, longest, now));
        }
        let free: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.limits.is_some() && decisions.iter().all(|step| step.feature != seen.name))
            .collect();
        let span = seen.iter().map(Seen::span).max().unwrap_or_default();
        decisions.extend(self.look_at_daemon(&free, (daemon, span), values, longest, now));
        decisions
    }

    /// The steps for the daemon's own budget, of features that no other step is for.
    fn look_at_daemon(
        &mut self,
        free: &[&Seen],
        (daemon, span): (Used, Duration),
        values: &Values,
        longest: Duration,
        now: SystemTime,
    ) -> Option<Decision> {
        let cpu = self.window.mean(daemon.cpu, looks(span, values.period));
        let daemon = Used { cpu, ..daemon };
        let most = part(daemon, &values.daemon);
        match (self.daemon.look(most.map(|(part, _)| part)), most) {
            (Verdict::Tighten, Some((_, resource))) => {
                let seen = self.most_expensive(free, resource)?;
                let known = self.features.get_mut(seen.name)?;
                let reason =
                    format!("the daemon used {}, most of it here", text(daemon, &values.daemon, resource));
                let decision = known.tighten(seen, Whose::Daemon, reason, longest, now)?;
                self.daemon.tightened();
                self.window.clear();
                Some(decision)
            }
            (Verdict::Relax, _) => {
                let of_daemon = |seen: &&&Seen| {
                    let last = seen.restraint.last().filter(|taken| taken.whose == Whose::Daemon);
                    last.is_some() && seen.restraint.relaxed().is_some()
                };
                let since = |seen: &&&Seen| seen.restraint.last().map(|taken| taken.since);
                let seen = free.iter().filter(of_daemon).max_by_key(since)?;
                let decision = self.features.get_mut(seen.name)?.relax(seen)?;
                self.daemon.relaxed();
                self.window.clear();
                Some(decision)
            }
            _ => None,
        }
    }

    /// The feature that uses most of `resource`, if any uses some.
    fn most_expensive<'a>(&self, free: &[&'a Seen], resource: Resource) -> Option<&'a Seen> {
        #[allow(clippy::cast_precision_loss)] // to compare
        let used = |seen: &&&'a Seen| match (self.features.get(seen.name), resource) {
            (Some(known), Resource::Cpu) => known.used.cpu.unwrap_or(0.0),
            (Some(known), Resource::Memory) => known.used.memory as f64,
            (None, _) => 0.0,
        };
        let some = free.iter().filter(|seen| used(seen) > 0.0);
        some.max_by(|a, b| used(a).total_cmp(&used(b))).copied()
    }
}

impl Known {
    fn look(&mut self, seen: &Seen, every: Duration, longest: Duration, now: SystemTime) -> Option<Decision> {
        if (self.generation, &self.restraint) != (seen.generation, &seen.restraint) {
            // It was changed, which clears its restraint, or a step was not taken: either begins anew.
            let (generation, restraint) = (seen.generation, seen.restraint.clone());
            *self = Self { generation, restraint, ..Self::default() };
        }
        let at_once = seen.used();
        let cpu = self.window.mean(at_once.cpu, looks(seen.span(), every));
        self.used = Used { cpu, ..at_once };
        let limits = seen.limits?;
        let most = part(self.used, &limits);
        match (self.judge.look(most.map(|(part, _)| part)), most) {
            (Verdict::Tighten, Some((_, resource))) => {
                let reason = format!("it used {}", text(self.used, &limits, resource));
                let decision = self.tighten(seen, Whose::Feature, reason, longest, now)?;
                self.judge.tightened();
                Some(decision)
            }
            // A step for the daemon's budget is the daemon's to take back.
            (Verdict::Relax, _) if seen.restraint.last()?.whose == Whose::Feature => {
                let decision = self.relax(seen)?;
                self.judge.relaxed();
                Some(decision)
            }
            _ => None,
        }
    }

    fn tighten(
        &mut self,
        seen: &Seen,
        whose: Whose,
        reason: String,
        longest: Duration,
        now: SystemTime,
    ) -> Option<Decision> {
        let rungs =
            Rungs { period: seen.period, longest, running: &seen.running, costs: &seen.cost.sub_probes };
        let step: Step = next(&seen.restraint, &rungs)?;
        Some(self.decide(seen, seen.restraint.tightened(Taken { step, whose, reason, since: now })))
    }

    fn relax(&mut self, seen: &Seen) -> Option<Decision> {
        Some(self.decide(seen, seen.restraint.relaxed()?))
    }

    /// What was seen until now says nothing about the time after the step.
    fn decide(&mut self, seen: &Seen, to: Restraint) -> Decision {
        self.window.clear();
        self.restraint.clone_from(&to);
        Decision { feature: seen.name, generation: seen.generation, from: seen.restraint.clone(), to }
    }
}

#[cfg(test)]
#[path = "overseer_tests.rs"]
mod tests;
