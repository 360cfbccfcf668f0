//! `proc`: what the kernel counts for each process in scope.
//!
//! Owns which processes are read, what is remembered of them between two readings, and what is kept open.
//! `stat` and `smaps` read the kernel's text, `rows` makes the row.
//!
//! A process that ended between two readings just has no row any more; one that dies while it is read is
//! left out and counted. Without a scope the reader is idle: every process of a host would be a costly
//! surprise.

mod rows;
pub(super) mod smaps;
pub(super) mod stat;

use super::Reader;
use probe_core::{Baseline, Batch, Capability, Env, Order, ProcKey, Scope, Subject, Tick, params};
use probe_kit::privilege::{lacking, raise};
use probe_kit::process::{Budget, Files, Miss, Root};
pub(crate) use rows::SystemProc;
use rows::{CpuTime, HostFacts, Reading};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use smaps::{Share, Smaps};
use stat::{Io, Stat, open_files_limit};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a process with kept descriptors takes: directory, `stat`, `io`, `fd`.
const EACH: usize = 4;

/// Left to the other readers out of the half of what may be open that kept descriptors may take.
const OTHERS: usize = 512;

/// Processes read in one tick; more are left out and counted.
const MAX_PROCESSES: usize = 20_000;

/// A limit of open files is read at least this often; see [`limit_is_due`].
const LIMITS_EVERY: Duration = Duration::from_secs(300);

/// The longest of the texts, `limits`, has less than 2 KiB.
const TEXT: usize = 4096;

/// Raised for the whole of a pass: without them the kernel keeps parts of other users' processes to itself.
const NEEDED: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

/// What is remembered of a process.
#[derive(Debug)]
struct Known {
    key: ProcKey,
    /// Held only with a share of the budget.
    files: Option<Files>,
    first_seen: Instant,
    cpu: Option<(CpuTime, Instant)>,
    limit: Option<u64>,
    limit_at: Option<Instant>,
    smaps: Smaps,
    smaps_at: Option<Instant>,
    /// The tick that last found it.
    seen: u64,
}

impl Known {
    fn new(key: ProcKey, now: Instant) -> Self {
        Self {
            key,
            files: None,
            first_seen: now,
            cpu: None,
            limit: None,
            limit_at: None,
            smaps: Smaps::default(),
            smaps_at: None,
            seen: 0,
        }
    }
}

/// Why a pid has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absent {
    /// It has ended, or is another process than those in scope. No loss.
    NotThere,
    /// It died between its first file and its last.
    Died,
    /// Its files cannot be opened or read now.
    Unreadable,
    /// Its `stat` is not what the kernel writes.
    Damaged,
}

/// The reader.
pub(crate) struct Proc {
    path: PathBuf,
    root: Result<Root, Errno>,
    scope: Scope,
    /// The pids of `Scope::Only`.
    chosen: Vec<u32>,
    with_smaps: bool,
    known: HashMap<u32, Known>,
    budget: Budget,
    pids: Vec<u32>,
    buf: Box<[u8]>,
    ticks_per_second: u64,
    tick: u64,
    /// When the reading before was, by the monotonic clock and in clock ticks since boot.
    before: Option<(Instant, u64)>,
}

impl Proc {
    /// The reader for the list of readers.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self::new(env))
    }

    /// A reader of `env`'s processes that keeps as many descriptors as it may.
    fn new(env: &Env) -> Self {
        Self::with(env, Budget::of_limit(2, OTHERS, EACH))
    }

    fn with(env: &Env, budget: Budget) -> Self {
        Self {
            path: env.proc.clone(),
            root: Root::open(&env.proc),
            scope: Scope::Unset,
            chosen: Vec::new(),
            with_smaps: true,
            known: HashMap::new(),
            budget,
            pids: Vec::new(),
            buf: vec![0; TEXT].into(),
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            tick: 0,
            before: None,
        }
    }

    /// Clock ticks since boot, as start times of processes count them.
    fn boot_ticks(&self) -> u64 {
        let t = clock_gettime(ClockId::Boottime);
        let part = |v: i64| u64::try_from(v).unwrap_or(0);
        part(t.tv_sec) * self.ticks_per_second + part(t.tv_nsec) * self.ticks_per_second / 1_000_000_000
    }

    /// The pids to look at.
    fn list(&mut self) -> Result<(), Errno> {
        self.pids.clear();
        match (&self.scope, &self.root) {
            (Scope::Unset, _) => {}
            (Scope::Only(_), _) => self.pids.extend_from_slice(&self.chosen),
            (Scope::All | Scope::Except(_), Ok(root)) => root.list(&mut self.pids)?,
            (Scope::All | Scope::Except(_), Err(e)) => return Err(*e),
        }
        Ok(())
    }

    fn read_at(&mut self, now: Instant, out: &mut Batch) {
        let began = Instant::now();
        let _raised = raise(&NEEDED);
        let boot_ticks = self.boot_ticks();
        let before = self.before.replace((now, boot_ticks));
        self.tick += 1;
        if self.list().is_err() {
            out.skip("proc_unreadable", 1);
            return;
        }
        out.skip("process_limit", self.pids.len().saturating_sub(MAX_PROCESSES) as u64);
        self.pids.truncate(MAX_PROCESSES);
        let elapsed = before.map(|(then, _)| now.saturating_duration_since(then));
        let mut share = Share::new(self.pids.len(), elapsed);
        let host = self.host();
        let pids = std::mem::take(&mut self.pids);
        for &pid in &pids {
            // Each process has a time of its own: reading thousands takes longer than the shares may be off.
            match self.process(pid, now + began.elapsed(), &mut share) {
                Ok(reading) => {
                    let young = before.is_some_and(|(_, ticks)| reading.key.start_ticks > ticks);
                    let baseline = if young { Baseline::Zero } else { Baseline::FirstReading };
                    out.push(Subject::Process(reading.key), baseline, rows::row(&reading, &host));
                }
                Err(Absent::NotThere) => {}
                Err(Absent::Died) => out.skip("process_gone", 1),
                Err(Absent::Unreadable) => out.skip("process_unreadable", 1),
                Err(Absent::Damaged) => out.skip("process_stat", 1),
            }
        }
        self.pids = pids;
        let (tick, budget) = (self.tick, &mut self.budget);
        self.known.retain(|_, known| {
            let stays = known.seen == tick;
            if !stays && known.files.is_some() {
                budget.give();
            }
            stays
        });
        out.complete::<SystemProc>();
    }

    fn host(&self) -> HostFacts {
        let info = rustix::system::sysinfo();
        HostFacts {
            ticks_per_second: self.ticks_per_second,
            page_bytes: rustix::param::page_size() as u64,
            memory_bytes: info.totalram.saturating_mul(u64::from(info.mem_unit)),
        }
    }

    /// Reads the process that has `pid` now, if it is in scope.
    fn process(&mut self, pid: u32, now: Instant, share: &mut Share) -> Result<Reading, Absent> {
        let root = self.root.as_ref().map_err(|_| Absent::Unreadable)?;
        let kept = self.known.get_mut(&pid).and_then(|known| known.files.take());
        let mut has_share = kept.is_some();
        let reading = find(root, pid, kept, &mut self.buf).and_then(|(mut files, stat)| {
            let key = ProcKey { tgid: pid, start_ticks: stat.start_ticks };
            if !self.scope.contains(&key) {
                return Err(Absent::NotThere);
            }
            let known = self.known.entry(pid).or_insert_with(|| Known::new(key, now));
            if known.key != key {
                *known = Known::new(key, now);
            }
            let smaps = self.with_smaps.then_some(share);
            let reading = rest(known, &mut files, stat, now, smaps, &mut self.buf)?;
            known.seen = self.tick;
            has_share = has_share || self.budget.take();
            if has_share {
                known.files = Some(files);
            }
            Ok(reading)
        });
        if reading.is_err() && has_share {
            self.budget.give();
        }
        reading
    }
}

/// The process's files and its `stat`, through the descriptors that were kept if they still lead to it.
fn find(root: &Root, pid: u32, kept: Option<Files>, buf: &mut [u8]) -> Result<(Files, Stat), Absent> {
    let absent = |miss| if miss == Miss::Gone { Absent::NotThere } else { Absent::Unreadable };
    let mut read = |files: Files| match files.stat(buf) {
        Ok(text) => stat::parse(text).map(|stat| (files, stat)).ok_or(Absent::Damaged),
        Err(miss) => Err(absent(miss)),
    };
    match kept.map(&mut read) {
        Some(Err(Absent::NotThere)) | None => root.files(pid).map_err(absent).and_then(read),
        Some(found) => found,
    }
}

/// Whether the limit of open files, last read at `last`, is to be read again. The file costs twice as much
/// as all others together, and limits are mostly set right before the exec that starts a process. So it is
/// read again when the process has been known for twice as long as at the last time.
fn limit_is_due(first_seen: Instant, last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| {
        let known_for = last.saturating_duration_since(first_seen);
        now.saturating_duration_since(last) >= known_for.min(LIMITS_EVERY)
    })
}

/// Reads everything but `stat`. What may not be read is absent, unless the process has died meanwhile.
fn rest(
    known: &mut Known,
    files: &mut Files,
    stat: Stat,
    now: Instant,
    smaps: Option<&mut Share>,
    buf: &mut [u8],
) -> Result<Reading, Absent> {
    let before = known.cpu.replace(((&stat).into(), now));
    let mut missed = false;
    let mut note = |miss| missed |= miss == Miss::Gone;
    let io = files.io(buf).map(Io::parse).map_err(&mut note).unwrap_or_default();
    let descriptors = files.descriptors().map_err(&mut note).ok();
    if limit_is_due(known.first_seen, known.limit_at, now) {
        known.limit = files.once("limits", buf).map_err(&mut note).ok().and_then(open_files_limit);
        known.limit_at = Some(now);
    }
    if missed && !files.alive() {
        return Err(Absent::Died);
    }
    if let Some(share) = smaps {
        if share.take(known.smaps_at, now) {
            // Kernel threads and zombies have no pages, and others' may be hidden from us: absent.
            known.smaps = files.once("smaps_rollup", buf).map(Smaps::parse).unwrap_or_default();
            known.smaps_at = Some(now);
        }
    } else {
        (known.smaps, known.smaps_at) = (Smaps::default(), None);
    }
    Ok(Reading {
        key: known.key,
        stat,
        io,
        descriptors,
        limit: known.limit,
        smaps: known.smaps,
        before: before.map(|(cpu, at)| (cpu, now.saturating_duration_since(at))),
    })
}

impl Reader for Proc {
    fn missing(&mut self) -> Vec<String> {
        match &self.root {
            Ok(_) => Vec::new(),
            Err(e) => vec![format!("{} cannot be read: {e}", self.path.display())],
        }
    }

    fn lacks(&mut self) -> Vec<Capability> {
        lacking(&NEEDED)
    }

    fn apply(&mut self, order: &Order) {
        self.with_smaps = order.params.int(&params::SMAPS) != 0;
        self.scope = order.scope.clone();
        self.chosen = match &self.scope {
            Scope::Only(set) => set.iter().map(|key| key.tgid).collect(),
            _ => Vec::new(),
        };
        self.chosen.sort_unstable();
        self.chosen.dedup();
    }

    fn read(&mut self, _tick: Tick, out: &mut Batch) {
        self.read_at(Instant::now(), out);
    }

    fn memory(&self) -> u64 {
        let known = self.known.capacity() * (size_of::<(u32, Known)>() + 1);
        let pids = (self.pids.capacity() + self.chosen.capacity()) * size_of::<u32>();
        (known + pids + self.buf.len()) as u64
    }
}

#[cfg(test)]
mod tests;
