//! The thread that walks: it is asked for a round of containers and answers for one after the other. A walk can
//! take seconds and can hang on a dead mount, so the probe's own thread never waits for it.

use super::super::stuck::Stuck;
use super::walk::{Limits, Size, Stop, open_start, walk};
use probe_core::{Capability, ContainerKey, ContainerTarget};
use probe_kit::kept;
use probe_kit::privilege::raise;
use probe_kit::scan;
use probe_kit::stat::Stat;
use rustix::fs::{Mode, OFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Raised for one walk, in the thread that walks: the tree is that of other users.
pub(super) const NEEDED: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

/// Containers of one round.
pub(super) const MAX_CONTAINERS: usize = 1000;

/// A walk ends by itself long before; after this its thread hangs in the kernel.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Most threads that hang at one time, over all restarts of the probe.
pub(super) const MAX_STUCK: usize = 4;

/// A line of `stat` has less than 1 KiB.
const STAT: usize = 4096;

/// What to walk.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) proc: PathBuf,
    /// The directory inside each container.
    pub(super) dir: Arc<str>,
    pub(super) targets: Vec<ContainerTarget>,
    pub(super) limits: Limits,
}

/// How one walk went, and when it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) id: ContainerKey,
    pub(super) at: Instant,
    pub(super) result: Result<Size, Stop>,
}

/// Walks the directory of one container; may hang.
pub(super) type WalkOne =
    Arc<dyn Fn(&Round, &ContainerTarget, &AtomicBool) -> Result<Size, Stop> + Send + Sync>;

/// The threads of this process that hang.
pub(super) fn stuck() -> Arc<Stuck<ContainerKey>> {
    static LIST: OnceLock<Arc<Stuck<ContainerKey>>> = OnceLock::new();
    Arc::clone(LIST.get_or_init(Arc::default))
}

/// The thread and the way to it.
pub(super) struct Worker {
    rounds: SyncSender<Round>,
    answers: Receiver<Answer>,
    now: Arc<Mutex<Option<(ContainerKey, Instant)>>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Answers that are still to come.
    open: usize,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(walk_one: &WalkOne) -> std::io::Result<Self> {
        let (rounds, asked) = sync_channel::<Round>(1);
        let (answer, answers) = sync_channel(MAX_CONTAINERS);
        let now = Arc::<Mutex<Option<(ContainerKey, Instant)>>>::default();
        let cancelled = Arc::<AtomicBool>::default();
        let (walk_one, its_now, its_cancelled) =
            (Arc::clone(walk_one), Arc::clone(&now), Arc::clone(&cancelled));
        let thread = std::thread::Builder::new().name("baseinfo-con".into()).spawn(move || {
            let note = |what| *its_now.lock().unwrap_or_else(PoisonError::into_inner) = what;
            while let Ok(round) = asked.recv() {
                for target in &round.targets {
                    let at = Instant::now();
                    note(Some((target.id, at)));
                    let result = walk_one(&round, target, &its_cancelled);
                    note(None);
                    if answer.send(Answer { id: target.id, at, result }).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { rounds, answers, now, cancelled, thread: Some(thread), open: 0 })
    }

    /// Asks for a round; every answer of the one before has been taken.
    pub(super) fn ask(&mut self, round: Round) {
        let targets = round.targets.len();
        if self.rounds.try_send(round).is_ok() {
            self.open = targets;
        }
    }

    /// Answers that are still to come.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// The next answer, if it comes within `patience`. `None` also when there is none to come.
    pub(super) fn answer(&mut self, patience: Duration) -> Option<Answer> {
        if self.open == 0 {
            return None;
        }
        match self.answers.recv_timeout(patience) {
            Ok(answer) => {
                self.open -= 1;
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.open = 0;
                None
            }
        }
    }

    /// The container at which the thread has hung for longer than `patience`.
    pub(super) fn hangs(&self, patience: Duration) -> Option<ContainerKey> {
        let now = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.filter(|(_, since)| since.elapsed() > patience).map(|(id, _)| id)
    }

    /// Leaves the thread, which hangs at `id`, behind.
    pub(super) fn leave(mut self, id: ContainerKey, stuck: &Stuck<ContainerKey>) {
        if let Some(thread) = self.thread.take() {
            stuck.leave(id, thread);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends at the next name that it looks at, and nobody waits for it.
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Walks the directory as the container's process sees it.
pub(super) fn walk_one(
    round: &Round,
    target: &ContainerTarget,
    cancelled: &AtomicBool,
) -> Result<Size, Stop> {
    let _raised = raise(&NEEDED);
    let pid = round.proc.join(target.process.tgid.to_string());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(pid.join("root"), flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NOENT | rustix::io::Errno::SRCH => Stop::Absent,
        _ => Stop::Unreadable,
    })?;
    // The pid may have gone to a process of somebody else, whose root was opened then.
    if start_ticks(&pid) != Some(target.process.start_ticks) {
        return Err(Stop::Absent);
    }
    walk(open_start(&root, &round.dir)?, round.limits, cancelled)
}

/// When the process began: field 22 of its `stat`.
fn start_ticks(pid: &Path) -> Option<u64> {
    let mut buf = [0; STAT];
    let text = kept::read_piece(kept::open(&pid.join("stat")).ok()?, &mut buf).ok()??;
    scan::number(Stat::parse(text)?.words().nth(22 - 3)?)
}
