//! The manager: one task that owns the state of every feature. REST, probes.init, `gopher-ctl`, reload and
//! retry timers all become changes in its one queue, so two changes of one feature never interleave.
//!
//! Owns: which threads run, what each feature's configuration is, and the answer to each change. Leaves to
//! others: what a request means (`feature`), which processes a selection matches (`scope`), what is done
//! with samples (`store`); it reaches those through [`World`]. The policy is in `admit`, without I/O.

mod admit;
pub(crate) mod backoff;
mod changes;
mod core;
mod operation;
mod rehearse;
mod restrain;
mod spawn;
mod state;
mod view;

pub use operation::{Answer, Change, Changed, Fault, Item, Origin};
pub use restrain::Restrain;
pub use view::{FeatureView, StateName, SubProbeView, Views};

use crate::feature::{PidLookup, Problem, ProblemKind, Selection};
use probe_core::{Descriptor, Env, Resolved};
use probe_kit::link::Delivery;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// What the manager asks of the rest of the daemon.
pub trait World: PidLookup + Send {
    /// What `selection` matches now, with the containers if they are `wanted`; from here on changes are
    /// reported through [`Handle::rescope`].
    fn watch(&self, feature: &'static str, selection: &Selection, wanted: bool) -> Resolved;
    /// Stop watching.
    fn unwatch(&self, feature: &'static str);
    /// Run number `run` of a feature begins: take its batches, with these labels.
    fn open(&self, feature: &'static str, run: u64);
    /// The feature's labels are these from now on: `custom` ones with their values, and the keys of `pod` labels.
    fn labels(&self, feature: &'static str, custom: &[(String, String)], pod: &[String]);
    /// These sub-probes of the feature are off from now on: their series go.
    fn switch_off(&self, feature: &'static str, sub_probes: Vec<&'static str>);
    /// The run has ended: its series go, and what still comes of it is ignored.
    fn close(&self, feature: &'static str);
    /// The feature may have so many series from now on; `None` is as many as the daemon's settings say.
    fn allow(&self, feature: &'static str, series: Option<u64>);
}

/// Limits of the manager.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Selectors a feature may have.
    pub max_scope_rules: usize,
    /// How long a change waits for probes to start or stop before it is answered as unfinished.
    pub start_deadline: Duration,
    /// Changes that may wait for their turn; more are refused.
    pub max_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_scope_rules: 1000, start_deadline: Duration::from_secs(30), max_waiting: 256 }
    }
}

enum Request {
    Change(Change, oneshot::Sender<Answer>),
    Rescope(&'static str, Resolved),
    Restrain(Restrain),
    Shutdown(Duration, oneshot::Sender<Vec<&'static str>>),
}

/// The way to the manager, for everybody.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    views: Views,
    changes: watch::Receiver<u64>,
}

impl Handle {
    /// Makes a change and waits for its answer.
    pub async fn change(&self, change: Change) -> Answer {
        let features: Vec<&'static str> = change.items.iter().map(|item| item.feature).collect();
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Change(change, reply)).await.is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        Err(features.into_iter().map(|feature| Fault { feature, problem: stopping() }).collect())
    }

    /// Every feature as it is now.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// A number that grows with each accepted change of a configuration.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// What a watched selection matches has changed. Called from the scope engine's thread.
    pub fn rescope(&self, feature: &'static str, resolved: Resolved) {
        // When the manager has ended there is no probe left to tell.
        let _ = self.requests.blocking_send(Request::Rescope(feature, resolved));
    }

    /// A feature is over its budget, or has room again. Not answered: its view shows whether the step was taken.
    pub async fn restrain(&self, restrain: Restrain) {
        // When the manager has ended there is no probe left to restrain.
        let _ = self.requests.send(Request::Restrain(restrain)).await;
    }

    /// Stops every probe, within `deadline`; the names of those that did not end in time.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<&'static str> {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Shutdown(deadline, reply)).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

fn stopping() -> Problem {
    Problem {
        kind: ProblemKind::Unavailable,
        path: crate::feature::Path::default(),
        message: "the daemon is stopping".into(),
    }
}

/// Makes the manager of `features`. The future is its task: it ends after a shutdown.
pub fn manager(
    features: &[&'static Descriptor],
    env: Env,
    outlet: SyncSender<Delivery>,
    world: Box<dyn World>,
    limits: Limits,
) -> (Handle, impl Future<Output = ()> + Send + 'static) {
    let (requests, inbox) = mpsc::channel(64);
    let (core, views, changes) = core::Core::new(features, env, outlet, world, limits);
    (Handle { requests, views, changes }, core.run(inbox))
}

#[cfg(test)]
mod tests;
