//! The engine as the daemon sees it: a handle that any thread may use, and the thread that scans.
//!
//! Whoever changes something locks `work` (processes and selections), which a scan holds; whoever only reads
//! takes the snapshot in `views`, so that a label look-up never waits for a scan.
//!
//! Order of news: a change that the thread has reported may still be on its way to the receiver when `set`
//! returns a newer scope. A feature that was ever reported is therefore reported again after each `set`, so
//! that the last news is always the current scope.

use super::explain::{self, Explanation};
use super::facts::Reader;
use super::watch::{Effect, UserLabel, Watch, Watched};
use crate::feature::Selection;
use arc_swap::ArcSwap;
use hashbrown::{HashMap, HashSet};
use probe_core::{Capability, Label, ProcKey, Scope};
use probe_kit::privilege::raise;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often /proc is looked at while a selection needs it.
pub const RESCAN_INTERVAL: Duration = Duration::from_secs(2);

/// So many targets are listed; the total is always told.
const MAX_TARGETS: usize = 1000;

/// Told a feature's new scope, from the thread "scope"; may block and may call the engine, except for
/// [`ScopeEngine::shutdown`].
pub type OnChange = Box<dyn Fn(&'static str, Scope) + Send>;

/// A process that a feature's selectors match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub key: ProcKey,
    /// Its name.
    pub comm: Label,
    /// The rule that matches it, as in `proc_name[0] (comm /^redis/)`.
    pub why: String,
}

/// What a feature's selectors match; with a blacklist these are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// How many there are.
    pub total: usize,
    /// The first thousand by pid.
    pub items: Vec<Target>,
}

type Views = HashMap<&'static str, Arc<Watched>>;

#[derive(Debug)]
struct Work {
    watch: Watch,
    /// Features whose current scope is to be reported.
    pending: BTreeSet<&'static str>,
    /// Features that were reported at least once.
    reported: HashSet<&'static str>,
    stop: bool,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    own: Option<u32>,
    work: Mutex<Work>,
    bell: Condvar,
    views: ArcSwap<Views>,
    missed: AtomicUsize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Handle of the scope engine. The engine lives until [`ScopeEngine::shutdown`].
#[derive(Clone, Debug)]
pub struct ScopeEngine(Arc<Shared>);

impl ScopeEngine {
    /// Starts the thread "scope" over the /proc at `root`. It sleeps without waking up while no selection
    /// needs a look at /proc. Fails when no thread can be made.
    pub fn start(root: &Path, interval: Duration, on_change: OnChange) -> io::Result<Self> {
        let own = Reader::new(root).own_pid();
        let work = Work {
            watch: Watch::new(root, own),
            pending: BTreeSet::new(),
            reported: HashSet::new(),
            stop: false,
        };
        let engine = Self(Arc::new(Shared {
            root: root.to_path_buf(),
            own,
            work: Mutex::new(work),
            bell: Condvar::new(),
            views: ArcSwap::default(),
            missed: AtomicUsize::new(0),
            thread: Mutex::new(None),
        }));
        let shared = Arc::clone(&engine.0);
        let thread = std::thread::Builder::new()
            .name("scope".into())
            .spawn(move || shared.run(interval, &on_change))?;
        *engine.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(engine)
    }

    /// Watches `selection` for `feature` instead of what it had, and says what it matches now: every
    /// process that the rules need is read first. May take some milliseconds.
    pub fn set(&self, feature: &'static str, selection: &Selection) -> Scope {
        let mut work = self.0.work();
        let effects = work.watch.set(feature, selection);
        if work.reported.contains(feature) {
            work.pending.insert(feature);
        }
        self.0.take(&mut work, &effects);
        self.0.publish(&work, [feature]);
        self.0.bell.notify_one();
        work.watch.get(feature).map(|watched| watched.scope.clone()).unwrap_or_default()
    }

    /// Watches nothing for `feature` any more.
    pub fn remove(&self, feature: &'static str) {
        let mut work = self.0.work();
        work.watch.remove(feature);
        work.pending.remove(feature);
        self.0.publish(&work, [feature]);
    }

    /// The label that the operator gave to this process's series. Never waits for a scan.
    pub fn user_label(&self, feature: &str, process: ProcKey) -> Option<UserLabel> {
        self.0.views.load().get(feature)?.hits.get(&process)?.label.clone()
    }

    /// The processes that the selectors of `feature` match.
    pub fn targets(&self, feature: &str) -> Targets {
        let views = self.0.views.load();
        let Some(watched) = views.get(feature) else { return Targets::default() };
        let mut hits: Vec<_> = watched.hits.iter().collect();
        hits.sort_unstable_by_key(|(key, _)| **key);
        let items = hits.into_iter().take(MAX_TARGETS).map(|(key, hit)| Target {
            key: *key,
            comm: hit.comm.clone(),
            why: explain::name(&watched.selection.selectors, hit.rule),
        });
        Targets { total: watched.hits.len(), items: items.collect() }
    }

    /// How many processes the selectors of `feature` match; with a blacklist these are left out.
    pub fn counts(&self, feature: &str) -> usize {
        self.0.views.load().get(feature).map_or(0, |watched| watched.hits.len())
    }

    /// Whether `feature` is watched and no selector narrows it: the whole host is observed.
    pub fn whole_host(&self, feature: &str) -> bool {
        self.0.views.load().get(feature).is_some_and(|watched| watched.selection.selectors.is_empty())
    }

    /// Processes that the last scan could not take in: more than are kept, or unreadable.
    pub fn missed(&self) -> usize {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// Why `feature` observes the process `pid` or does not, from the process as it is now.
    pub fn explain(&self, feature: &str, pid: u32) -> Explanation {
        let views = self.0.views.load();
        let Some(watched) = views.get(feature) else {
            return Explanation::absent(format!("{feature} is not running"));
        };
        let _raised = raise(&[Capability::SysPtrace]);
        let mut reader = Reader::new(&self.0.root);
        if reader.process(pid).is_none() {
            return Explanation::absent(format!("no process has pid {pid}"));
        }
        let Ok(mut facts) = reader.stat(pid) else {
            return Explanation::absent(format!("no process has pid {pid}"));
        };
        facts.cmdline = reader.cmdline(pid).ok();
        explain::explain(&watched.selection, &facts, self.0.own)
    }

    /// The process that has `pid` now; `None` also for a thread that is no process.
    pub fn process(&self, pid: u32) -> Option<ProcKey> {
        let _raised = raise(&[Capability::SysPtrace]);
        Reader::new(&self.0.root).process(pid)
    }

    /// Ends the thread and waits for it; after that nothing is reported. Whoever receives the reports must
    /// still take them, or have hung up, or this waits for ever.
    pub fn shutdown(&self) {
        self.0.work().stop = true;
        self.0.bell.notify_one();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the scope thread has panicked");
        }
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what a scan did.
    fn take(&self, work: &mut Work, effects: &[(&'static str, Effect)]) {
        self.missed.store(work.watch.missed(), Ordering::Relaxed);
        work.pending.extend(effects.iter().filter(|(_, effect)| effect.scope).map(|(name, _)| *name));
        self.publish(work, effects.iter().map(|(name, _)| *name));
    }

    /// Gives readers what is known now about `features`.
    fn publish(&self, work: &Work, features: impl IntoIterator<Item = &'static str>) {
        let mut features = features.into_iter().peekable();
        if features.peek().is_none() {
            return;
        }
        let mut views = Views::clone(&self.views.load());
        for feature in features {
            match work.watch.get(feature) {
                Some(watched) => views.insert(feature, Arc::new(watched.clone())),
                None => views.remove(feature),
            };
        }
        self.views.store(Arc::new(views));
    }

    fn run(&self, interval: Duration, on_change: &OnChange) {
        let mut next = Instant::now() + interval;
        while let Some(news) = self.wait(&mut next, interval) {
            for (feature, scope) in news {
                on_change(feature, scope);
            }
        }
    }

    /// Scans when it is time, until there is something to report; `None` at the end.
    fn wait(&self, next: &mut Instant, interval: Duration) -> Option<Vec<(&'static str, Scope)>> {
        let mut work = self.work();
        loop {
            if work.stop {
                return None;
            }
            if !work.pending.is_empty() {
                return Some(news(&mut work));
            }
            if !work.watch.needs_scans() {
                work = self.bell.wait(work).unwrap_or_else(PoisonError::into_inner);
                *next = Instant::now() + interval;
                continue;
            }
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let effects = work.watch.rescan();
                self.take(&mut work, &effects);
                *next = Instant::now() + interval;
            } else {
                work = self.bell.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// The current scopes of the features that are to be reported.
fn news(work: &mut Work) -> Vec<(&'static str, Scope)> {
    let pending = std::mem::take(&mut work.pending);
    work.reported.extend(pending.iter().copied());
    let scope = |name: &'static str| Some((name, work.watch.get(name)?.scope.clone()));
    pending.into_iter().filter_map(scope).collect()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
