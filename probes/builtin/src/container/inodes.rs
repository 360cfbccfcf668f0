//! How many inodes the file systems of the containers have, asked on a thread of its own: a call to a dead server
//! does not come back.
//!
//! The thread is given all containers at once and answers all at once. One that does not come back within
//! [`PATIENCE`] is left behind, at most [`MAX_STUCK`] of them over all restarts of the probe, and the container that
//! it was asked about is not asked again while it is away.

use probe_core::{Capability, ContainerKey, ContainerTarget};
use probe_kit::privilege::raise;
use rustix::fs::{Mode, OFlags, fstatvfs, openat};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Inodes do not come and go fast.
const EVERY: Duration = Duration::from_secs(60);

/// A local file system answers in microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most threads that hang at one time.
const MAX_STUCK: usize = 4;

/// Free inodes, and all.
pub(super) type Inodes = (u64, u64);

/// Asks about one container; may hang.
pub(super) type Ask = Arc<dyn Fn(&Path, &ContainerTarget) -> Option<Inodes> + Send + Sync>;

struct Round {
    answer: Receiver<HashMap<ContainerKey, Inodes>>,
    begun: Instant,
    /// What is being asked about.
    now: Arc<Mutex<Option<ContainerKey>>>,
    /// Counts among the stuck while the thread is away after it was given up.
    away: Arc<AtomicUsize>,
}

/// What is known of all containers.
pub(super) struct Asker {
    proc: PathBuf,
    ask: Ask,
    patience: Duration,
    round: Option<Round>,
    last: Option<Instant>,
    known: HashMap<ContainerKey, Inodes>,
    /// Not asked: a thread hangs there.
    stuck: Vec<(ContainerKey, Arc<AtomicUsize>)>,
}

/// A thread was given up, and is away.
const AWAY: usize = 1;
/// It has come back, or was never given up.
const BACK: usize = 2;

/// Threads of this process that are away.
static STUCK: AtomicUsize = AtomicUsize::new(0);

impl Asker {
    /// Asks the kernel.
    pub(super) fn new(proc: &Path) -> Self {
        Self::with(proc, Arc::new(ask), PATIENCE)
    }

    fn with(proc: &Path, ask: Ask, patience: Duration) -> Self {
        Self {
            proc: proc.to_owned(),
            ask,
            patience,
            round: None,
            last: None,
            known: HashMap::new(),
            stuck: Vec::new(),
        }
    }

    /// What is known of `id`.
    pub(super) fn get(&self, id: ContainerKey) -> Option<Inodes> {
        self.known.get(&id).copied()
    }

    /// Takes an answer that is there, and asks anew when it is time. Returns how many containers are not asked about.
    pub(super) fn turn(&mut self, targets: impl Iterator<Item = ContainerTarget>) -> u64 {
        self.take();
        self.stuck.retain(|(_, away)| away.load(Ordering::Acquire) == AWAY);
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if due && self.round.is_none() && STUCK.load(Ordering::Acquire) < MAX_STUCK {
            let asked = targets.filter(|target| !self.stuck.iter().any(|(id, _)| *id == target.id));
            self.round = start(&self.proc, &self.ask, asked.collect());
            self.last = Some(Instant::now());
        }
        self.stuck.len() as u64
    }

    /// Asks at the next turn, because there are containers of which nothing is known.
    pub(super) fn hurry(&mut self) {
        self.last = None;
    }

    fn take(&mut self) {
        let Some(round) = &self.round else { return };
        match round.answer.try_recv() {
            Ok(answer) => {
                self.known = answer;
                self.round = None;
            }
            Err(TryRecvError::Disconnected) => self.round = None,
            Err(TryRecvError::Empty) if round.begun.elapsed() > self.patience => {
                let at = *round.now.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(id) = at else { return };
                STUCK.fetch_add(1, Ordering::AcqRel);
                // The thread may come back just now: then it is not away, and its answer is there next time.
                if round.away.compare_exchange(0, AWAY, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    STUCK.fetch_sub(1, Ordering::AcqRel);
                    return;
                }
                self.stuck.push((id, Arc::clone(&round.away)));
                self.known.remove(&id);
                self.round = None;
                self.hurry();
            }
            Err(TryRecvError::Empty) => {}
        }
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.known.capacity() * size_of::<(ContainerKey, Inodes)>()) as u64
    }
}

fn start(proc: &Path, ask: &Ask, targets: Vec<ContainerTarget>) -> Option<Round> {
    let (tell, answer) = sync_channel(1);
    let now = Arc::<Mutex<Option<ContainerKey>>>::default();
    let away = Arc::<AtomicUsize>::default();
    let (proc, ask, its_now, its_away) =
        (proc.to_owned(), Arc::clone(ask), Arc::clone(&now), Arc::clone(&away));
    let work = move || {
        let mut all = HashMap::new();
        for target in targets {
            *its_now.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.id);
            all.extend(ask(&proc, &target).map(|inodes| (target.id, inodes)));
            if its_away.load(Ordering::Acquire) == AWAY {
                break;
            }
        }
        if its_away.swap(BACK, Ordering::AcqRel) == AWAY {
            STUCK.fetch_sub(1, Ordering::AcqRel);
        }
        let _ = tell.send(all);
    };
    std::thread::Builder::new().name("container-inode".into()).spawn(work).ok()?;
    Some(Round { answer, begun: Instant::now(), now, away })
}

/// Asks the file system of the root directory of the container's process.
fn ask(proc: &Path, target: &ContainerTarget) -> Option<Inodes> {
    let _raised = raise(&[Capability::SysPtrace]);
    let process = super::open_process(proc, target.process)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(&process, "root", flags, Mode::empty()).ok()?;
    let usage = fstatvfs(&root).ok()?;
    // btrfs and some others make inodes as they need them and say 0.
    (usage.f_files > 0).then_some((usage.f_ffree, usage.f_files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::ProcKey;
    use std::sync::mpsc::channel;

    fn target(id: &str) -> ContainerTarget {
        ContainerTarget {
            id: ContainerKey::new(id).expect("an id"),
            process: ProcKey { tgid: 1, start_ticks: 1 },
        }
    }

    fn turn_until(asker: &mut Asker, targets: &[ContainerTarget], done: impl Fn(&Asker) -> bool) {
        while !done(asker) {
            asker.turn(targets.iter().copied());
            std::thread::yield_now();
        }
    }

    #[test]
    fn all_containers_are_asked_about_and_one_without_an_answer_is_absent() {
        let ask: Ask = Arc::new(|_, target| (target.id.as_str() != "none").then_some((3, 7)));
        let mut asker = Asker::with(Path::new("/"), ask, PATIENCE);
        let targets = [target("a"), target("none")];
        turn_until(&mut asker, &targets, |asker| asker.get(target("a").id).is_some());
        assert_eq!((asker.get(target("a").id), asker.get(target("none").id)), (Some((3, 7)), None));
    }

    #[test]
    fn a_container_whose_file_system_hangs_is_left_out_until_it_comes_back() {
        let (release, held) = channel::<()>();
        let held = Mutex::new(held);
        let ask: Ask = Arc::new(move |_, target| {
            if target.id.as_str() == "dead" {
                let _ = held.lock().expect("not poisoned").recv();
            }
            Some((1, 2))
        });
        let mut asker = Asker::with(Path::new("/"), ask, Duration::ZERO);
        let targets = [target("dead"), target("well")];
        turn_until(&mut asker, &targets, |asker| !asker.stuck.is_empty());
        asker.patience = PATIENCE;
        turn_until(&mut asker, &targets, |asker| asker.get(target("well").id).is_some());
        assert_eq!(asker.turn(targets.iter().copied()), 1, "one is not asked about");
        assert_eq!(asker.get(target("dead").id), None);
        drop(release);
        turn_until(&mut asker, &targets, |asker| asker.stuck.is_empty());
        asker.hurry();
        turn_until(&mut asker, &targets, |asker| asker.get(target("dead").id).is_some());
    }
}
