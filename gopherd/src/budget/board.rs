//! What the last look found of each feature, for documents. Everybody may hold one.

use crate::feature::Limits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A feature's limits and what it used of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// The limits that hold for it.
    pub limits: Limits,
    /// CPU time of its thread and its BPF programs, in cores, as of the last look.
    pub cpu: Option<f64>,
    /// Its data and its maps.
    pub memory_bytes: u64,
    /// Series in the store.
    pub series: u64,
    /// Events told a second.
    pub events_per_s: Option<f64>,
}

/// The figures of the features that run and have a budget.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, Figures>>>);

impl Board {
    /// These are all figures now.
    pub(super) fn set(&self, figures: BTreeMap<&'static str, Figures>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Those of a feature.
    pub fn get(&self, feature: &str) -> Option<Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(feature).copied()
    }
}
