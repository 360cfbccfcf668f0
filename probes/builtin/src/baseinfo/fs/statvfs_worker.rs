//! Asks a mount how full it is without ever waiting long: the call runs on a helper thread, because a call
//! to a dead server cannot be interrupted.
//!
//! One thread answers for all mounts and is used again and again. If it does not come back within
//! [`PATIENCE`] it is left behind with its mount's device, which is not asked again until the thread has
//! come back, and another thread takes its place. Threads that are left behind are counted for the whole
//! process, over all restarts of the probe, and are at most [`MAX_STUCK`]. They own everything that they
//! hold, so that nobody ever has to wait for them.

use super::super::stuck::Stuck;
use super::df::{Facts, Usage, may_hang};
use super::mountinfo::{Device, Mount};
use probe_core::Capability;
use probe_kit::privilege::raise;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, fstatvfs, openat2, statx};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// A local mount answers in microseconds and a server across the world in a fifth of a second.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Most threads that hang at one time. The last place is kept for mounts of this machine, so that dead
/// servers cannot take their rows away.
pub(super) const MAX_STUCK: usize = 8;

/// Looks at a mount below a root directory; may hang.
pub(super) type Look = Arc<dyn Fn(&OwnedFd, &Mount) -> Result<Facts, Errno> + Send + Sync>;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answered.
    Facts(Facts),
    /// It answered that it cannot.
    Failed(Errno),
    /// It has just now not answered in time.
    Hangs,
    /// An earlier question to its device is still open.
    StillHangs,
    /// Not asked: too many threads hang.
    NotAsked,
}

/// The one list of this process.
pub(super) fn stuck() -> Arc<Stuck<Device>> {
    static LIST: OnceLock<Arc<Stuck<Device>>> = OnceLock::new();
    Arc::clone(LIST.get_or_init(Arc::default))
}

struct Worker {
    questions: SyncSender<(Arc<OwnedFd>, Arc<Mount>)>,
    answers: Receiver<Result<Facts, Errno>>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(look: &Look) -> std::io::Result<Self> {
        let (questions, asked) = sync_channel::<(Arc<OwnedFd>, Arc<Mount>)>(1);
        let (answer, answers) = sync_channel(1);
        let look = Arc::clone(look);
        let thread = std::thread::Builder::new().name("baseinfo-statvfs".into()).spawn(move || {
            while let Ok((root, mount)) = asked.recv() {
                if answer.send(look(&root, &mount)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { questions, answers, thread })
    }
}

/// Asks mounts one after another.
pub(super) struct Asker {
    look: Look,
    patience: Duration,
    stuck: Arc<Stuck<Device>>,
    worker: Option<Worker>,
}

impl Asker {
    /// Asks with `look` and gives up after `patience`; `stuck` is shared with other askers.
    pub(super) fn new(look: Look, patience: Duration, stuck: Arc<Stuck<Device>>) -> Self {
        Self { look, patience, stuck, worker: None }
    }

    /// Asks `mount`, whose mount point lies below `root`. Takes at most the patience.
    pub(super) fn ask(&mut self, root: &Arc<OwnedFd>, mount: &Arc<Mount>) -> Answer {
        if self.stuck.holds(&mount.device) {
            return Answer::StillHangs;
        }
        if self.stuck.len() >= MAX_STUCK - usize::from(may_hang(mount)) {
            return Answer::NotAsked;
        }
        let worker = match self.worker.take().map_or_else(|| Worker::start(&self.look), Ok) {
            Ok(worker) => worker,
            Err(_) => return Answer::NotAsked,
        };
        if worker.questions.send((Arc::clone(root), Arc::clone(mount))).is_err() {
            return Answer::NotAsked;
        }
        match worker.answers.recv_timeout(self.patience) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer.map_or_else(Answer::Failed, Answer::Facts)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.stuck.leave(mount.device, worker.thread);
                Answer::Hangs
            }
            Err(RecvTimeoutError::Disconnected) => Answer::NotAsked,
        }
    }
}

/// Looks at what lies at `mount`'s mount point. Below a directory that is closed to this user it takes a
/// capability, raised for that mount alone: this thread may have to be left behind at any of them.
pub(super) fn look(root: &OwnedFd, mount: &Mount) -> Result<Facts, Errno> {
    match look_as_we_are(root, mount) {
        Err(Errno::ACCESS) => {
            let _raised = raise(&[Capability::DacReadSearch]);
            look_as_we_are(root, mount)
        }
        other => other,
    }
}

/// Looks at it in the tree below `root`. Symbolic links are followed within that tree, and nothing is opened:
/// a bare reference to the path does.
fn look_as_we_are(root: &OwnedFd, mount: &Mount) -> Result<Facts, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let place = openat2(root, mount.point.as_slice(), flags, Mode::empty(), resolve)?;
    // What the kernel has at hand is enough to tell mounts apart; a server need not be asked for it.
    let at = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(&place, "", at, StatxFlags::MNT_ID)?;
    let has_id = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    let usage = fstatvfs(&place)?;
    Ok(Facts {
        mount_id: has_id.then_some(stat.stx_mnt_id),
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        usage: Usage {
            block_bytes: usage.f_frsize,
            blocks: usage.f_blocks,
            free: usage.f_bfree,
            available: usage.f_bavail,
            inodes: usage.f_files,
            inodes_free: usage.f_ffree,
        },
    })
}
