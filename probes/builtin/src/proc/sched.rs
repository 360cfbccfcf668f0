//! Time off the CPU and waiting for one: the program at work, and the rows of what it counted.

use super::OFFCPU;
use super::census::{Census, Time, begin_reading, counts, end_period, forget_ended, read, reading, remove};
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::ProcCpu;
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way};
use probe_kit::kernel::{AttachKind, Kernel, Requirement};
use std::io;

probe_kit::bpf_object!("proc_sched");

use bpf::{OpenProcSchedSkel, PROC_SCHED_LOST_SPELL, ProcSchedSkel, ProcSchedSkelBuilder, proc_sched};

counts!(proc_sched, bpf::proc_time, |counts| counts.off_cpu.count + counts.run_queue.count);

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const RUN_DELAY: Requirement = Requirement::Field("sched_info", "run_delay");

static JOBS: &[Job] = &[
    Job {
        name: "ends of processes",
        sub_probes: &[OFFCPU],
        helps: &[],
        ways: &[Way { program: "ended", needs: &[TP_BTF], maps: &[] }],
    },
    Job {
        name: "switches",
        sub_probes: &[OFFCPU],
        helps: &[],
        ways: &[Way {
            program: "switched",
            needs: &[TP_BTF, Requirement::Tracepoint("sched_switch")],
            maps: &[],
        }],
    },
];

struct Sched<'o> {
    object: Bpf<ProcSchedSkel<'o>>,
    kernel: &'static Kernel,
    losses: Losses,
    census: Census,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_sched", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcSchedSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object =
        Bpf::load::<ProcSchedSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    let (losses, census) = (Losses::default(), Census::default());
    Ok(Box::new(Sched { object, kernel: ground.kernel, losses, census }))
}

impl Part for Sched<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let mut outcome = self.object.apply(wanted);
        if wanted.has(OFFCPU) {
            forget_ended::<proc_sched>(&self.object.skel().maps.processes, look);
        }
        if let Err(missing) = self.kernel.ask(RUN_DELAY) {
            outcome.lack(OFFCPU, format!("runqueue_ns: {missing}"));
        }
        outcome
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(OFFCPU) {
            return Ok(());
        }
        let (entries, period, gone) = reading!(self, look, |_: &proc_sched| ());
        for entry in &entries {
            let Some(mut rows) = self.census.rows(entry.key(), look, out) else { continue };
            let counts = &entry.counts;
            let [off, io, queue] = [counts.off_cpu, counts.io_wait, counts.run_queue].map(Time::from);
            rows.push(ProcCpu {
                tgid: rows.tgid(),
                iowait_ns: io.longest(period),
                offcpu_ns: off.longest(period),
                runqueue_ns: queue.longest(period),
                offcpu_count: off.counted(),
                offcpu_ns_total: off.total(),
                iowait_count: io.counted(),
                iowait_ns_total: io.total(),
                runqueue_ns_total: queue.total(),
            });
        }
        out.complete::<ProcCpu>();
        remove(&self.object.skel().maps.processes, &gone);
        let object = self.object.skel().object();
        self.losses.tell(object, &[(PROC_SCHED_LOST_SPELL, "spell_not_timed")], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().map(|verdict| format!("sched/{verdict}")).collect()
    }
}
