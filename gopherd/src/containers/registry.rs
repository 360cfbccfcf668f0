//! Every container that is known: what the runtimes told, found by id and by the cgroup of a process.
//!
//! Readers (labels, selectors) never wait for a runtime. What no runtime told is as much as the path gives away.

use super::container::{Container, ContainerId, Pod};
use super::identity::{self, Named};
use hashbrown::HashMap;
use smol_str::SmolStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Containers that are kept.
const CAPACITY: usize = 4096;

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
    by_id: RwLock<HashMap<ContainerId, Arc<Container>>>,
    revision: AtomicU64,
    on_news: OnceLock<OnNews>,
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
    pub fn place(&self, cgroups: &str) -> Place {
        let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let named = paths.map(identity::named).find(|named| !named.is_empty()).unwrap_or_default();
        named.iter().for_each(|named| self.see(named));
        named.into_iter().map(|named| named.id).collect()
    }

    /// What is known about a container.
    pub fn get(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.0.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Another number whenever anything about any container has changed, so that a reader can keep what it made.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// Containers that are known.
    pub fn len(&self) -> usize {
        self.0.by_id.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what a runtime tells about a container.
    pub fn tell(&self, container: Container) {
        let id = container.id.clone();
        {
            let mut by_id = self.0.by_id.write().unwrap_or_else(PoisonError::into_inner);
            if by_id.get(&id).is_some_and(|known| **known == container)
                || (by_id.len() >= CAPACITY && !by_id.contains_key(&id))
            {
                return;
            }
            by_id.insert(id.clone(), Arc::new(container));
        }
        self.0.revision.fetch_add(1, Ordering::AcqRel);
        self.news(News::Changed(id));
    }

    /// A runtime says that a container's first process runs.
    pub fn started(&self, id: ContainerId, pid: u32) {
        self.news(News::Started { id, pid });
    }

    fn see(&self, named: &Named) {
        if self.get(&named.id).is_some() {
            return;
        }
        let pod = named.pod.clone().map(pod);
        let Named { id, runtime, .. } = named.clone();
        self.tell(Container { id, runtime, name: None, image: None, pod });
    }

    fn news(&self, news: News) {
        if let Some(told) = self.0.on_news.get() {
            told(news);
        }
    }
}

/// A pod of which the path is all that is known.
fn pod(uid: SmolStr) -> Arc<Pod> {
    Arc::new(Pod { uid, name: None, namespace: None, labels: None })
}
