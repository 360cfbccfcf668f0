//! What the registry keeps and what it forgets: every container, its life, its pod, its cgroup. Pure: the time is
//! an argument, and what others must hear is returned.
//!
//! A container that ended stays for [`KEPT`], so that its last sample still finds its name. A full shelf lets go
//! first who ended (the oldest first), then who was only seen in a path; who is left runs, and a new one is refused
//! and counted.

use super::container::{Container, ContainerId, Pod, Runtime};
use super::identity::Named;
use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Containers that are kept.
pub(super) const CAPACITY: usize = 4096;

/// Pods that are kept.
const MAX_PODS: usize = 4096;

/// A container is known so long after its end: the default report period five times over.
pub(super) const KEPT: Duration = Duration::from_secs(300);

/// Which socket told; a container is ended by a list only of the socket that told about it.
pub(super) type Source = usize;

/// What a runtime tells about a container.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) container: Container,
    /// Its cgroup, where the path does not tell the id.
    pub(super) cgroup: Option<SmolStr>,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// A path names it; no runtime told about it.
    Seen(Instant),
    /// A runtime told about it, and not that it runs.
    Created(Instant),
    Running,
    Ended(Instant),
}

#[derive(Debug)]
struct Entry {
    container: Arc<Container>,
    cgroup: Option<SmolStr>,
    source: Option<Source>,
    life: Life,
}

/// What came of something that was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// It is known otherwise than before.
    pub(super) changed: bool,
    /// It began to run.
    pub(super) began: bool,
    /// There was no room.
    pub(super) refused: bool,
}

/// Every container.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    entries: HashMap<ContainerId, Entry>,
    by_cgroup: HashMap<SmolStr, ContainerId>,
    pods: HashMap<SmolStr, Arc<Pod>>,
}

impl Shelf {
    pub(super) fn get(&self, id: &ContainerId) -> Option<&Arc<Container>> {
        self.entries.get(id).map(|entry| &entry.container)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a runtime told about the container, and it has not ended.
    pub(super) fn is_told(&self, id: &ContainerId) -> bool {
        self.entries.get(id).is_some_and(|entry| matches!(entry.life, Life::Created(_) | Life::Running))
    }

    /// Containers that run, by runtime.
    pub(super) fn running(&self) -> BTreeMap<&'static str, usize> {
        let mut count = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| entry.life == Life::Running) {
            *count.entry(entry.container.runtime.as_str()).or_default() += 1;
        }
        count
    }

    /// The containers that a path is in, the innermost first, and whether all of those that it names are known.
    pub(super) fn inside(&self, path: &str, named: &[Named]) -> (Vec<ContainerId>, bool) {
        let known = named.iter().all(|named| self.entries.contains_key(&named.id));
        let mut all: Vec<(usize, &ContainerId)> = named.iter().map(|named| (named.end, &named.id)).collect();
        if !self.by_cgroup.is_empty() {
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).filter(|at| *at > 0);
            let listed = ends.filter_map(|end| Some((end, self.by_cgroup.get(path.get(..end)?)?)));
            all.extend(listed);
            all.sort_by_key(|(end, _)| std::cmp::Reverse(*end));
            all.dedup_by(|a, b| a.1 == b.1);
        }
        (all.into_iter().map(|(_, id)| id.clone()).collect(), known)
    }

    /// A path named a container.
    pub(super) fn see(&mut self, named: &Named, now: Instant) -> Outcome {
        if self.entries.contains_key(&named.id) {
            return Outcome::default();
        }
        let pod = named.pod.clone().map(|uid| self.pod(Pod::nameless(uid)).0);
        let container = Container { pod, ..Container::nameless(named.id.clone(), named.runtime) };
        self.put(container, None, None, Life::Seen(now), now)
    }

    /// A runtime told about a container; the second value names others of its pod that are known otherwise now.
    pub(super) fn tell(
        &mut self,
        source: Option<Source>,
        told: Told,
        now: Instant,
    ) -> (Outcome, Vec<ContainerId>) {
        let Told { mut container, cgroup } = told;
        let mut others = Vec::new();
        if let Some(pod) = &container.pod {
            let (pod, changed) = self.pod(Pod::clone(pod));
            if changed {
                others = self.share(&pod);
                others.retain(|id| *id != container.id);
            }
            container.pod = Some(pod);
        }
        let life = match self.entries.get(&container.id).map(|entry| entry.life) {
            Some(life @ (Life::Created(_) | Life::Running)) => life,
            _ => Life::Created(now),
        };
        (self.put(container, cgroup, source, life, now), others)
    }

    /// A container runs. One that nobody told about is known by its id from now on.
    pub(super) fn run(
        &mut self,
        source: Option<Source>,
        id: &ContainerId,
        runtime: Runtime,
        now: Instant,
    ) -> Outcome {
        let outcome = match self.entries.contains_key(id) {
            true => Outcome::default(),
            false => {
                self.put(Container::nameless(id.clone(), runtime), None, source, Life::Created(now), now)
            }
        };
        let Some(entry) = self.entries.get_mut(id) else { return outcome };
        let began = entry.life != Life::Running;
        entry.life = Life::Running;
        entry.source = entry.source.or(source);
        Outcome { began, ..outcome }
    }

    /// A container ended.
    pub(super) fn end(&mut self, id: &ContainerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && !matches!(entry.life, Life::Ended(_))
        {
            entry.life = Life::Ended(now);
            entry.source = None;
        }
    }

    /// What `source` told about and does not list any more has ended.
    pub(super) fn reconcile(&mut self, source: Source, listed: &HashSet<ContainerId>, now: Instant) {
        let gone = self.entries.iter_mut().filter(|(id, entry)| {
            entry.source == Some(source) && entry.life == Life::Running && !listed.contains(*id)
        });
        for (_, entry) in gone {
            (entry.life, entry.source) = (Life::Ended(now), None);
        }
    }

    /// Forgets what ended long enough ago, or was made as long ago and never ran.
    pub(super) fn sweep(&mut self, now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| match entry.life {
            Life::Ended(since) => now.saturating_duration_since(since) < KEPT,
            // Its start tells about it anew.
            Life::Created(since) => now.saturating_duration_since(since) < 2 * KEPT,
            Life::Seen(_) | Life::Running => true,
        });
        if self.entries.len() < before {
            self.tidy();
        }
    }

    /// Drops what no container refers to any more.
    fn tidy(&mut self) {
        let entries = &self.entries;
        self.by_cgroup
            .retain(|path, id| entries.get(id).is_some_and(|entry| entry.cgroup.as_ref() == Some(path)));
        let pods = entries.values().filter_map(|entry| entry.container.pod.as_ref());
        let used: HashSet<SmolStr> = pods.map(|pod| pod.uid.clone()).collect();
        self.pods.retain(|uid, _| used.contains(uid));
        if self.entries.capacity() > 4 * self.entries.len().max(64) {
            self.entries.shrink_to_fit();
            self.pods.shrink_to_fit();
            self.by_cgroup.shrink_to_fit();
        }
    }

    fn put(
        &mut self,
        container: Container,
        cgroup: Option<SmolStr>,
        source: Option<Source>,
        life: Life,
        now: Instant,
    ) -> Outcome {
        if let Some(path) = cgroup.clone() {
            self.by_cgroup.insert(path, container.id.clone());
        }
        if let Some(entry) = self.entries.get_mut(&container.id) {
            let container = container.over(&entry.container);
            entry.cgroup = cgroup.or_else(|| entry.cgroup.take());
            entry.source = entry.source.or(source);
            entry.life = life;
            if *entry.container == container {
                return Outcome::default();
            }
            entry.container = Arc::new(container);
            return Outcome { changed: true, ..Outcome::default() };
        }
        if self.entries.len() >= CAPACITY && !self.make_room(now) {
            if let Some(path) = cgroup {
                self.by_cgroup.remove(&path);
            }
            return Outcome { refused: true, ..Outcome::default() };
        }
        self.entries
            .insert(container.id.clone(), Entry { container: Arc::new(container), cgroup, source, life });
        Outcome { changed: true, ..Outcome::default() }
    }

    /// Lets a sixteenth go, so that a full shelf is not searched for every newcomer; false if all of them run.
    fn make_room(&mut self, now: Instant) -> bool {
        self.sweep(now);
        if self.entries.len() < CAPACITY {
            return true;
        }
        let rank = |entry: &Entry| match entry.life {
            Life::Ended(since) => Some((0, since)),
            Life::Seen(since) => Some((1, since)),
            Life::Created(_) | Life::Running => None,
        };
        let mut leaving: Vec<_> =
            self.entries.iter().filter_map(|(id, entry)| Some((rank(entry)?, id.clone()))).collect();
        leaving.sort();
        leaving.truncate(CAPACITY / 16);
        leaving.iter().for_each(|(_, id)| drop(self.entries.remove(id)));
        self.tidy();
        !leaving.is_empty()
    }

    /// The pod as it is known with what `told` adds, and whether that was something.
    fn pod(&mut self, told: Pod) -> (Arc<Pod>, bool) {
        let uid = told.uid.clone();
        let merged = match self.pods.get(&uid) {
            Some(known) => {
                let merged = told.over(known);
                if merged == **known {
                    return (Arc::clone(known), false);
                }
                Arc::new(merged)
            }
            None => Arc::new(told),
        };
        // Containers are bounded and keep their own; sharing what was told between them is all that is lost.
        if self.pods.len() < MAX_PODS || self.pods.contains_key(&uid) {
            self.pods.insert(uid, Arc::clone(&merged));
        }
        (merged, true)
    }

    /// Every container of the pod gets what is known of it now.
    fn share(&mut self, pod: &Arc<Pod>) -> Vec<ContainerId> {
        let mut changed = Vec::new();
        for (id, entry) in &mut self.entries {
            if entry.container.pod.as_ref().is_some_and(|old| old.uid == pod.uid && old != pod) {
                let container =
                    Container { pod: Some(Arc::clone(pod)), ..Container::clone(&entry.container) };
                entry.container = Arc::new(container);
                changed.push(id.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
