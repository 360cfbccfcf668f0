//! A restraint takes effect: the feature's order is what is configured less what its budget takes away. The
//! configuration stays the operator's wish.

use super::admit::Event;
use super::core::{Core, Entry};
use super::state::State;
use crate::access::audit::{self, Actor};
use crate::budget::Restraint;
use crate::feature::FeatureConfig;
use probe_core::{ParamValue, Params, SubProbes, params};
use serde_json::{Value, json};

/// One step more, or one back, for a feature.
#[derive(Clone, Debug)]
pub struct Restrain {
    /// The feature.
    pub feature: &'static str,
    /// Its generation when that was decided.
    pub generation: u64,
    /// Its restraint then.
    pub from: Restraint,
    /// What it shall be.
    pub to: Restraint,
}

impl Core {
    /// Takes the step, unless something else has come in between: then it is decided anew.
    pub(super) fn restrain(&mut self, asked: Restrain) {
        let Some(index) = self.index(asked.feature) else { return };
        let entry = &mut self.entries[index];
        let same = entry.view.generation == asked.generation && entry.restraint == asked.from;
        let runs = matches!(entry.state, State::Running { .. });
        if !same || !runs || entry.busy.is_some() || self.shutdown.is_some() {
            return;
        }
        let step = asked.to.last().filter(|_| asked.to.steps().len() > asked.from.steps().len());
        let name = step.map_or(BACK, |taken| taken.step.name());
        *entry.view.budget_steps.entry(name).or_default() += 1;
        entry.restraint = asked.to;
        let event = if entry.restraint.stopped().is_some() { Event::Stop } else { Event::Change };
        let (before, after) = (shown(&asked.from), shown(&entry.restraint));
        audit::record(&Actor::Budget, asked.feature, &before, &after, Some(asked.generation));
        let _ = self.perform(index, event, None);
    }
}

/// What a step back is called in labels.
pub(super) const BACK: &str = "back";

impl Entry {
    /// The sub-probes that shall run of `config`.
    pub(super) fn active(&self, config: &FeatureConfig) -> SubProbes {
        let active = config.active_sub_probes(self.descriptor);
        active.iter().filter(|name| self.restraint.without(name).is_none()).collect()
    }

    /// The parameters that hold of `config`.
    pub(super) fn params(&self, config: &FeatureConfig) -> Params {
        let mut held = config.params.clone();
        if let Some(period) = self.restraint.period() {
            let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
            held.set(&params::REPORT_PERIOD, ParamValue::Int(seconds));
        }
        held
    }
}

/// A restraint as the log shows it.
fn shown(restraint: &Restraint) -> Value {
    let because = restraint.last().map(|taken| &taken.reason);
    let steps: Vec<String> = restraint.steps().iter().map(|taken| taken.step.to_string()).collect();
    json!({"budget": {"steps": steps, "because": because}})
}
