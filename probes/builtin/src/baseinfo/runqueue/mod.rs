//! `runqueue`: how long tasks could have run and did not, by cgroup, as BPF programs at the scheduler's tracepoints
//! see it.
//!
//! Owns the programs (`runqueue.bpf.c`), their jobs, and what they lost; `waits` owns the table. A cgroup is that of
//! the cpu controller, v1 or v2, because it is what a task's share of the run queue hangs on: a v2 cgroup without the
//! controller counts for the nearest one above it that has it. The object is apart from that of `trouble`, because its
//! maps are made whole when it is loaded. Tasks that are older than it are found by an iterator, those of the daemon's
//! pid namespace; waits of others are counted as lost.

#[cfg(test)]
mod tests;
mod waits;

probe_kit::bpf_object!("runqueue");

pub(super) use waits::SystemRunqueue;

use super::probe::Programs;
use bpf::{OpenRunqueueSkel, RUNQUEUE_LOST_BEGIN, RunqueueSkel, RunqueueSkelBuilder};
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Outcome, SubProbes};
use probe_kit::bpf::{Bpf, Job, LoadError, ObjectSpec, Storage, Way, abi, cost, iterate};
use probe_kit::kernel::{AttachKind, Helper, MapKind, Requirement, kernel};
use rustix::time::{ClockId, clock_gettime};
use std::io;

/// The sub-probe.
pub(super) const NAME: &str = "runqueue";

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const WAKEUP: Requirement = Requirement::Tracepoint("sched_wakeup");
const WAKEUP_NEW: Requirement = Requirement::Tracepoint("sched_wakeup_new");
const SWITCH: Requirement = Requirement::Tracepoint("sched_switch");
const NEW_TASK: Requirement = Requirement::Tracepoint("task_newtask");
const MAP: Requirement = Requirement::Map(MapKind::TaskStorage);
const HELPER: Requirement = Requirement::Helper(Helper::TaskStorageGet);
const TASKS: Requirement = Requirement::Attach(AttachKind::IterTask);

/// What task storage takes, all of it for each program: they must agree on where the times are.
const STORAGE: [Requirement; 4] = [MAP, HELPER, TASKS, NEW_TASK];

macro_rules! job {
    ($name:literal, $tracepoint:expr, $with_storage:literal, $by_pid:literal) => {
        Job {
            name: $name,
            sub_probes: &[NAME],
            helps: &[],
            ways: &[
                Way {
                    program: $with_storage,
                    needs: &[TP_BTF, $tracepoint, MAP, HELPER, TASKS, NEW_TASK],
                    maps: &["since"],
                },
                Way { program: $by_pid, needs: &[TP_BTF, $tracepoint], maps: &["since_by_pid"] },
            ],
        }
    };
}

static JOBS: &[Job] = &[
    job!("wake-ups", WAKEUP, "woken", "woken_by_pid"),
    job!("first wake-ups", WAKEUP_NEW, "born", "born_by_pid"),
    job!("switches", SWITCH, "switched", "switched_by_pid"),
];

/// The job that gives the tasks storage that were there before.
const KNOWN: &str = "known tasks";

/// Only with task storage, and before the others: a task must have some when it is woken.
static STORAGE_JOBS: &[Job] = &[
    Job {
        name: "new tasks",
        sub_probes: &[NAME],
        helps: &[],
        ways: &[Way { program: "made", needs: &[TP_BTF, NEW_TASK], maps: &["since"] }],
    },
    Job {
        name: KNOWN,
        sub_probes: &[NAME],
        helps: &[],
        ways: &[Way { program: "known_tasks", needs: &[TASKS], maps: &["since"] }],
    },
];

/// The jobs of this kernel.
fn jobs() -> &'static [Job] {
    static ALL: std::sync::OnceLock<Vec<Job>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let with_storage = kernel().ask_all(&STORAGE).iter().all(Result::is_ok);
        let storage = if with_storage { STORAGE_JOBS } else { &[] };
        storage.iter().chain(JOBS).copied().collect()
    })
}

/// Why waits were not counted, in the order of [`RunQueue::lost`].
const REASONS: [&str; 3] = ["runqueue_map_full", "runqueue_begin_unseen", "program_skipped"];

/// The kernel's clock, in ns.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

/// The loaded object, and what is known from it.
pub(super) struct RunQueue<'o> {
    object: Bpf<RunqueueSkel<'o>>,
    wanted: bool,
    waits: waits::Waits,
    lost: [u64; 3],
    /// A reading of the object that failed, for the next report.
    failures: u64,
}

impl<'o> RunQueue<'o> {
    /// Loads what this kernel can do.
    pub(super) fn load(storage: &'o mut Storage) -> Result<Self, LoadError> {
        let spec = ObjectSpec { name: "baseinfo", owner: "baseinfo", bytes: bpf::OBJECT, jobs: jobs() };
        let configure = |open: &mut OpenRunqueueSkel<'o>| {
            if let Some(data) = open.maps.rodata_data.as_deref_mut() {
                data.wait_bounds = waits::BOUNDS;
            }
        };
        let object = Bpf::load::<RunqueueSkelBuilder>(&spec, kernel(), None, storage, configure)?;
        Ok(Self { object, wanted: false, waits: waits::Waits::default(), lost: [0; 3], failures: 0 })
    }

    /// Gives storage to every task that has none.
    fn look_at_tasks(&mut self) {
        // It writes nothing; the one byte is what says that there is no more.
        let done = self.object.link(KNOWN).map_or(Ok(Vec::new()), |link| iterate(link, 1));
        self.failures += u64::from(done.is_err());
    }

    fn losses(&self) -> io::Result<[u64; 3]> {
        let object = self.object.skel().object();
        Ok([
            cost::lost(object, abi::GOPHER_LOST_MAP)?,
            cost::lost(object, RUNQUEUE_LOST_BEGIN)?,
            cost::recursion_misses(object)?.unwrap_or(0),
        ])
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().collect()
    }
}

impl Programs for RunQueue<'_> {
    fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        let before = std::mem::replace(&mut self.wanted, wanted.has(NAME));
        if !before && let Some(data) = self.object.skel_mut().maps.bss_data.as_deref_mut() {
            data.attached_at = now();
        }
        let outcome = self.object.apply(&wanted.iter().filter(|name| *name == NAME).collect());
        if self.wanted && !before {
            self.look_at_tasks();
            // Tasks that ran before they had storage are no loss: nobody observed them yet.
            match self.losses() {
                Ok(now) => self.lost = now,
                Err(_) => self.failures += 1,
            }
        }
        outcome
    }

    fn read(&mut self, out: &mut Batch) {
        if !self.wanted {
            return;
        }
        let skel = self.object.skel_mut();
        match self.waits.read(&skel.maps.waits, &skel.maps.cgroups, out) {
            Ok(true) => {
                if let Some(data) = skel.maps.bss_data.as_deref_mut() {
                    data.full = 0;
                }
            }
            Ok(false) => {}
            Err(_) => self.failures += 1,
        }
        match self.losses() {
            Ok(now) => {
                let before = std::mem::replace(&mut self.lost, now);
                for ((reason, now), before) in REASONS.into_iter().zip(now).zip(before) {
                    out.skip(reason, now.saturating_sub(before));
                }
                let [_, unseen, skipped] = now;
                let [_, unseen_before, skipped_before] = before;
                if (unseen, skipped) != (unseen_before, skipped_before) {
                    self.look_at_tasks();
                }
            }
            Err(_) => self.failures += 1,
        }
        out.skip("runqueue_unreadable", std::mem::take(&mut self.failures));
    }

    fn memory(&self) -> u64 {
        self.waits.memory()
    }
}
