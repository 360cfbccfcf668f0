//! `oom`, `hung_task` and `reclaim`: what the kernel does to tasks when memory is short, and tasks that hang, as BPF
//! programs on its tracepoints see it.
//!
//! Owns the programs (`trouble.bpf.c`), their jobs, and taking out what they tell. `oom`, `hung_task` and `reclaim` own
//! the tables and events, `side` what was read of a task. The object is loaded only while one of the three is wanted:
//! the rest of `baseinfo` takes no right to load programs.

mod hung_task;
mod oom;
mod reclaim;
mod side;
/// What holds of any record: it is told with texts that can be shown, and a cgroup that is a path.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let event: trouble_event = probe_kit::fuzz::record(bytes);
    let mut out = Batch::new(std::time::SystemTime::UNIX_EPOCH);
    hung_task::HungTasks::default().note(&event, Clock::now(), &mut out);
    oom::Oom::new(&Env::under("/nonexistent".as_ref())).note(&event, Clock::now(), &mut out);
    assert_eq!(out.occurrences().len(), 2);
    for told in out.occurrences() {
        assert!(told.labels[0].starts_with('/'), "{told:?}");
        assert!(
            told.labels.iter().chain(told.args.iter().map(|(_, text)| text)).all(|text| !text.contains('\0'))
        );
    }
}

#[cfg(test)]
mod tests;

probe_kit::bpf_object!("trouble");

pub(super) use hung_task::{SystemHungTask, TRIGGER as HUNG_TASK_TRIGGER};
pub(super) use oom::{SystemOom, TRIGGER as OOM_TRIGGER};
pub(super) use reclaim::SystemReclaim;
pub(super) use side::path as cgroup_path;

use super::probe::Programs;
use bpf::{OpenTroubleSkel, TROUBLE_HANG, TROUBLE_OOM, TroubleSkel, TroubleSkelBuilder, trouble_event};
use libbpf_rs::MapHandle;
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Env, Outcome, SubProbes};
use probe_kit::bpf::{Bpf, Job, LoadError, ObjectSpec, Ring, Storage, Way, abi, cost};
use probe_kit::clock::Clock;
use probe_kit::kernel::{AttachKind, Requirement, kernel};
use std::io;
use std::os::fd::BorrowedFd;

/// The sub-probes.
pub(super) const NAMES: [&str; 3] = [OOM, HUNG_TASK, RECLAIM];
const OOM: &str = "oom";
const HUNG_TASK: &str = "hung_task";
const RECLAIM: &str = "reclaim";

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);

macro_rules! job {
    ($name:literal, $sub_probes:expr, $helps:expr, $($program:literal on $need:expr),+) => {
        Job {
            name: $name,
            sub_probes: $sub_probes,
            helps: $helps,
            ways: &[$(Way { program: $program, needs: &[TP_BTF, $need], maps: &[] }),+],
        }
    };
}

/// The tracepoint hands over the victim itself; before 6.10 its pid alone.
const WITH_TASK: Requirement = Requirement::TracepointArguments("mark_victim", 2);

static JOBS: &[Job] = &[
    job!(
        "victims", &[OOM], &[],
        "victim_marked" on WITH_TASK,
        "victim_marked_by_pid" on Requirement::Tracepoint("mark_victim")
    ),
    job!("hung tasks", &[HUNG_TASK], &[], "task_hangs" on Requirement::Tracepoint("sched_process_hang")),
    job!(
        "reclaim begins", &[RECLAIM], &[],
        "reclaim_begins" on Requirement::Tracepoint("mm_vmscan_direct_reclaim_begin")
    ),
    job!(
        "reclaim ends", &[RECLAIM], &[],
        "reclaim_ends" on Requirement::Tracepoint("mm_vmscan_direct_reclaim_end")
    ),
    job!(
        "memcg_latency_ns begins", &[], &[RECLAIM],
        "limit_begins" on Requirement::Tracepoint("mm_vmscan_memcg_reclaim_begin")
    ),
    job!(
        "memcg_latency_ns", &[], &[RECLAIM],
        "limit_ends" on Requirement::Tracepoint("mm_vmscan_memcg_reclaim_end")
    ),
    job!(
        "compaction_latency_ns begins", &[], &[RECLAIM],
        "compaction_begins" on Requirement::Tracepoint("mm_compaction_begin")
    ),
    job!(
        "compaction_latency_ns", &[], &[RECLAIM],
        "compaction_ends" on Requirement::Tracepoint("mm_compaction_end")
    ),
];

/// Only where the kernel's tracepoint tells no more than a pid.
static JOBS_BY_PID: &[Job] = &[
    job!("victims by signal", &[], &[OOM], "victim_signalled" on Requirement::Tracepoint("signal_generate")),
];

/// The jobs of this kernel.
fn jobs() -> &'static [Job] {
    static ALL: std::sync::OnceLock<Vec<Job>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let _raised = probe_kit::bpf::raised();
        let by_pid = if kernel().ask(WITH_TASK).is_ok() { &[][..] } else { JOBS_BY_PID };
        JOBS.iter().chain(by_pid).copied().collect()
    })
}

/// The loaded object, and what is known from it.
pub(super) struct Trouble<'o> {
    object: Bpf<TroubleSkel<'o>>,
    wanted: SubProbes,
    oom: oom::Oom,
    hung: hung_task::HungTasks,
    reclaim: reclaim::Reclaim,
    lost: [u64; 3],
    /// A reading of the object that failed, for the next report.
    failures: u64,
}

impl<'o> Trouble<'o> {
    /// Loads what this kernel can do.
    pub(super) fn load(env: &Env, storage: &'o mut Storage) -> Result<Self, LoadError> {
        let spec = ObjectSpec { name: "baseinfo", owner: "baseinfo", bytes: bpf::OBJECT, jobs: jobs() };
        let configure = |open: &mut OpenTroubleSkel<'o>| {
            if let Some(data) = open.maps.rodata_data.as_deref_mut() {
                data.stall_bounds = reclaim::BOUNDS;
            }
        };
        let object = Bpf::load::<TroubleSkelBuilder>(&spec, kernel(), None, storage, configure)?;
        Ok(Self {
            object,
            wanted: SubProbes::default(),
            oom: oom::Oom::new(env),
            hung: hung_task::HungTasks::default(),
            reclaim: reclaim::Reclaim::default(),
            lost: [0; 3],
            failures: 0,
        })
    }

    /// The ring of what is told at once.
    pub(super) fn events(&self) -> Result<MapHandle, LoadError> {
        self.object.map("events")
    }

    /// Attaches what `wanted` needs and nothing else; sub-probes of others are no business of this.
    pub(super) fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        self.wanted = wanted.iter().filter(|name| NAMES.contains(name)).collect();
        self.object.apply(&self.wanted)
    }

    /// Takes out what was told.
    pub(super) fn drain(&mut self, ring: &mut Ring<'_, trouble_event>, out: &mut Batch) {
        let clock = Clock::now();
        let mut events = Vec::new();
        if ring.drain(|event| events.push(event)).is_err() {
            self.failures += 1;
        }
        for event in events {
            match event.kind {
                TROUBLE_OOM => self.oom.note(&event, clock, out),
                TROUBLE_HANG => self.hung.note(&event, clock, out),
                _ => self.failures += 1,
            }
        }
    }

    /// Adds the rows, and what was lost.
    pub(super) fn read(&mut self, out: &mut Batch) {
        if self.wanted.has(OOM) {
            self.oom.show(out);
        }
        if self.wanted.has(HUNG_TASK) {
            self.hung.show(out);
        }
        if self.wanted.has(RECLAIM) && self.reclaim.read(&self.object.skel().maps.stalls, out).is_err() {
            self.failures += 1;
        }
        match self.losses() {
            Ok(losses) => losses.into_iter().for_each(|(reason, count)| out.skip(reason, count)),
            Err(_) => self.failures += 1,
        }
        out.skip("trouble_unreadable", std::mem::take(&mut self.failures));
    }

    fn losses(&mut self) -> io::Result<[(&'static str, u64); 3]> {
        let object = self.object.skel().object();
        let now = [
            cost::lost(object, abi::GOPHER_LOST_RING)?,
            cost::lost(object, abi::GOPHER_LOST_MAP)?,
            cost::recursion_misses(object)?.unwrap_or(0),
        ];
        let before = std::mem::replace(&mut self.lost, now);
        let grown = |at: usize| now[at].saturating_sub(before[at]);
        Ok([("event_ring_full", grown(0)), ("stall_map_full", grown(1)), ("program_skipped", grown(2))])
    }

    /// Memory of what is known; that of the maps is in the kit's account.
    pub(super) fn memory(&self) -> u64 {
        self.oom.memory() + self.hung.memory() + self.reclaim.memory()
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().collect()
    }
}

/// The object with its ring, which it is drained through.
pub(super) struct Told<'t, 'o, 'm> {
    pub(super) trouble: &'t mut Trouble<'o>,
    pub(super) ring: Ring<'m, trouble_event>,
}

impl Programs for Told<'_, '_, '_> {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.ring.fd())
    }

    fn apply(&mut self, wanted: &SubProbes) -> Outcome {
        self.trouble.apply(wanted)
    }

    fn drain(&mut self, out: &mut Batch) {
        self.trouble.drain(&mut self.ring, out);
    }

    fn read(&mut self, out: &mut Batch) {
        self.drain(out);
        self.trouble.read(out);
    }

    fn memory(&self) -> u64 {
        self.trouble.memory()
    }
}
