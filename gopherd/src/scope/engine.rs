//! The engine as the daemon sees it: a handle that any thread may use, and the thread that follows processes.
//!
//! Whoever changes something locks `work` (processes and selections), which a scan holds; whoever only reads
//! takes the snapshot in `views`, so that a label look-up never waits for a scan.
//!
//! Order of news: a change that the thread has reported may still be on its way to the receiver when `set`
//! returns a newer scope. A feature that was ever reported is therefore reported again after each `set`, so
//! that the last news is always the current scope.
//!
//! News of containers wait in `bell`; nobody who brings them waits for a scan.
//!
//! The thread attaches the process tracker when the first selection needs it and detaches it after the last. While
//! it is attached the thread sleeps on its descriptor too, takes what happened in its order, and reports at once.
//! Without it, and for what it does not tell, /proc is scanned at each interval.

use super::bell::Bell;
use super::explain::{self, Explanation};
use super::facts::Reader;
use super::pace::Pace;
use super::rules;
use super::targets::{self, Targets};
use super::tracking::{Attach, Feed, Told, TrackerCounts, TrackerState};
use super::watch::{Effect, UserLabel, Watch, Watched};
use crate::containers::{ContainerId, News, Registry};
use crate::feature::Selection;
use crate::vital;
use arc_swap::ArcSwap;
use hashbrown::{HashMap, HashSet};
use probe_core::{Capability, ContainerKey, ProcKey, Resolved};
use probe_kit::privilege::raise;
use probe_kit::tracker::{Event, Lost};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often /proc is looked at while a selection needs it.
pub const RESCAN_INTERVAL: Duration = Duration::from_secs(2);

/// Where the tracker tells everything, every so many'th interval /proc is looked at all the same.
const TRACKED_SCAN: u32 = 30;

/// Events that are taken in before others may have the lock.
const AT_ONCE: usize = 256;

/// Told what a feature's selection resolves to now, from the thread "scope"; may block and may call the engine,
/// except for [`ScopeEngine::shutdown`].
pub type OnChange = Box<dyn Fn(&'static str, Resolved) + Send>;

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
    registry: Registry,
    own: Option<u32>,
    work: Mutex<Work>,
    bell: Bell,
    views: ArcSwap<Views>,
    missed: AtomicUsize,
    told: Told,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Handle of the scope engine. The engine lives until [`ScopeEngine::shutdown`].
#[derive(Clone, Debug)]
pub struct ScopeEngine(Arc<Shared>);

impl ScopeEngine {
    /// Starts the thread "scope" over the /proc at `root`, whose containers `registry` knows; the engine
    /// listens to its news. `attach` gives it the process tracker. The thread sleeps without waking up while no
    /// selection needs a look at /proc. Fails when no thread can be made.
    pub fn start(
        root: &Path,
        registry: Registry,
        interval: Duration,
        attach: Attach,
        on_change: OnChange,
    ) -> io::Result<Self> {
        let own = Reader::new(root).own_pid();
        let work = Work {
            watch: Watch::new(root, registry.clone(), own),
            pending: BTreeSet::new(),
            reported: HashSet::new(),
            stop: false,
        };
        let engine = Self(Arc::new(Shared {
            root: root.to_path_buf(),
            registry,
            own,
            work: Mutex::new(work),
            bell: Bell::new()?,
            views: ArcSwap::default(),
            missed: AtomicUsize::new(0),
            told: Told::default(),
            thread: Mutex::new(None),
        }));
        let shared = Arc::clone(&engine.0);
        let thread = vital::spawn("scope", move || shared.run(interval, &attach, &on_change))?;
        *engine.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        let heard = Arc::downgrade(&engine.0);
        engine.0.registry.on_news(Box::new(move |news: News| {
            if let Some(shared) = heard.upgrade() {
                shared.bell.tell(news);
            }
        }));
        Ok(engine)
    }

    /// Watches `selection` for `feature` instead of what it had, and says what it matches now: every
    /// process that the rules need is read first. The containers in scope are told only if they are `wanted`,
    /// because every process has to be known for them. May take some milliseconds.
    pub fn set(&self, feature: &'static str, selection: &Selection, wanted: bool) -> Resolved {
        let mut work = self.0.work();
        let effects = work.watch.set(feature, selection, wanted);
        if work.reported.contains(feature) {
            work.pending.insert(feature);
        }
        self.0.take(&mut work, &effects);
        self.0.publish(&work, [feature]);
        self.0.bell.ring();
        work.watch.get(feature).map(|watched| watched.resolved.clone()).unwrap_or_default()
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

    /// The id of a container that is in the scope of `feature`. Never waits for a scan.
    pub fn container(&self, feature: &str, key: ContainerKey) -> Option<ContainerId> {
        self.0.views.load().get(feature)?.containers.get(&key).cloned()
    }

    /// What the selectors of `feature` match. May read /proc.
    pub fn targets(&self, feature: &str) -> Targets {
        let views = self.0.views.load();
        let Some(watched) = views.get(feature) else { return Targets::default() };
        let _raised = raise(&[Capability::SysPtrace]);
        targets::list(watched, &mut Reader::new(&self.0.root), &self.0.registry)
    }

    /// How many processes and containers the selectors of `feature` match; with a blacklist these are left out.
    pub fn counts(&self, feature: &str) -> (usize, usize) {
        let count = |watched: &Arc<Watched>| (watched.hits.len(), watched.matched_containers);
        self.0.views.load().get(feature).map_or((0, 0), count)
    }

    /// Whether `feature` is watched and no selector narrows it: the whole host is observed.
    pub fn whole_host(&self, feature: &str) -> bool {
        self.0.views.load().get(feature).is_some_and(|watched| watched.selection.selectors.is_empty())
    }

    /// Processes that the last scan could not take in: more than are kept, or unreadable.
    pub fn missed(&self) -> usize {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// How the process tracker fares.
    pub fn tracker(&self) -> TrackerState {
        self.0.told.state()
    }

    /// What the process tracker told and lost since the start.
    pub fn tracker_counts(&self) -> TrackerCounts {
        self.0.told.counts()
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
        if rules::has_container_rules(&watched.selection.selectors) {
            facts.place = reader.place(pid, &self.0.registry).ok();
        }
        explain::explain(&watched.selection, &facts, self.0.own, &self.0.registry)
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
        self.0.bell.ring();
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

    fn run(&self, interval: Duration, attach: &Attach, on_change: &OnChange) {
        let mut rounds = Rounds::new(interval);
        loop {
            match self.follow(None, &mut rounds, on_change) {
                Next::Stop => return,
                Next::Detach => {}
                Next::Attach => {
                    let mut next = Next::Detach;
                    let attached = attach(&mut |feed| next = self.follow(Some(feed), &mut rounds, on_change));
                    self.work().watch.untracked();
                    if next == Next::Stop {
                        return;
                    }
                    if let Err(missing) = attached {
                        self.refuse(&mut rounds, missing);
                    }
                }
            }
        }
    }

    /// Goes on without the tracker as long as it is needed.
    fn refuse(&self, rounds: &mut Rounds, missing: Vec<String>) {
        tracing::warn!(missing = missing.join("; "), "processes are not tracked, but looked for");
        self.told.set_state(TrackerState::Absent(missing));
        rounds.refused = true;
    }

    /// Follows what happens, with the tracker if there is one, until that is no longer what is needed.
    fn follow(&self, mut feed: Option<&mut dyn Feed>, rounds: &mut Rounds, on_change: &OnChange) -> Next {
        let mut tracked = feed.as_deref().map(|feed| self.begin(feed, rounds));
        let mut events = Vec::new();
        loop {
            let began = Instant::now();
            if let Some(feed) = feed.as_deref_mut() {
                if let Err(error) = feed.drain(&mut events) {
                    self.refuse(rounds, vec![format!("its events cannot be read: {error}")]);
                    return Next::Detach;
                }
                self.heed(&events, feed);
                self.foresee(feed);
            }
            let work = self.work();
            if work.stop {
                return Next::Stop;
            }
            let (scans, needs) = (work.watch.needs_scans(), work.watch.needs_tracker());
            drop(work);
            match (&tracked, needs) {
                (None, true) if !rounds.refused => return Next::Attach,
                (None, false) if rounds.refused => {
                    rounds.refused = false;
                    self.told.set_state(TrackerState::Idle);
                }
                (Some(_), false) => {
                    self.told.set_state(TrackerState::Idle);
                    return Next::Detach;
                }
                _ => {}
            }
            if scans && rounds.next <= began {
                self.round(feed.as_deref(), tracked.as_mut(), rounds);
            }
            let news = self.news();
            let quiet = news.is_empty();
            for (feature, scope) in news {
                on_change(feature, scope);
            }
            if !events.is_empty() {
                rounds.pace.looked(began, Instant::now());
                events.clear();
            }
            if !quiet {
                continue;
            }
            self.sleep(scans, feed.as_deref(), rounds);
        }
    }

    /// A tracker is there: what was before it is looked for now.
    fn begin(&self, feed: &dyn Feed, rounds: &mut Rounds) -> Tracked {
        let lacks = feed.lacks().to_vec();
        tracing::info!(lacks = lacks.join("; "), "processes are tracked");
        let tracked = Tracked { trusted: lacks.is_empty(), lost: Lost::default() };
        let mut work = self.work();
        let effects = work.watch.reconcile(tracked.trusted);
        self.take(&mut work, &effects);
        drop(work);
        self.told.set_state(TrackerState::Attached(lacks));
        rounds.again();
        tracked
    }

    /// Takes in what the tracker told, and lets others have the lock in between. What the kernel concluded otherwise
    /// is put right; of a process that has ended it stays until its sockets are closed.
    fn heed(&self, events: &[Event], feed: &mut dyn Feed) {
        self.told.count_events(events.len());
        for events in events.chunks(AT_ONCE) {
            let mut work = self.work();
            let effects = work.watch.track(events);
            self.take(&mut work, &effects);
            let concluded = events.iter().filter(|event| !event.early.is_none());
            let decided: Vec<_> = concluded
                .filter_map(|event| work.watch.listing(event.process).map(|listed| (event, listed)))
                .collect();
            drop(work);
            for (event, listed) in decided {
                if let Err(error) = feed.refute(event, &listed) {
                    tracing::debug!(%error, "what the kernel concluded stands until it is too old");
                }
            }
        }
    }

    /// Tells the kernel what it does not know of selections yet.
    fn foresee(&self, feed: &mut dyn Feed) {
        let news = self.work().watch.foresights();
        for (feature, foresight) in news {
            match feed.foresee(feature, foresight) {
                Ok(left_out) => self.told.set_names_left_out(left_out),
                Err(error) => tracing::debug!(%error, feature, "the kernel concludes nothing"),
            }
        }
    }

    /// Does what is due at each interval.
    fn round(&self, feed: Option<&dyn Feed>, tracked: Option<&mut Tracked>, rounds: &mut Rounds) {
        let (mut lost, mut trusted) = (false, false);
        if let (Some(feed), Some(tracked)) = (feed, tracked) {
            trusted = tracked.trusted;
            match feed.lost() {
                Ok(now) => lost = self.told.count_lost(std::mem::replace(&mut tracked.lost, now), now),
                Err(error) => tracing::debug!(%error, "losses of the process tracker cannot be read"),
            }
        }
        rounds.count = rounds.count.wrapping_add(1);
        let mut work = self.work();
        let effects = if lost {
            work.watch.reconcile(trusted)
        } else if trusted && !rounds.count.is_multiple_of(TRACKED_SCAN) {
            work.watch.turn()
        } else {
            work.watch.rescan()
        };
        self.take(&mut work, &effects);
        rounds.again();
    }

    /// What is new about containers, and the current scope of each feature that is to be reported.
    fn news(&self) -> Vec<(&'static str, Resolved)> {
        let mut work = self.work();
        let effects = work.watch.hear(&self.bell.heard());
        self.take(&mut work, &effects);
        news(&mut work)
    }

    fn sleep(&self, scans: bool, feed: Option<&dyn Feed>, rounds: &mut Rounds) {
        let held = rounds.pace.next().filter(|next| feed.is_some() && *next > Instant::now());
        if let Some(held) = held {
            self.bell.wait(Some(held.min(rounds.next)), None);
            return;
        }
        self.bell.wait(scans.then_some(rounds.next), feed.map(Feed::fd));
        if !scans {
            rounds.again();
        }
    }
}

/// What the thread has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stop,
    Attach,
    Detach,
}

/// What is known of the tracker that is attached.
#[derive(Debug)]
struct Tracked {
    /// It tells everything.
    trusted: bool,
    /// What it had lost when last asked.
    lost: Lost,
}

/// When the thread does what.
#[derive(Debug)]
struct Rounds {
    interval: Duration,
    next: Instant,
    count: u32,
    pace: Pace,
    /// The tracker could not be attached: it is not tried again while it is needed.
    refused: bool,
}

impl Rounds {
    fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self { interval, next: now + interval, count: 0, pace: Pace::new(now), refused: false }
    }

    fn again(&mut self) {
        self.next = Instant::now() + self.interval;
    }
}

/// What the features that are to be reported resolve to now.
fn news(work: &mut Work) -> Vec<(&'static str, Resolved)> {
    let pending = std::mem::take(&mut work.pending);
    work.reported.extend(pending.iter().copied());
    let resolved = |name: &'static str| Some((name, work.watch.get(name)?.resolved.clone()));
    pending.into_iter().filter_map(resolved).collect()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
