//! What the world may see of a feature: an immutable picture that the manager replaces after each change, so
//! that a reader never waits for it.

use super::state::State;
use crate::budget::Restraint;
use crate::feature::FeatureConfig;
use arc_swap::ArcSwap;
use probe_core::Descriptor;
use probe_kit::link::Gauges;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// State as the native API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateName {
    /// Not running, not wanted.
    Stopped,
    /// Not attached yet.
    Starting,
    /// All that was asked for runs.
    Running,
    /// Part of what was asked for runs.
    Degraded,
    /// Ended by itself.
    Failed,
    /// Told to end.
    Stopping,
    /// Not built in this version.
    Unavailable,
}

impl StateName {
    /// Every state, for metrics that show one series each.
    pub const ALL: [Self; 7] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Degraded,
        Self::Failed,
        Self::Stopping,
        Self::Unavailable,
    ];

    /// As written in documents and labels.
    pub fn text(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What to do about a feature that its budget has stopped.
const WAY_OUT: &str =
    "narrow its scope, raise its budget or set it to \"off\": the next change starts it again";

/// One sub-probe that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubProbeView {
    /// Its name.
    pub name: &'static str,
    /// Whether it runs.
    pub running: bool,
    /// What it lacks, to run or to run with everything.
    pub missing: Vec<String>,
    /// Why it runs and yet nothing comes of it; also the last of what it lacks.
    pub blind: Option<String>,
}

/// A feature as it is now.
#[derive(Clone, Debug)]
pub struct FeatureView {
    /// What it is.
    pub descriptor: &'static Descriptor,
    /// Its configuration, if it ever had one.
    pub config: Option<FeatureConfig>,
    /// Counts accepted changes; the ETag.
    pub generation: u64,
    /// Its state.
    pub state: StateName,
    /// When it came into this state.
    pub since: SystemTime,
    /// Why it failed.
    pub error: Option<String>,
    /// How often it has failed in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Option<SystemTime>,
    /// Restarts after a failure, since the daemon started.
    pub restarts: u64,
    /// What its budget takes away of its configuration now.
    pub restraint: Restraint,
    /// Steps that its budget took, by name, since the daemon started.
    pub budget_steps: BTreeMap<&'static str, u64>,
    /// The sub-probes that were asked for and that its budget leaves on.
    pub sub_probes: Vec<SubProbeView>,
    /// What the probe costs and loses.
    pub gauges: Arc<Gauges>,
}

impl FeatureView {
    pub(super) fn new(descriptor: &'static Descriptor, gauges: Arc<Gauges>) -> Self {
        let state = if descriptor.build.is_some() { StateName::Stopped } else { StateName::Unavailable };
        Self {
            descriptor,
            config: None,
            generation: 0,
            state,
            since: SystemTime::now(),
            error: None,
            attempts: 0,
            retry_at: None,
            restarts: 0,
            restraint: Restraint::default(),
            budget_steps: BTreeMap::new(),
            sub_probes: Vec::new(),
            gauges,
        }
    }

    /// Takes over what `state` says.
    pub(super) fn take_state(&mut self, state: &State) {
        let before = self.state;
        (self.error, self.attempts, self.retry_at) = (None, 0, None);
        self.sub_probes.clear();
        self.state = match state {
            _ if self.descriptor.build.is_none() => StateName::Unavailable,
            State::Stopped => match self.restraint.stopped() {
                Some(taken) => {
                    self.error = Some(format!("stopped by its budget: {}; {WAY_OUT}", taken.reason));
                    StateName::Failed
                }
                None => StateName::Stopped,
            },
            State::Starting { .. } => StateName::Starting,
            State::Running { outcome, .. } => {
                self.sub_probes = outcome
                    .sub_probes
                    .iter()
                    .map(|sub| SubProbeView {
                        name: sub.name,
                        running: sub.missing.is_empty(),
                        missing: sub.shortcomings().cloned().collect(),
                        blind: sub.blind.clone(),
                    })
                    .collect();
                let whole = !outcome.degraded() && self.restraint.steps().is_empty();
                if whole { StateName::Running } else { StateName::Degraded }
            }
            State::Failed { error, attempts, retry_at } => {
                self.error = Some(error.to_string());
                self.attempts = *attempts;
                self.retry_at = retry_at
                    .map(|at| SystemTime::now() + at.saturating_duration_since(std::time::Instant::now()));
                StateName::Failed
            }
            State::Stopping { .. } => StateName::Stopping,
        };
        if self.state != before {
            self.since = SystemTime::now();
        }
    }
}

/// The present picture of every feature.
#[derive(Clone, Debug)]
pub struct Views(Arc<Vec<ArcSwap<FeatureView>>>);

impl Views {
    pub(super) fn new(views: impl Iterator<Item = FeatureView>) -> Self {
        Self(Arc::new(views.map(ArcSwap::from_pointee).collect()))
    }

    pub(super) fn publish(&self, index: usize, view: FeatureView) {
        if let Some(slot) = self.0.get(index) {
            slot.store(Arc::new(view));
        }
    }

    /// One feature.
    pub fn get(&self, feature: &str) -> Option<Arc<FeatureView>> {
        self.all().find(|view| view.descriptor.name == feature)
    }

    /// What of the features does not work though it is on, runs or was stopped by its budget, as `feature` and
    /// sentence.
    pub fn problems(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.all().flat_map(|view| {
            let blind = view.sub_probes.iter().filter_map(|sub| Some((sub.name, sub.blind.as_ref()?)));
            let blind = blind.map(|(name, why)| format!("{name}: {why}"));
            let stopped = view.error.clone().filter(|_| view.restraint.stopped().is_some());
            blind.chain(stopped).map(|problem| (view.descriptor.name, problem)).collect::<Vec<_>>()
        })
    }

    /// Every feature, in the registry's order.
    pub fn all(&self) -> impl Iterator<Item = Arc<FeatureView>> + '_ {
        self.0.iter().map(ArcSwap::load_full)
    }
}
