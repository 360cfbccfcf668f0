//! Which labels a row's subject has: those of its process, the label of the selector that matched it, and those
//! of its container and pod.
//!
//! Called once for each row of each batch, so what was rendered is kept for as long as what it was rendered from
//! is the same; that is asked by pointers and by one number, the registry's revision.

use super::PodLabels;
use crate::containers::{Container, ContainerId, Registry};
use crate::meta::{MetaCache, PodLabel, ProcessLabels, container_labels};
use crate::recent::Recent;
use crate::scope::{ScopeEngine, UserLabel};
use crate::store::{Fragment, Labels};
use probe_core::{ContainerKey, Label, ProcKey, Subject, Table};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Fragments that are kept: as many as processes whose labels are.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).expect("not 0");

/// The entity whose series also say how the process was started.
const PROC: &str = "proc";

#[derive(PartialEq, Eq, Hash)]
struct Key {
    feature: &'static str,
    subject: Subject,
    detailed: bool,
}

/// The container that a fragment names.
struct Inside {
    id: ContainerId,
    known: Option<Arc<Container>>,
    wanted: Arc<[PodLabel]>,
    /// The registry's when `known` was asked for.
    revision: u64,
}

impl Inside {
    /// What is known now about `id`, or what was known of it before, if the registry has forgotten it.
    fn now(labels: &SubjectLabels, feature: &str, id: &ContainerId, before: Option<&Self>) -> Self {
        // The revision first: what changes after it is noticed at the next look.
        let revision = labels.registry.revision();
        let before = before.filter(|before| before.id == *id);
        let known = match before {
            Some(before) if before.revision == revision => before.known.clone(),
            _ => labels.registry.get(id).or_else(|| before?.known.clone()),
        };
        Self { id: id.clone(), known, wanted: labels.pod_labels.get(feature), revision }
    }

    /// Whether the labels are the same ones.
    fn same(&self, other: &Self) -> bool {
        let known = match (&self.known, &other.known) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        known && self.id == other.id && Arc::ptr_eq(&self.wanted, &other.wanted)
    }

    fn append<'a>(&'a self, labels: &mut Vec<(&'a str, Label)>) {
        container_labels(&self.id, self.known.as_deref(), &self.wanted, labels);
    }
}

struct Kept {
    process: Option<Arc<ProcessLabels>>,
    user: Option<UserLabel>,
    inside: Option<Inside>,
    fragment: Arc<Fragment>,
}

/// Labels of the subjects of a host.
pub struct SubjectLabels {
    meta: MetaCache,
    scope: ScopeEngine,
    registry: Registry,
    pod_labels: PodLabels,
    fragments: Mutex<Recent<Key, Kept>>,
    none: Arc<Fragment>,
}

impl std::fmt::Debug for SubjectLabels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectLabels").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl SubjectLabels {
    /// Asks `meta` what processes are called and where they are, `scope` which selector matched them, `registry`
    /// what containers are called, and `pod_labels` which labels of pods are wanted.
    pub fn new(meta: MetaCache, scope: ScopeEngine, registry: Registry, pod_labels: PodLabels) -> Self {
        let fragments = Mutex::new(Recent::new(CAPACITY));
        Self { meta, scope, registry, pod_labels, fragments, none: Arc::default() }
    }

    fn process(&self, feature: &'static str, table: &'static Table, key: ProcKey) -> Option<Arc<Fragment>> {
        let now = Instant::now();
        let Some(process) = self.meta.process_at(key, now) else {
            // A table that names the process itself can do without us.
            let named = table.keys.iter().chain(table.labels).any(|name| *name == "comm");
            return named.then(|| Arc::clone(&self.none));
        };
        let user = self.scope.user_label(feature, key);
        let detailed = table.entity == PROC;
        let at = Key { feature, subject: Subject::Process(key), detailed };
        let mut fragments = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = fragments.get(&at, now);
        let before = kept.as_ref().and_then(|kept| kept.inside.as_ref());
        let inside = process.place.first().map(|id| Inside::now(self, feature, id, before));
        if let Some(kept) = kept
            && kept.process.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &process))
            && kept.user == user
            && is_same(kept.inside.as_ref(), inside.as_ref())
        {
            kept.inside = inside;
            return Some(Arc::clone(&kept.fragment));
        }
        let fragment = Arc::new(render(&process, user.as_ref(), detailed, inside.as_ref()));
        let kept = Kept { process: Some(process), user, inside, fragment: Arc::clone(&fragment) };
        fragments.put(at, kept, now);
        Some(fragment)
    }

    /// Labels of a container in scope, or of one that was and whose last rows come now.
    fn container(&self, feature: &'static str, key: ContainerKey) -> Option<Arc<Fragment>> {
        let at = Key { feature, subject: Subject::Container(key), detailed: false };
        let id = self.scope.container(feature, key);
        let now = Instant::now();
        let mut fragments = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = fragments.get(&at, now);
        let before = kept.as_ref().and_then(|kept| kept.inside.as_ref());
        let id = id.or_else(|| before.map(|before| before.id.clone()))?;
        let inside = Inside::now(self, feature, &id, before);
        if let Some(kept) = kept
            && is_same(kept.inside.as_ref(), Some(&inside))
        {
            kept.inside = Some(inside);
            return Some(Arc::clone(&kept.fragment));
        }
        let mut labels = Vec::new();
        inside.append(&mut labels);
        let fragment = Arc::new(Fragment::new(labels));
        let kept = Kept { process: None, user: None, inside: Some(inside), fragment: Arc::clone(&fragment) };
        fragments.put(at, kept, now);
        Some(fragment)
    }
}

fn is_same(a: Option<&Inside>, b: Option<&Inside>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same(b),
        (None, None) => true,
        _ => false,
    }
}

/// In the order of the reference: comm, cmdline and start time, the selector's label, then the container's.
fn render(
    process: &ProcessLabels,
    user: Option<&UserLabel>,
    detailed: bool,
    inside: Option<&Inside>,
) -> Fragment {
    let mut labels: Vec<(&str, Label)> = vec![("comm", process.comm.clone())];
    if detailed {
        labels.push(("cmdline", process.cmdline.clone()));
        labels.push(("start_time", process.start_time.clone()));
    }
    if let Some(user) = user {
        labels.push((&user.0, user.1.as_str().into()));
    }
    if let Some(inside) = inside {
        inside.append(&mut labels);
    }
    Fragment::new(labels)
}

impl Labels for SubjectLabels {
    fn fragment(
        &self,
        feature: &'static str,
        table: &'static Table,
        subject: Subject,
    ) -> Option<Arc<Fragment>> {
        match subject {
            Subject::Process(key) => self.process(feature, table, key),
            Subject::Container(key) => self.container(feature, key),
            // The registry does not know cgroups by their number. Once it does, this is a look-up of the
            // container and then `Inside`, as above.
            Subject::Host | Subject::Cgroup { .. } => Some(Arc::clone(&self.none)),
        }
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
