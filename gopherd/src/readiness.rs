//! Whether the daemon is ready, and what does not work as it was configured. Any part may hold one and say
//! so; `http` shows it.

use gopher_api::{Ready, ReadyProblem};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The source of problems with lines of probes.init, which the list of probes shows too.
pub const PROBES_INIT: &str = "probes.init";

/// Problems that one source may show; the number of further ones is said.
const MAX_SHOWN: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    problems: BTreeMap<&'static str, Vec<String>>,
}

/// Where the daemon is in its life, and what does not work as configured. Everybody may hold one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Inner>>);

impl Readiness {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The listeners answer and probes.init was read.
    pub fn serving(&self) {
        self.with(|inner| inner.phase = Phase::Serving);
    }

    /// The daemon was told to end.
    pub fn stopping(&self) {
        self.with(|inner| inner.phase = Phase::Stopping);
    }

    /// What is wrong with `source` now, one sentence each; empty when nothing is.
    pub fn set(&self, source: &'static str, mut problems: Vec<String>) {
        let more = problems.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            problems.truncate(MAX_SHOWN);
            problems.push(format!("{more} more; the log has them"));
        }
        self.with(|inner| {
            if problems.is_empty() {
                inner.problems.remove(source);
            } else {
                inner.problems.insert(source, problems);
            }
        });
    }

    /// What is wrong, by source.
    pub fn problems(&self) -> Vec<ReadyProblem> {
        let problem = |source: &&str, detail: &String| ReadyProblem {
            source: (*source).to_owned(),
            detail: detail.clone(),
        };
        self.with(|inner| {
            let each = inner.problems.iter();
            each.flat_map(|(source, all)| all.iter().map(move |detail| problem(source, detail))).collect()
        })
    }

    /// The document.
    pub fn document(&self) -> Ready {
        let ready = self.with(|inner| inner.phase == Phase::Serving);
        Ready { ready, problems: self.problems() }
    }
}
