//! Which labels a row's subject has: those of its process, and the label of the selector that matched it.

use crate::meta::{MetaCache, ProcessLabels};
use crate::scope::{ScopeEngine, UserLabel};
use crate::store::{Fragment, Labels};
use lru::LruCache;
use probe_core::{Label, ProcKey, Subject, Table};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Fragments that are kept: as many as processes whose labels are.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).expect("not 0");

/// The entity whose series also say how the process was started.
const PROC: &str = "proc";

#[derive(PartialEq, Eq, Hash)]
struct Key {
    feature: &'static str,
    process: ProcKey,
    detailed: bool,
}

struct Kept {
    process: Arc<ProcessLabels>,
    user: Option<UserLabel>,
    fragment: Arc<Fragment>,
}

/// Labels of the subjects that a host without container runtimes has.
pub struct SubjectLabels {
    meta: MetaCache,
    scope: ScopeEngine,
    fragments: Mutex<LruCache<Key, Kept>>,
    none: Arc<Fragment>,
}

impl std::fmt::Debug for SubjectLabels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectLabels").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl SubjectLabels {
    /// Asks `meta` what processes are called and `scope` which selector matched them.
    pub fn new(meta: MetaCache, scope: ScopeEngine) -> Self {
        Self { meta, scope, fragments: Mutex::new(LruCache::new(CAPACITY)), none: Arc::default() }
    }

    fn process(&self, feature: &'static str, table: &'static Table, key: ProcKey) -> Option<Arc<Fragment>> {
        let Some(process) = self.meta.process(key) else {
            // A table that names the process itself can do without us.
            let named = table.keys.iter().chain(table.labels).any(|name| *name == "comm");
            return named.then(|| Arc::clone(&self.none));
        };
        let user = self.scope.user_label(feature, key);
        let detailed = table.entity == PROC;
        let at = Key { feature, process: key, detailed };
        let mut fragments = self.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = fragments.get(&at)
            && Arc::ptr_eq(&kept.process, &process)
            && kept.user == user
        {
            return Some(Arc::clone(&kept.fragment));
        }
        let fragment = Arc::new(render(&process, user.as_ref(), detailed));
        fragments.put(at, Kept { process, user, fragment: Arc::clone(&fragment) });
        Some(fragment)
    }
}

/// In the order of the reference: comm, cmdline and start time, then the selector's label.
fn render(process: &ProcessLabels, user: Option<&UserLabel>, detailed: bool) -> Fragment {
    let mut labels: Vec<(&str, Label)> = vec![("comm", process.comm.clone())];
    if detailed {
        labels.push(("cmdline", process.cmdline.clone()));
        labels.push(("start_time", process.start_time.clone()));
    }
    if let Some(user) = user {
        labels.push((&user.0, user.1.as_str().into()));
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
            Subject::Host | Subject::Cgroup { .. } => Some(Arc::clone(&self.none)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proc_entity_says_how_a_process_was_started() {
        let process = ProcessLabels {
            comm: "redis".into(),
            cmdline: "redis-server *:6379".into(),
            start_time: "42".into(),
        };
        let user: UserLabel = Arc::new(("team".to_owned(), "db".to_owned()));
        let names = |detailed| {
            let fragment = render(&process, Some(&user), detailed);
            fragment.pairs().iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["comm", "team"]);
        assert_eq!(names(true), ["comm", "cmdline", "start_time", "team"]);
    }
}
