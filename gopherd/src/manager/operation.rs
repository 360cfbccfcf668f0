//! A change in progress: one feature, or several that take effect together or not at all.

use super::view::FeatureView;
use crate::access::audit::Actor;
use crate::budget::Restraint;
use crate::feature::{Edit, FeatureConfig, Problem};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// One feature's part of a change.
#[derive(Debug)]
pub struct Item {
    /// The feature.
    pub feature: &'static str,
    /// What shall become of its configuration.
    pub edit: Edit,
    /// Only if the feature's generation is this one.
    pub if_match: Option<u64>,
}

/// Where a change comes from, which decides what a failed start means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody waits for the answer: a start that fails changes nothing.
    Request,
    /// probes.init: the wish is kept and tried again.
    Init,
}

/// A change that was asked for.
#[derive(Debug)]
pub struct Change {
    /// Its parts, each of another feature.
    pub items: Vec<Item>,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// Who asks for it, for the line in the log.
    pub actor: Actor,
}

/// What became of one feature's part.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The feature.
    pub feature: &'static str,
    /// Its generation now.
    pub generation: u64,
    /// All of it as this change left it: a later one may have followed before the answer is read. After a dry
    /// run, how it is, with the configuration that it would have.
    pub view: Arc<FeatureView>,
    /// What was ignored, or does not run.
    pub warnings: Vec<String>,
    /// After a dry run that would start it: the memory of its maps, which were made and unmade.
    pub map_bytes: Option<u64>,
    /// The start or stop had not ended when the deadline came; it goes on.
    pub unfinished: bool,
}

/// Why one feature's part was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The feature.
    pub feature: &'static str,
    /// Why.
    pub problem: Problem,
}

/// The answer to a change: every part took effect, or none did and each fault is named.
pub type Answer = Result<Vec<Changed>, Vec<Fault>>;

/// A change that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) change: Change,
    pub(super) features: HashSet<usize>,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// What a part waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Await {
    Nothing,
    /// The probe to be attached.
    Attached,
    /// The probe's word on a changed set of sub-probes.
    Reported,
    /// The probe's end.
    Exited,
}

/// What a feature was before the change, to go back to.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) config: Option<FeatureConfig>,
    pub(super) generation: u64,
    pub(super) restraint: Restraint,
    pub(super) wanted: bool,
    pub(super) healthy: bool,
}

/// One part of a change in progress.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) feature: usize,
    pub(super) before: Before,
    pub(super) awaits: Await,
    pub(super) warnings: Vec<String>,
}

/// A change in progress.
#[derive(Debug)]
pub(super) struct InProgress {
    pub(super) parts: Vec<Part>,
    pub(super) origin: Origin,
    pub(super) actor: Actor,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Answer>,
}

impl InProgress {
    pub(super) fn part(&mut self, feature: usize) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.feature == feature)
    }

    pub(super) fn done(&self) -> bool {
        self.parts.iter().all(|part| part.awaits == Await::Nothing)
    }
}
