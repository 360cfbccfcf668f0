//! The process tracker: what happens to processes, told by the kernel when it does. Owns the programs, their
//! ring and the counting of losses; leaves to the reader what it means (the daemon's `scope`).
//!
//! An event may come after a look at /proc that has seen more than it says: whoever mixes both ends with the
//! last event. Events are lost when nobody drains the ring ([`Lost`]); then only a look at /proc helps.

pub(crate) mod event;

pub use event::{Change, Event};

use crate::bpf::{Bpf, Job, LoadError, ObjectSpec, Plan, Ring, ScopeMaps, Storage, Way, abi, cost, per_cpu};
use crate::kernel::{AttachKind, Kernel, Requirement};
use libbpf_rs::skel::Skel as _;
use probe_core::{Capability, Need, SubProbes};
use std::io;
use std::os::fd::BorrowedFd;

crate::bpf_object!("tracker");
use bpf::{TrackerSkel, TrackerSkelBuilder};

/// What it needs of the process that runs it.
pub const NEEDS: [Need; 3] = [
    need(Capability::Bpf, "load the programs of the process tracker"),
    need(Capability::Perfmon, "read the kernel's memory in them"),
    need(Capability::SysResource, "lock its maps in memory, on kernels before 5.11"),
];

const fn need(capability: Capability, purpose: &'static str) -> Need {
    let without = "processes are looked for every 2 seconds, and shorter ones are missed";
    Need { capability, sub_probes: &["scopes"], purpose, without }
}

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);

/// Every job by one name: the whole is attached and detached at once.
const ALL: &[&str] = &["tracker"];

macro_rules! job {
    ($name:literal, $program:literal, $tracepoint:literal) => {
        Job {
            name: $name,
            sub_probes: ALL,
            helps: &[],
            ways: &[Way {
                program: $program,
                needs: &[TP_BTF, Requirement::Tracepoint($tracepoint)],
                maps: &[],
            }],
        }
    };
}

static JOBS: &[Job] = &[
    job!("execs", "on_exec", "sched_process_exec"),
    job!("forks", "on_fork", "sched_process_fork"),
    job!("ends", "on_exit", "sched_process_exit"),
    job!("names", "on_rename", "task_rename"),
    job!("moves", "on_attach", "cgroup_attach_task"),
];

/// What was lost since the tracker was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that found the ring full.
    pub ring_full: u64,
    /// Runs of programs that the kernel left out; always 0 on kernels that do not count them (before 5.12).
    pub skipped: u64,
    /// Processes listed at once whose place another took: they waited for the daemon. No event was lost.
    pub early: u64,
}

/// What the programs have seen since they were attached, told or lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// New processes and threads, as "processes" of /proc/stat counts them.
    pub all_forks: u64,
    /// New processes.
    pub forks: u64,
    /// Programs executed.
    pub execs: u64,
    /// Processes that ended.
    pub exits: u64,
    /// New names.
    pub names: u64,
    /// Moves to other cgroups.
    pub moves: u64,
}

/// The tracker, attached. It goes with the call of [`track`] that made it.
#[derive(Debug)]
pub struct Tracker<'o, 'r> {
    bpf: Bpf<TrackerSkel<'o>>,
    maps: &'r ScopeMaps,
    ring: Ring<'r, bpf::tracker_event>,
    lacks: Vec<String>,
}

/// What `kernel` lacks for the tracker to run as a whole; asked without loading it.
pub fn missing(kernel: &Kernel) -> Vec<String> {
    let needs: Vec<_> = JOBS.iter().flat_map(|job| job.ways).flat_map(|way| way.needs).copied().collect();
    // All at once: the kernel's types are read once for them.
    let _ = kernel.ask_all(&needs);
    lacks(&Plan::new(JOBS, |need| kernel.ask(need), &[]))
}

/// As `names: tracepoint task_rename: not in this kernel`.
fn lacks(plan: &Plan) -> Vec<String> {
    plan.undone().map(|(job, reasons)| format!("{job}: {}", reasons.join("; "))).collect()
}

/// Attaches the tracker and gives it to `body`; detaches it and takes everything out of the kernel when that
/// returns. Takes some 50 ms before `body`, most of it for the kernel's types.
pub fn track<R>(
    kernel: &Kernel,
    maps: &ScopeMaps,
    body: impl FnOnce(&mut Tracker<'_, '_>) -> R,
) -> Result<R, LoadError> {
    let spec = ObjectSpec { name: "tracker", owner: "tracker", bytes: bpf::OBJECT, jobs: JOBS };
    let mut storage = Storage::new();
    let mut bpf = Bpf::load::<TrackerSkelBuilder>(&spec, kernel, Some(maps), &mut storage, |_| {})?;
    let events = bpf.map("events")?;
    let ring = Ring::new(&events).map_err(|error| LoadError::Refused {
        object: spec.name,
        doing: "map the ring",
        cause: error.to_string(),
    })?;
    let wanted: SubProbes = ALL.iter().copied().collect();
    // Programs that load and cannot be attached are in the outcome alone.
    let outcome = bpf.apply(&wanted);
    let mut lacks = lacks(bpf.plan());
    let told = outcome.sub_probes.iter().flat_map(|sub| &sub.missing);
    lacks.extend(told.filter(|text| text.starts_with("program ")).cloned());
    let mut tracker = Tracker { bpf, maps, ring, lacks };
    Ok(body(&mut tracker))
}

impl Tracker<'_, '_> {
    /// Readable when something has happened that can bring a process into a scope, or when the ring fills up.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.ring.fd()
    }

    /// What it does without on this kernel, a sentence each; such changes must be looked for.
    pub fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// Gives each event that waits to `handle`, in the order in which they happened, and says how many there
    /// were.
    pub fn drain(&mut self, mut handle: impl FnMut(Event)) -> io::Result<usize> {
        self.ring.drain(|record| {
            if let Some(event) = Event::read(&record) {
                handle(event);
            }
        })
    }

    /// The maps of scopes that its programs write what they conclude to.
    pub fn scope(&self) -> &ScopeMaps {
        self.maps
    }

    /// What was lost by now.
    pub fn lost(&self) -> io::Result<Lost> {
        let object = self.bpf.skel().object();
        let ring_full = cost::lost(object, abi::GOPHER_LOST_RING)?;
        let skipped = cost::recursion_misses(object)?.unwrap_or(0);
        let early = cost::lost(object, bpf::TRACKER_LOST_EARLY)?;
        Ok(Lost { ring_full, skipped, early })
    }

    /// What was seen by now.
    pub fn seen(&self) -> io::Result<Seen> {
        let map = &self.bpf.skel().maps.seen;
        let sum = |kind: u32| Ok::<_, io::Error>(per_cpu::<u32, u64>(map, &kind)?.into_iter().sum::<u64>());
        Ok(Seen {
            all_forks: sum(bpf::TRACKER_ALL_FORKS)?,
            forks: sum(bpf::TRACKER_FORK)?,
            execs: sum(bpf::TRACKER_EXEC)?,
            exits: sum(bpf::TRACKER_EXIT)?,
            names: sum(bpf::TRACKER_COMM)?,
            moves: sum(bpf::TRACKER_CGROUP)?,
        })
    }

    /// What became of each program, for the kernel matrix.
    pub fn verdicts(&self) -> impl Iterator<Item = String> + '_ {
        self.bpf.verdicts()
    }
}
