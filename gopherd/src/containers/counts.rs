//! What happened, counted: events of the runtimes, containers that began, and what was lost. Read when somebody
//! asks for the daemon's own metrics.

use super::container::Runtime;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts by a short constant: a runtime's name, a reason.
pub type Tally = BTreeMap<&'static str, u64>;

/// The counters.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: Tally,
    started: Tally,
    lost: Tally,
}

impl Counts {
    /// Events that were received, by runtime.
    pub fn events(&self) -> Tally {
        self.with(|inner| inner.events.clone())
    }

    /// Containers that began while the daemon looked, by runtime.
    pub fn begun(&self) -> Tally {
        self.with(|inner| inner.started.clone())
    }

    /// What was not taken in, by reason.
    pub fn losses(&self) -> Tally {
        self.with(|inner| inner.lost.clone())
    }

    pub(super) fn event(&self, runtime: Runtime) {
        self.with(|inner| *inner.events.entry(runtime.as_str()).or_default() += 1);
    }

    pub(super) fn started(&self, runtime: Runtime) {
        self.with(|inner| *inner.started.entry(runtime.as_str()).or_default() += 1);
    }

    pub(super) fn lost(&self, reason: &'static str) {
        self.with(|inner| *inner.lost.entry(reason).or_default() += 1);
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
