//! What was lost, counted by where, whose and why.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Labels of `gopherd_lost_total`. All three are constants of the program, so their number is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// Where: `collect`, `queue`, `pipeline`, `scope`, `sink`.
    pub stage: &'static str,
    /// The probe or the sink that it is a loss of.
    pub owner: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Losses(Mutex<BTreeMap<Loss, u64>>);

impl Losses {
    /// Counts `count` more. A first loss, even of 0, makes the series.
    pub fn add(&self, loss: Loss, count: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(loss).or_insert(0) += count;
    }

    /// Every counter.
    pub fn all(&self) -> Vec<(Loss, u64)> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(loss, count)| (*loss, *count)).collect()
    }
}
