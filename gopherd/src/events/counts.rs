//! What became of events, by feature; read by the daemon's own metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Of one feature, since the daemon started; `conditions` is of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureCounts {
    /// Events that were accepted for delivery.
    pub events: u64,
    /// Bytes of their documents.
    pub bytes: u64,
    /// Events that were not told because the same one was, within `event.timeout`.
    pub suppressed: u64,
    /// Events that found the queue to the thread `events` full. The next period tells them again if they still hold.
    pub queue_full: u64,
    /// Events that were not told because the feature's budget has no more of them. The next period tells those that still
    /// hold.
    pub over_budget: u64,
    /// Readings of rows that could not be watched because as many are watched as may be.
    pub row_limit: u64,
    /// Conditions that hold now.
    pub conditions: u64,
}

/// The counters of all features. Everybody may hold one.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<&'static str, FeatureCounts>>>);

impl Counts {
    /// Changes the counters of `feature`.
    pub(super) fn with(&self, feature: &'static str, change: impl FnOnce(&mut FeatureCounts)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(feature).or_default());
    }

    /// All that were ever touched.
    pub fn read(&self) -> Vec<(&'static str, FeatureCounts)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(feature, counts)| (*feature, *counts)).collect()
    }
}
