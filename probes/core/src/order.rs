//! What the operator wants of a probe, and what the probe made of it.

use crate::{Containers, Params, Scope, SubProbes};
use std::sync::Arc;

/// The wish: which sub-probes, over which processes, with which parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// The sub-probes that shall run, in the descriptor's order.
    pub sub_probes: SubProbes,
    /// The processes to observe.
    pub scope: Scope,
    /// The containers to observe; empty while no sub-probe that runs wants to know them
    /// ([`Descriptor::wants_containers`](crate::Descriptor::wants_containers)).
    pub containers: Containers,
    /// The parameters; a key that was never set has its default.
    pub params: Arc<Params>,
}

/// How one sub-probe fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubProbeOutcome {
    /// Its name, as in `cmd.probe`.
    pub name: &'static str,
    /// What it misses on this host, one sentence each; empty when it runs.
    pub missing: Vec<String>,
    /// What it runs without on this host, one sentence each.
    pub lacks: Vec<String>,
    /// Why it runs and yet nothing comes of it.
    pub blind: Option<String>,
}

impl SubProbeOutcome {
    /// Everything that it does not do, one sentence each.
    pub fn shortcomings(&self) -> impl Iterator<Item = &String> {
        self.missing.iter().chain(&self.lacks).chain(&self.blind)
    }
}

/// How all sub-probes that were asked for fared. A feature without sub-probes reports none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One entry for each sub-probe that was asked for.
    pub sub_probes: Vec<SubProbeOutcome>,
}

impl Outcome {
    /// Every sub-probe that was asked for runs.
    pub fn all(asked: &SubProbes) -> Self {
        let sub_probes = asked.iter().map(|name| SubProbeOutcome {
            name,
            missing: Vec::new(),
            lacks: Vec::new(),
            blind: None,
        });
        Self { sub_probes: sub_probes.collect() }
    }

    /// Notes that `name` cannot run because of `requirement`.
    pub fn miss(&mut self, name: &str, requirement: impl Into<String>) {
        if let Some(sub) = self.sub_probes.iter_mut().find(|sub| sub.name == name) {
            sub.missing.push(requirement.into());
        }
    }

    /// Notes that `name` runs, though without what `lacking` says.
    pub fn lack(&mut self, name: &str, lacking: impl Into<String>) {
        if let Some(sub) = self.sub_probes.iter_mut().find(|sub| sub.name == name) {
            sub.lacks.push(lacking.into());
        }
    }

    /// Notes that `name` runs and that nothing comes of it, because of what `sentence` says.
    pub fn blind(&mut self, name: &str, sentence: impl Into<String>) {
        if let Some(sub) = self.sub_probes.iter_mut().find(|sub| sub.name == name) {
            sub.blind = Some(sentence.into());
        }
    }

    /// Whether some sub-probe does not run, or not with everything that it has elsewhere.
    pub fn degraded(&self) -> bool {
        self.sub_probes.iter().any(|sub| sub.shortcomings().next().is_some())
    }

    /// Whether sub-probes were asked for and none of them runs.
    pub fn none_runs(&self) -> bool {
        !self.sub_probes.is_empty() && self.sub_probes.iter().all(|sub| !sub.missing.is_empty())
    }

    /// Everything that is missing for sub-probes to run, or to run with everything, as `sub-probe: requirement`.
    pub fn missing(&self) -> Vec<String> {
        self.sub_probes
            .iter()
            .flat_map(|sub| sub.shortcomings().map(move |what| format!("{}: {what}", sub.name)))
            .collect()
    }
}
