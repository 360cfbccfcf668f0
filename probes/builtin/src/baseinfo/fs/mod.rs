//! `fs`: how full each mounted file system is, in blocks and inodes.
//!
//! Owns reading the mount table and the order in which mounts are asked. `mountinfo` reads the table's
//! text, `df` decides which mounts count and how numbers are rounded, `statvfs_worker` asks a mount without
//! waiting for a dead server.
//!
//! Mount table and root are those of process 1 where its root can be entered: a hardened unit has a mount
//! table of its own, in which everything is read-only. Where it cannot, both are our own.

mod df;
pub(super) mod mountinfo;
mod statvfs_worker;

use super::Reader;
pub(crate) use df::SystemDf;
use df::{Facts, is_pseudo, may_hang};
use mountinfo::Mount;
use probe_core::{Batch, Capability, Env, Row, Tick};
use probe_kit::kept::KeptFile;
use probe_kit::privilege::{lacking, raise};
use probe_kit::scan;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use statvfs_worker::{Answer, Asker, PATIENCE, look, stuck};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Mounts asked in one tick; more are left out and counted.
const MAX_MOUNTS: usize = 4096;

/// Mounts found to hang in one tick before others that might are left for the next one. It bounds how long
/// a tick, and a stop during it, can take: twice the patience.
const MAX_NEW_HANGS: usize = 2;

/// The reader.
pub(crate) struct Fs {
    proc: PathBuf,
    hosts: KeptFile,
    own: KeptFile,
    text: Vec<u8>,
    asker: Asker,
}

impl Fs {
    /// The reader for the list of readers.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self::with(env, Asker::new(Arc::new(look), PATIENCE, stuck())))
    }

    /// A reader of the mounts of `env`'s process 1.
    fn with(env: &Env, asker: Asker) -> Self {
        let hosts = KeptFile::new(env.proc.join("1/mountinfo"));
        let own = KeptFile::new(env.proc.join("self/mountinfo"));
        Self { proc: env.proc.clone(), hosts, own, text: Vec::new(), asker }
    }

    /// The root directory, the mounts below it that may count, and how many lines were no mounts.
    fn mounts(&mut self) -> std::io::Result<(Arc<OwnedFd>, Vec<Arc<Mount>>, u64)> {
        let open = |path: PathBuf| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        };
        let hosts_root = {
            let _raised = raise(&[Capability::SysPtrace]);
            open(self.proc.join("1/root"))
        };
        let (root, table) = match hosts_root {
            Ok(root) => (root, &mut self.hosts),
            Err(_) => (open("/".into())?, &mut self.own),
        };
        let (mut mounts, mut damaged) = (Vec::new(), 0);
        for line in scan::lines(table.read(&mut self.text)?) {
            match mountinfo::parse(line) {
                Some(mount) if is_pseudo(&mount) => {}
                Some(mount) => mounts.push(Arc::new(mount)),
                None => damaged += 1,
            }
        }
        Ok((Arc::new(root), mounts, damaged))
    }

    /// Asks every mount, those that may hang last, and returns what answered in the order of the table.
    fn ask(
        &mut self,
        root: &Arc<OwnedFd>,
        mounts: &[Arc<Mount>],
        out: &mut Batch,
    ) -> Vec<(Arc<Mount>, Facts)> {
        let (doubtful, sure): (Vec<_>, Vec<_>) =
            mounts.iter().enumerate().partition(|(_, mount)| may_hang(mount));
        let mut answered = Vec::with_capacity(mounts.len());
        let mut hanging = 0;
        for (at, mount) in sure.into_iter().chain(doubtful) {
            if hanging >= MAX_NEW_HANGS {
                out.skip("mount_not_asked", 1);
                continue;
            }
            match self.asker.ask(root, mount) {
                // Another mount lies over it: no one can use it, and df does not show it either.
                Answer::Facts(facts) if facts.mount_id.is_some_and(|id| id != mount.id) => {}
                Answer::Failed(Errno::NOENT | Errno::NOTDIR) => {}
                Answer::Facts(facts) => answered.push((at, Arc::clone(mount), facts)),
                Answer::Failed(_) => out.skip("mount_unreadable", 1),
                Answer::StillHangs => out.skip("mount_stuck", 1),
                Answer::NotAsked => out.skip("mount_not_asked", 1),
                Answer::Hangs => {
                    hanging += 1;
                    out.skip("mount_stuck", 1);
                }
            }
        }
        answered.sort_unstable_by_key(|(at, ..)| *at);
        answered.into_iter().map(|(_, mount, facts)| (mount, facts)).collect()
    }
}

impl Reader for Fs {
    fn missing(&mut self) -> Vec<String> {
        match self.mounts() {
            Ok(_) => Vec::new(),
            Err(e) => vec![format!("{} cannot be read: {e}", self.hosts.path().display())],
        }
    }

    fn lacks(&mut self) -> Vec<Capability> {
        // Who has the same mounts as process 1 sees the host's, however he came to them.
        let mut hosts = Vec::new();
        let same = self
            .hosts
            .read(&mut hosts)
            .is_ok_and(|hosts| self.own.read(&mut self.text).is_ok_and(|own| own == hosts));
        lacking(if same { &[] } else { &[Capability::SysPtrace] })
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        let Ok((root, mut mounts, damaged)) = self.mounts() else {
            out.skip("mounts_unreadable", 1);
            return;
        };
        out.skip("mount_line", damaged);
        out.skip("mount_limit", mounts.len().saturating_sub(MAX_MOUNTS) as u64);
        mounts.truncate(MAX_MOUNTS);
        for (mount, facts) in df::choose(self.ask(&root, &mounts, out)) {
            if let Some(row) = df::row(&mount, &facts.usage) {
                row.host(out);
            }
        }
        out.complete::<SystemDf>();
    }

    fn memory(&self) -> u64 {
        self.text.capacity() as u64
    }
}

#[cfg(test)]
mod tests;
