//! Every container that is known: what the runtimes told, found by id and by the cgroup of a process.
//!
//! Readers (labels, selectors) never wait for a runtime. What no runtime told is as much as the path gives away.
//! Owns the lock, the revision and who is told; what is kept and for how long is the `shelf`'s.

use super::container::{Container, ContainerId, Runtime};
use super::counts::Counts;
use super::identity;
use super::shelf::{Outcome, Shelf, Source, Told};
use hashbrown::HashSet;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

/// The containers that a process is in, the innermost first; empty for a process in none. A selector that names
/// any of them matches; the labels are those of the first.
pub type Place = Arc<[ContainerId]>;

/// What the scope engine wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A container has its first process; the runtime names it.
    Started {
        /// Which container.
        id: ContainerId,
        /// Its first process in the host's pid namespace.
        pid: u32,
    },
    /// What is known about a container is otherwise than before (its name, its pod).
    Changed(ContainerId),
}

/// Told the news, from a runtime's task; must not block.
pub type OnNews = Box<dyn Fn(News) + Send + Sync>;

#[derive(Default)]
struct Shared {
    shelf: RwLock<Shelf>,
    revision: AtomicU64,
    on_news: OnceLock<OnNews>,
    counts: Counts,
}

/// Handle of the registry; any thread may use it.
#[derive(Clone, Default)]
pub struct Registry(Arc<Shared>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("containers", &self.len()).finish_non_exhaustive()
    }
}

impl Registry {
    /// Who is told what changes; the first call counts.
    pub fn on_news(&self, told: OnNews) {
        // A second listener would be a mistake in `app`, which is the only caller.
        let _ = self.0.on_news.set(told);
    }

    /// Where a process is whose `/proc/<pid>/cgroup` has this text. A container that nobody told about is known
    /// from then on by what its path gives away.
    ///
    /// Of several hierarchies the one that names most containers counts (the first of those): a runtime may leave
    /// the unified one of a hybrid host, or one that it does not manage, at the root.
    pub fn place(&self, cgroups: &str) -> Place {
        let paths =
            cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(identity::from_the_root);
        let mut best = (Vec::new(), true);
        let mut best_named = Vec::new();
        {
            let shelf = self.shelf();
            for path in paths {
                let named = identity::named(path);
                let inside = shelf.inside(path, &named);
                if inside.0.len() > best.0.len() {
                    (best, best_named) = (inside, named);
                }
            }
        }
        let (inside, known) = best;
        if !known {
            let now = Instant::now();
            for named in &best_named {
                let outcome = self.change(|shelf| shelf.see(named, now));
                self.announce(&named.id, outcome);
            }
        }
        inside.into()
    }

    /// What is known about a container.
    pub fn get(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.shelf().get(id).cloned()
    }

    /// Another number whenever anything about any container has changed, so that a reader can keep what it made.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// Containers that are known.
    pub fn len(&self) -> usize {
        self.shelf().len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Containers that run, by the name of their runtime, as the runtimes told.
    pub fn running(&self) -> BTreeMap<&'static str, usize> {
        self.shelf().running()
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Takes over what a runtime tells about a container. What it is silent about stays as it was known.
    pub fn tell(&self, container: Container) {
        self.tell_from(None, Told { container, cgroup: None });
    }

    /// A runtime says that a container's first process runs.
    pub fn started(&self, id: ContainerId, pid: u32) {
        self.started_from(None, id, Runtime::Unknown, Some(pid));
    }

    /// A container ended. It stays known until its last sample can have been labelled.
    pub fn ended(&self, id: &ContainerId) {
        let now = Instant::now();
        self.change(|shelf| shelf.end(id, now));
    }

    pub(super) fn tell_from(&self, source: Option<Source>, told: Told) {
        let (id, now) = (told.container.id.clone(), Instant::now());
        let (outcome, others) = self.change(|shelf| shelf.tell(source, told, now));
        self.announce(&id, outcome);
        for other in others {
            self.announce(&other, Outcome { changed: true, ..Outcome::default() });
        }
    }

    /// A container began to run; its first process is not known when it ended before anybody could ask.
    pub(super) fn started_from(
        &self,
        source: Option<Source>,
        id: ContainerId,
        runtime: Runtime,
        pid: Option<u32>,
    ) {
        if self.run(source, &id, runtime) {
            self.0.counts.started(self.get(&id).map_or(runtime, |container| container.runtime));
        }
        // Of a container that ran already too: another of the runtime's sockets may not have known the process.
        if let Some(pid) = pid {
            self.news(News::Started { id, pid });
        }
    }

    /// A list has a container that runs, perhaps for long.
    pub(super) fn found_running(&self, source: Source, id: ContainerId, runtime: Runtime, pid: Option<u32>) {
        let new = self.run(Some(source), &id, runtime);
        if let Some(pid) = pid.filter(|_| new) {
            self.news(News::Started { id, pid });
        }
    }

    /// Notes that it runs; false if that was known.
    fn run(&self, source: Option<Source>, id: &ContainerId, runtime: Runtime) -> bool {
        let now = Instant::now();
        let outcome = self.change(|shelf| shelf.run(source, id, runtime, now));
        self.announce(id, outcome);
        outcome.began
    }

    /// Whether a runtime told about the container, and it has not ended.
    pub(super) fn is_told(&self, id: &ContainerId) -> bool {
        self.shelf().is_told(id)
    }

    /// What `source` told about and does not list any more has ended.
    pub(super) fn reconcile(&self, source: Source, listed: &HashSet<ContainerId>) {
        let now = Instant::now();
        self.change(|shelf| shelf.reconcile(source, listed, now));
    }

    /// Forgets what ended long enough ago.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.change(|shelf| shelf.sweep(now));
    }

    fn shelf(&self) -> std::sync::RwLockReadGuard<'_, Shelf> {
        self.0.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shelf) -> T) -> T {
        change(&mut self.0.shelf.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what came of it, without the lock: whoever listens may ask the registry.
    fn announce(&self, id: &ContainerId, outcome: Outcome) {
        if outcome.refused {
            self.0.counts.lost("full");
        }
        if outcome.changed {
            self.0.revision.fetch_add(1, Ordering::AcqRel);
            self.news(News::Changed(id.clone()));
        }
    }

    fn news(&self, news: News) {
        if let Some(told) = self.0.on_news.get() {
            told(news);
        }
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
