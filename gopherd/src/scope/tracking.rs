//! Where the engine hears of processes at once: the kernel's tracker, where there is one. Owns the seam, what is
//! counted, and what is told of it; leaves events to `probe_kit::tracker` and their meaning to `table`.

use crate::readiness::Readiness;
use probe_core::{Capability, Env};
use probe_kit::bpf::{Foresight, LoadError, ScopeMaps};
use probe_kit::kernel::kernel;
use probe_kit::privilege::lacking;
use probe_kit::tracker::{self, Event, Lost, Tracker};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Events of processes, from a tracker that is attached.
pub trait Feed {
    /// Readable when something has happened that can bring a process into a scope.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Appends what has happened since the last call, in its order.
    fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()>;
    /// What was lost since it was attached.
    fn lost(&self) -> io::Result<Lost>;
    /// What it does not tell here, a sentence each.
    fn lacks(&self) -> &[String];
    /// From here on the kernel knows this of the selection of `feature`; nothing with `None`. Returns the names, of
    /// all features, that it has no room for.
    fn foresee(&mut self, feature: &'static str, foresight: Option<Foresight>) -> io::Result<usize>;
    /// Of what the kernel concluded with `event` only this is right: that these features list the process.
    fn refute(&mut self, event: &Event, listed: &[&'static str]) -> io::Result<()>;
}

impl Feed for Tracker<'_, '_> {
    fn fd(&self) -> BorrowedFd<'_> {
        Tracker::fd(self)
    }

    fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        Tracker::drain(self, |event| events.push(event)).map(|_| ())
    }

    fn lost(&self) -> io::Result<Lost> {
        Tracker::lost(self)
    }

    fn lacks(&self) -> &[String] {
        Tracker::lacks(self)
    }

    fn foresee(&mut self, feature: &'static str, foresight: Option<Foresight>) -> io::Result<usize> {
        self.scope().foresee(feature, foresight)
    }

    fn refute(&mut self, event: &Event, listed: &[&'static str]) -> io::Result<()> {
        self.scope().refute(event.process.tgid, event.early, listed)
    }
}

/// Attaches a tracker, gives it to the function, and detaches it when that returns. Fails with what is missing,
/// a sentence each; then the function was not called. Called from the thread "scope", under no lock.
pub type Attach = Box<dyn Fn(&mut dyn FnMut(&mut dyn Feed)) -> Result<(), Vec<String>> + Send>;

/// How the tracker fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrackerState {
    /// No scope needs it, so it is not in the kernel.
    #[default]
    Idle,
    /// Attached; what it does not tell here is looked for, a sentence each.
    Attached(Vec<String>),
    /// A scope needs it and it cannot be had; what is missing, a sentence each. /proc is looked at instead.
    Absent(Vec<String>),
}

/// What the tracker told, since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerCounts {
    /// Events that were taken.
    pub events: u64,
    /// What was lost.
    pub lost: Lost,
    /// Looks at all of /proc because something was lost.
    pub reconciles: u64,
    /// Names that the kernel has no room for now: their processes are in scope once the engine has heard of them.
    pub names_left_out: u64,
}

/// State and counts, for whoever shows them.
#[derive(Debug, Default)]
pub(super) struct Told {
    state: Mutex<TrackerState>,
    events: AtomicU64,
    ring_full: AtomicU64,
    skipped: AtomicU64,
    early: AtomicU64,
    reconciles: AtomicU64,
    names_left_out: AtomicU64,
}

impl Told {
    pub(super) fn state(&self) -> TrackerState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_state(&self, state: TrackerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(super) fn counts(&self) -> TrackerCounts {
        TrackerCounts {
            events: self.events.load(Relaxed),
            lost: Lost {
                ring_full: self.ring_full.load(Relaxed),
                skipped: self.skipped.load(Relaxed),
                early: self.early.load(Relaxed),
            },
            reconciles: self.reconciles.load(Relaxed),
            names_left_out: self.names_left_out.load(Relaxed),
        }
    }

    pub(super) fn count_events(&self, events: usize) {
        self.events.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn set_names_left_out(&self, names: usize) {
        self.names_left_out.store(names as u64, Relaxed);
    }

    /// Takes note of what a tracker has lost by now that had lost `before`; whether events are among what is more.
    pub(super) fn count_lost(&self, before: Lost, now: Lost) -> bool {
        self.ring_full.fetch_add(now.ring_full.saturating_sub(before.ring_full), Relaxed);
        self.skipped.fetch_add(now.skipped.saturating_sub(before.skipped), Relaxed);
        self.early.fetch_add(now.early.saturating_sub(before.early), Relaxed);
        let grown = (now.ring_full, now.skipped) != (before.ring_full, before.skipped);
        self.reconciles.fetch_add(u64::from(grown), Relaxed);
        grown
    }
}

/// The pid namespace that the kernel starts with: the numbers that the tracker tells are those of it.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The tracker of this kernel, for an engine over the /proc of `env`.
pub fn kernel_tracker(env: &Env) -> Attach {
    let proc = env.proc.clone();
    Box::new(move |body| {
        in_first_namespace(&proc)?;
        rights()?;
        let maps = ScopeMaps::shared().map_err(|error| vec![format!("scope maps: {error}")])?;
        tracker::track(kernel(), &maps, |tracker| body(tracker)).map_err(|error| match error {
            LoadError::Nothing { missing, .. } => missing,
            other => vec![other.to_string()],
        })
    })
}

/// The same as `attach`, which says in `readiness` what is missing. A right that the operator did not give is a
/// choice and no fault: it is in the log, and in `GET /api/v1/capabilities`.
pub fn telling(attach: Attach, readiness: &Readiness) -> Attach {
    let readiness = readiness.clone();
    Box::new(move |body| {
        let result = attach(&mut |feed| {
            readiness.set("process tracker", feed.lacks().to_vec());
            body(feed);
        });
        if let Err(missing) = &result
            && rights().is_ok()
        {
            readiness.set("process tracker", missing.clone());
        }
        result
    })
}

/// Whether the rights that the tracker takes are held.
fn rights() -> Result<(), Vec<String>> {
    let lacking = lacking(&[Capability::Bpf, Capability::Perfmon]);
    let sentences: Vec<_> = lacking.iter().map(|right| format!("{} is not held", right.name())).collect();
    if sentences.is_empty() { Ok(()) } else { Err(sentences) }
}

/// What keeps the tracker from being attached, as far as it can be told without doing it.
pub fn foreseen(env: &Env) -> Vec<String> {
    let refused = in_first_namespace(&env.proc).and_then(|()| rights()).err();
    refused.unwrap_or_else(|| tracker::missing(kernel()))
}

/// Whether `proc` numbers processes as the kernel does.
fn in_first_namespace(proc: &Path) -> Result<(), Vec<String>> {
    match std::fs::read_link(proc.join("self/ns/pid")) {
        Ok(link) if link.as_os_str() != FIRST_PID_NAMESPACE => {
            Err(vec!["the daemon has a pid namespace of its own (start it in the host's)".to_owned()])
        }
        // Without `self` it is a /proc of the host, seen from elsewhere.
        _ => Ok(()),
    }
}

/// No tracker: the engine looks at /proc.
pub fn no_tracker() -> Attach {
    Box::new(|_| Err(vec!["not asked for".to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;

    #[test]
    fn only_a_proc_with_the_numbers_of_the_kernel_is_followed() {
        let host = FakeHost::new();
        let namespace = |link: &str| {
            let at = host.path("proc/self/ns");
            std::fs::create_dir_all(&at).expect("a folder");
            let _ = std::fs::remove_file(at.join("pid"));
            std::os::unix::fs::symlink(link, at.join("pid")).expect("a link");
        };
        assert!(in_first_namespace(&host.path("proc")).is_ok(), "the host's, from elsewhere");
        namespace("pid:[4026532999]");
        assert!(in_first_namespace(&host.path("proc")).is_err());
        namespace(FIRST_PID_NAMESPACE);
        assert!(in_first_namespace(&host.path("proc")).is_ok());
    }

    #[test]
    fn losses_of_one_tracker_after_the_other_add_up() {
        let told = Told::default();
        let lost = |ring_full, skipped| Lost { ring_full, skipped, early: 0 };
        assert!(!told.count_lost(lost(0, 0), lost(0, 0)));
        assert!(told.count_lost(lost(0, 0), lost(3, 1)));
        assert!(!told.count_lost(lost(3, 1), lost(3, 1)));
        let early = Lost { early: 4, ..lost(3, 1) };
        assert!(!told.count_lost(lost(3, 1), early), "no event");
        assert_eq!(told.counts().lost, early);
        // A new one begins at 0.
        assert!(told.count_lost(lost(0, 0), lost(2, 0)));
        let counts = told.counts();
        assert_eq!((counts.lost, counts.reconciles), (Lost { early: 4, ..lost(5, 1) }, 2));
    }
}
