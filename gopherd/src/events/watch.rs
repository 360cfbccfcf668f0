//! The pipeline's side: each batch that the store has taken goes past the engine, and what is to be told into the
//! queue of the thread `events`. Never waits.

use super::counts::Counts;
use super::document::About;
use super::engine::{Circumstances, Engine, Event};
use crate::budget::Settings;
use crate::manager::{StateName, Views};
use crate::store::Labels;
use probe_core::{Batch, params};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

/// Events that may wait for the thread; further ones are not taken and told again by the next period if they still
/// hold, and counted.
pub const QUEUE: usize = 16_384;

/// An event on its way to the thread, with what is known of its subject.
pub(super) type Item = (Event, About);

/// What the pipeline holds.
#[derive(Debug)]
pub struct Watch {
    engine: Engine,
    views: Views,
    budgets: Settings,
    outlet: Sender<Item>,
    waiting: Arc<AtomicUsize>,
}

impl Watch {
    /// Watches the features of `views`.
    pub(super) fn new(
        (machine, timeout, counts): (String, Duration, Counts),
        (views, budgets): (Views, Settings),
        outlet: Sender<Item>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        Self { engine: Engine::new(machine, timeout, counts), views, budgets, outlet, waiting }
    }

    /// A batch of `feature` is in the store.
    pub fn batch(&mut self, feature: &'static str, run: u64, batch: &Batch, labels: &dyn Labels) {
        let Some(view) = self.views.get(feature) else { return };
        if view.descriptor.triggers.is_empty() {
            return;
        }
        let Some(config) = &view.config else { return };
        let with = Circumstances {
            descriptor: view.descriptor,
            run,
            params: &config.params,
            events_per_s: self.budgets.get().limits(config.budget).and_then(|limits| limits.events_per_s),
            now: Instant::now(),
        };
        let (outlet, waiting) = (&self.outlet, &self.waiting);
        self.engine.take(with, batch, &mut |event| hand_over(outlet, waiting, event, labels));
    }

    /// Looks for features that have stopped, or whose events were switched off: what held there is over.
    pub fn sweep(&mut self, labels: &dyn Labels) {
        for feature in self.engine.features() {
            let watched = self.views.get(feature).is_some_and(|view| {
                let runs =
                    !matches!(view.state, StateName::Stopped | StateName::Failed | StateName::Unavailable);
                let wants = |params: &probe_core::Params| params.int(&params::REPORT_EVENT) > 0;
                runs && view.config.as_ref().is_some_and(|config| wants(&config.params))
            });
            if !watched {
                let (outlet, waiting) = (&self.outlet, &self.waiting);
                let mut tell = |event| hand_over(outlet, waiting, event, labels);
                self.engine.forget(feature, SystemTime::now(), Instant::now(), &mut tell);
            }
        }
    }
}

/// Only this side adds, so room that was seen stays.
fn hand_over(outlet: &Sender<Item>, waiting: &AtomicUsize, event: Event, labels: &dyn Labels) -> bool {
    if waiting.load(Ordering::Acquire) >= QUEUE {
        return false;
    }
    let about = labels.fragment(event.feature, event.trigger.table, event.subject);
    waiting.fetch_add(1, Ordering::AcqRel);
    outlet.send((event, about)).is_ok()
}
