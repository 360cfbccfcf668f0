//! The families about budgets.

use super::{gauge, raise, register};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, Result};
use std::collections::BTreeMap;

/// Steps that budgets took.
#[derive(Debug)]
pub(super) struct BudgetMetrics {
    steps: IntCounterVec,
    level: IntGaugeVec,
}

impl BudgetMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let steps = Opts::new(
            "gopherd_budget_steps_total",
            "Steps that a budget took: a longer report period, a sub-probe off, a stop, and one step back.",
        );
        let level =
            Opts::new("gopherd_budget_level", "Steps of a budget that are in force now; 0 is unrestrained.");
        Ok(Self {
            steps: register(registry, IntCounterVec::new(steps, &["probe", "step"]))?,
            level: register(registry, IntGaugeVec::new(level, &["probe"]))?,
        })
    }

    pub(super) fn set(&self, probe: &str, steps: &BTreeMap<&'static str, u64>, level: usize) {
        for (step, count) in steps {
            raise(&self.steps.with_label_values(&[probe, step]), *count);
        }
        self.level.with_label_values(&[probe]).set(gauge(level));
    }
}
