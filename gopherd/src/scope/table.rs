//! Every process of the host, kept up to date by scans of /proc. Owns what is read when, because that is
//! the whole cost; leaves matching to `rules`.
//!
//! A scan lists /proc and reads what is new. Of the processes it knows it reads again
//! - those it has seen for fewer than [`YOUNG`] scans since their start or exec: that is when programs
//!   exec, take a name and write their title over their arguments;
//! - of the others every [`TURNS`]th, in turn.
//!
//! A process that a runtime names is looked at at once, between two scans.
//!
//! Where the process tracker tells what happens, the table follows it ([`Table::track`]) and is scanned seldom.
//! Of an exec and a fork nothing is read of /proc but what rules want beyond the name. What no event tells is
//! a title that a program writes over its arguments: processes that are young are read at each
//! [`Table::turn`]. A process of some scope stays for [`LINGERS`] turns after its end, because its sockets are
//! closed then; the others leave at once.
//!
//! A process whose pid has gone to another is found at once, because its directory is another inode.

use super::facts::{ProcFacts, Reader, is_gone, shown};
use crate::containers::{ContainerId, Place, Registry};
use hashbrown::{HashMap, HashSet};
use probe_core::{Capability, ProcKey};
use probe_kit::privilege::raise;
use probe_kit::tracker::{Change, Event};
use rustix::fs::{Dir, Mode, OFlags};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Processes that are kept; the kernel's usual limit of pids. More are counted as missed.
pub(super) const MAX_PROCESSES: usize = 32_768;

/// For so many scans after its start or its last exec a process is read at every scan.
pub(super) const YOUNG: u64 = 5;

/// Of the older processes every so many'th is read at a scan.
pub(super) const TURNS: u64 = 8;

/// So many turns or scans a process stays that the tracker told the end of: less one, in full.
pub(super) const LINGERS: u64 = 2;

/// Which processes are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Listing {
    /// None at all.
    #[default]
    Nothing,
    /// Those with these pids.
    Pids(BTreeSet<u32>),
    /// Every process.
    All,
}

impl Listing {
    /// Enough for both.
    pub(super) fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Pids(a), Self::Pids(b)) => Self::Pids(a.into_iter().chain(b).collect()),
            (Self::Pids(pids), Self::Nothing) | (Self::Nothing, Self::Pids(pids)) if !pids.is_empty() => {
                Self::Pids(pids)
            }
            _ => Self::Nothing,
        }
    }
}

/// What a scan has to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// About which processes.
    pub(super) listing: Listing,
    /// Whether command lines are needed.
    pub(super) cmdline: bool,
    /// Whether it is needed which containers they are in.
    pub(super) place: bool,
}

/// What a scan found to be otherwise than before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delta {
    /// Pids whose process is new or has new facts.
    pub(super) changed: Vec<u32>,
    /// Processes that are no more.
    pub(super) gone: Vec<ProcKey>,
}

/// How much a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is new, young or has its turn.
    Due,
    /// Every process.
    Everything,
}

#[derive(Debug)]
struct Entry {
    facts: ProcFacts,
    /// Of its directory; `None` if it was not listed.
    inode: Option<u64>,
    /// The scan that first saw it or its exec.
    born: u64,
    /// The last scan that found it alive.
    seen: u64,
    /// The scan or turn after which the tracker told its end.
    ended: Option<u64>,
}

impl Entry {
    fn is(&self, process: ProcKey) -> bool {
        self.facts.key == process
    }
}

/// The processes of the host.
#[derive(Debug)]
pub(super) struct Table {
    reader: Reader,
    registry: Registry,
    processes: HashMap<u32, Entry>,
    scans: u64,
    missed: usize,
    limit: usize,
}

impl Table {
    /// An empty table over the /proc at `root`, whose containers `registry` knows.
    pub(super) fn new(root: &Path, registry: Registry) -> Self {
        Self {
            reader: Reader::new(root),
            registry,
            processes: HashMap::new(),
            scans: 0,
            missed: 0,
            limit: MAX_PROCESSES,
        }
    }

    /// The process that has `pid`.
    pub(super) fn get(&self, pid: u32) -> Option<&ProcFacts> {
        self.processes.get(&pid).map(|entry| &entry.facts)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ProcFacts> {
        self.processes.values().map(|entry| &entry.facts)
    }

    /// Processes that the last scan could not take in: beyond the limit, or unreadable.
    pub(super) fn missed(&self) -> usize {
        self.missed
    }

    /// Looks at /proc again. On an error nothing has changed.
    pub(super) fn scan(&mut self, want: &Want, depth: Depth) -> io::Result<Delta> {
        // For the addresses by which an exec is known, and for a /proc that hides other users' processes.
        let _raised = (want.listing != Listing::Nothing).then(|| raise(&[Capability::SysPtrace]));
        let listed = match &want.listing {
            Listing::Nothing => Vec::new(),
            Listing::Pids(pids) => pids.iter().map(|pid| (*pid, None)).collect(),
            Listing::All => list(self.reader.root())?,
        };
        self.scans += 1;
        self.missed = 0;
        let mut delta = Delta::default();
        for (pid, inode) in listed {
            self.visit(pid, inode, want, depth, &mut delta);
        }
        let scan = self.scans;
        self.processes.retain(|_, entry| {
            let alive = entry.seen == scan;
            if !alive {
                delta.gone.push(entry.facts.key);
            }
            alive
        });
        if self.processes.is_empty() {
            self.processes = HashMap::new();
        }
        Ok(delta)
    }

    /// Looks at one process that somebody has named. The next scan looks at it again.
    pub(super) fn look(&mut self, pid: u32, want: &Want, delta: &mut Delta) {
        // For the same reasons as in a scan.
        let _raised = (want.listing == Listing::All).then(|| raise(&[Capability::SysPtrace]));
        // A thread's files can be read too, but it is no process.
        if want.listing == Listing::All && self.reader.process(pid).is_some() {
            self.visit(pid, None, want, Depth::Everything, delta);
        }
    }

    /// Takes in what the tracker told; `lingers` says whether the process is in some scope.
    pub(super) fn track(&mut self, event: &Event, lingers: bool, want: &Want, delta: &mut Delta) {
        let pid = event.process.tgid;
        let known = self.processes.get_mut(&pid).filter(|entry| entry.is(event.process));
        match (&event.change, known) {
            // A look at /proc was faster.
            (Change::Fork { .. }, Some(_)) => {}
            (Change::Fork { comm, ppid, forker, moved }, None) => {
                let forker = self.processes.get(forker).map(|entry| &entry.facts);
                let facts = ProcFacts {
                    key: event.process,
                    ppid: *ppid,
                    comm: shown(comm.clone()),
                    cmdline: forker.and_then(|facts| facts.cmdline.clone()),
                    place: forker.and_then(|facts| facts.place.clone()).filter(|_| !moved),
                    image: forker.map(|facts| facts.image).unwrap_or_default(),
                    ended: false,
                };
                self.enter(facts, want, delta);
            }
            (Change::Exec { comm, ppid, image }, known) => {
                let facts = ProcFacts {
                    key: event.process,
                    ppid: *ppid,
                    comm: shown(comm.clone()),
                    cmdline: None,
                    // An exec moves nobody.
                    place: known.and_then(|entry| entry.facts.place.clone()),
                    image: *image,
                    ended: false,
                };
                self.enter(facts, want, delta);
            }
            // In no scope, or nobody has been told of it yet.
            (Change::Exit, Some(_)) if !lingers || delta.changed.contains(&pid) => {
                self.processes.remove(&pid);
                delta.gone.push(event.process);
            }
            (Change::Exit, Some(entry)) => entry.ended = Some(self.scans),
            (Change::Exit, None) => {}
            (Change::Comm(comm), Some(entry)) => {
                entry.facts.comm = shown(comm.clone());
                delta.changed.push(pid);
            }
            (Change::Cgroup, Some(entry)) if want.place => {
                if let Ok(place) = self.reader.place(pid, &self.registry) {
                    entry.facts.place = Some(same_or(entry.facts.place.as_ref(), place));
                    delta.changed.push(pid);
                }
            }
            (Change::Cgroup, Some(_)) => {}
            (Change::Comm(_) | Change::Cgroup, None) => self.look(pid, want, delta),
        }
    }

    /// Enters a process that the tracker told of, with what rules want beyond that.
    fn enter(&mut self, mut facts: ProcFacts, want: &Want, delta: &mut Delta) {
        let pid = facts.key.tgid;
        if self.processes.len() >= self.limit && !self.processes.contains_key(&pid) {
            self.missed += 1;
            return;
        }
        self.complete(&mut facts, want);
        let key = facts.key;
        let entry = Entry { facts, inode: None, born: self.scans, seen: self.scans, ended: None };
        let before = self.processes.insert(pid, entry);
        // An exec begins no process.
        delta.gone.extend(before.map(|before| before.facts.key).filter(|before| *before != key));
        delta.changed.push(pid);
    }

    /// Reads what is wanted and not known. What cannot be read of a process that has ended stays unknown.
    fn complete(&mut self, facts: &mut ProcFacts, want: &Want) {
        let pid = facts.key.tgid;
        if want.cmdline && facts.cmdline.is_none() {
            facts.cmdline = self.reader.cmdline(pid).ok();
        }
        if want.place && facts.place.is_none() {
            facts.place = self.reader.place(pid, &self.registry).ok();
        }
    }

    /// What a scan would do for a table that follows the tracker, without listing /proc: those that ended leave,
    /// and if command lines are wanted, the young are read again.
    pub(super) fn turn(&mut self, want: &Want) -> Delta {
        self.scans += 1;
        let scan = self.scans;
        let mut delta = Delta::default();
        self.processes.retain(|_, entry| {
            let leaves = entry.ended.is_some_and(|ended| scan - ended >= LINGERS);
            if leaves {
                delta.gone.push(entry.facts.key);
            }
            !leaves
        });
        if want.cmdline {
            let young = |entry: &Entry| entry.ended.is_none() && scan - entry.born < YOUNG;
            let young = self.processes.iter().filter(|(_, entry)| young(entry));
            let young: Vec<_> = young.map(|(pid, entry)| (*pid, entry.inode)).collect();
            let _raised = (!young.is_empty()).then(|| raise(&[Capability::SysPtrace]));
            for (pid, inode) in young {
                self.visit(pid, inode, want, Depth::Everything, &mut delta);
            }
        }
        delta
    }

    /// Reads what is wanted now and was not before, of every process that is known.
    pub(super) fn fill(&mut self, want: &Want) -> Delta {
        let lacks = |facts: &ProcFacts| {
            (want.cmdline && facts.cmdline.is_none()) || (want.place && facts.place.is_none())
        };
        let mut delta = Delta::default();
        delta.changed.extend(self.iter().filter(|facts| lacks(facts)).map(|facts| facts.key.tgid));
        let _raised = (!delta.changed.is_empty()).then(|| raise(&[Capability::SysPtrace]));
        for pid in &delta.changed {
            let Some(mut facts) = self.get(*pid).cloned() else { continue };
            self.complete(&mut facts, want);
            if let Some(entry) = self.processes.get_mut(pid) {
                entry.facts = facts;
            }
        }
        delta
    }

    /// The pids of the processes that are in one of `containers`.
    pub(super) fn inside(&self, containers: &HashSet<ContainerId>) -> Vec<u32> {
        let is_inside = |facts: &&ProcFacts| {
            facts.place.as_ref().is_some_and(|place| place.iter().any(|id| containers.contains(id)))
        };
        self.iter().filter(is_inside).map(|facts| facts.key.tgid).collect()
    }

    fn visit(&mut self, pid: u32, inode: Option<u64>, want: &Want, depth: Depth, delta: &mut Delta) {
        let scan = self.scans;
        let full = self.processes.len() >= self.limit;
        let known = match self.processes.get_mut(&pid) {
            Some(entry) if depth == Depth::Due && !due(entry, pid, inode, want, scan) => {
                entry.seen = scan;
                return;
            }
            Some(entry) => Some(entry),
            None if full => {
                self.missed += 1;
                return;
            }
            None => None,
        };
        match read(&mut self.reader, &self.registry, pid, known.as_deref(), want, depth, scan) {
            Ok((facts, born)) => {
                let entry = Entry { facts, inode, born, seen: scan, ended: None };
                match known {
                    Some(known) => {
                        if known.facts.key != entry.facts.key {
                            delta.gone.push(known.facts.key);
                        }
                        if known.facts != entry.facts {
                            delta.changed.push(pid);
                        }
                        *known = entry;
                    }
                    None => {
                        delta.changed.push(pid);
                        self.processes.insert(pid, entry);
                    }
                }
            }
            // Ended between the listing and the reading.
            Err(error) if is_gone(&error) => {}
            Err(_) => {
                self.missed += 1;
                // No descriptor left, no permission: no reason to believe that the process has ended.
                if let Some(known) = known.filter(|known| known.inode == inode) {
                    known.seen = scan;
                }
            }
        }
    }
}

fn due(entry: &Entry, pid: u32, inode: Option<u64>, want: &Want, scan: u64) -> bool {
    // The kernel lists inode 1 when it has no memory for the entry; that tells nothing.
    let same = inode.is_some_and(|inode| inode > 1) && inode == entry.inode;
    !same
        || scan - entry.born < YOUNG
        || (u64::from(pid) + scan).is_multiple_of(TURNS)
        || (want.cmdline && entry.facts.cmdline.is_none())
        || (want.place && entry.facts.place.is_none())
}

/// Reads what is needed of `pid`; also which scan it is to be counted from.
fn read(
    reader: &mut Reader,
    registry: &Registry,
    pid: u32,
    known: Option<&Entry>,
    want: &Want,
    depth: Depth,
    scan: u64,
) -> io::Result<(ProcFacts, u64)> {
    let mut facts = reader.stat(pid)?;
    if facts.ended {
        return Err(io::ErrorKind::NotFound.into());
    }
    let same_program =
        known.filter(|known| known.facts.key == facts.key && !facts.is_other_program(&known.facts));
    let born = same_program.map_or(scan, |known| known.born);
    let settled = depth == Depth::Due && scan - born >= YOUNG;
    facts.cmdline = same_program.and_then(|known| known.facts.cmdline.clone());
    if want.cmdline && !(settled && facts.cmdline.is_some()) {
        facts.cmdline = Some(reader.cmdline(pid)?);
    }
    if want.place {
        // A process of any age can be moved, and an exec moves none.
        let before =
            known.filter(|known| known.facts.key == facts.key).and_then(|known| known.facts.place.as_ref());
        facts.place = Some(same_or(before, reader.place(pid, registry)?));
    }
    Ok((facts, born))
}

/// `now`, in the memory of `before` if it is the same.
fn same_or(before: Option<&Place>, now: Place) -> Place {
    before.filter(|before| **before == now).map_or(now, Arc::clone)
}

/// The pids in `root` and the inode of each one's directory.
fn list(root: &Path) -> io::Result<Vec<(u32, Option<u64>)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(root, flags, Mode::empty())?;
    let mut pids = Vec::with_capacity(1024);
    for entry in Dir::new(fd)? {
        let entry = entry?;
        let pid = probe_kit::scan::number(entry.file_name().to_bytes()).and_then(|n| u32::try_from(n).ok());
        if let Some(pid) = pid {
            pids.push((pid, Some(entry.ino())));
        }
    }
    Ok(pids)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
