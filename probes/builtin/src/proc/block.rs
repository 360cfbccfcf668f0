//! Block I/O by whoever submits it: the programs at work, and the rows of what they counted.

use super::IO;
use super::census::{Census, Time, begin_reading, counts, end_period, forget_ended, read, reading, remove};
use super::labels;
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::{ProcEndedIo, ProcIo};
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore as _, MapFlags};
use probe_core::{Baseline, Batch, Label, Outcome, ProbeError, SubProbes, Subject};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way, raised, snapshot};
use probe_kit::kernel::{AttachKind, Requirement};
use std::collections::HashMap;
use std::io;
use zerocopy::IntoBytes as _;

probe_kit::bpf_object!("proc_block");

use bpf::{
    OpenProcBlockSkel, PROC_BLOCK_LOST_END, ProcBlockSkel, ProcBlockSkelBuilder, proc_bios, proc_block,
    proc_block_ended,
};

counts!(proc_block, bpf::proc_time, |counts| {
    let bios = &counts.bios;
    bios.small_reads
        + bios.small_writes
        + bios.large_reads
        + bios.large_writes
        + bios.hangs
        + counts.latency.count
});

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);

/// The sub-probe runs without any of them: it has system calls too.
macro_rules! job {
    ($name:literal, $program:literal, $tracepoint:literal) => {
        Job {
            name: $name,
            sub_probes: &[],
            helps: &[IO],
            ways: &[Way {
                program: $program,
                needs: &[TP_BTF, Requirement::Tracepoint($tracepoint)],
                maps: &[],
            }],
        }
    };
}

/// Ends before beginnings: what begins must be seen to end.
static JOBS: &[Job] = &[
    job!("ends of processes", "ended", "sched_process_exit"),
    job!("ends of bios", "bio_ended", "block_bio_complete"),
    job!("ends of requests", "request_ended", "block_rq_complete"),
    Job {
        name: "bios",
        sub_probes: &[],
        helps: &[IO],
        ways: &[
            // 5.10 hands over the queue as well.
            Way {
                program: "bio_queued_in",
                needs: &[TP_BTF, Requirement::TracepointArguments("block_bio_queue", 2)],
                maps: &[],
            },
            Way {
                program: "bio_queued",
                needs: &[TP_BTF, Requirement::Tracepoint("block_bio_queue")],
                maps: &[],
            },
        ],
    },
    job!("hang_count", "hung", "sched_process_hang"),
];

struct Block<'o> {
    object: Bpf<ProcBlockSkel<'o>>,
    losses: Losses,
    census: Census,
    /// Processes that ended in the moment of a reading, by name: the kernel took them for read.
    unread: HashMap<Label, proc_block_ended>,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_block", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcBlockSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object =
        Bpf::load::<ProcBlockSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    let _raised = raised();
    // The name of those that have no room for theirs.
    let names = &object.skel().maps.ended_names;
    names
        .update([0_u8; 16].as_slice(), proc_block_ended::default().as_bytes(), MapFlags::ANY)
        .map_err(|error| ProbeError::failed("names of ended processes", error))?;
    let (losses, census) = (Losses::default(), Census::default());
    Ok(Box::new(Block { object, losses, census, unread: HashMap::new() }))
}

impl Part for Block<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let outcome = self.object.apply(wanted);
        if wanted.has(IO) {
            forget_ended::<proc_block>(&self.object.skel().maps.processes, look);
        }
        outcome
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(IO) {
            return Ok(());
        }
        let unread = &mut self.unread;
        let (entries, period, gone) = reading!(self, look, |counts: &proc_block| {
            let sum = unread.entry(labels::text(&counts.head.comm)).or_default();
            sum.processes += 1;
            add(&mut sum.bios, &counts.bios);
        });
        let counts_hangs = self.object.plan().program_of("hang_count").is_some();
        for entry in &entries {
            let Some(mut rows) = self.census.rows(entry.key(), look, out) else { continue };
            let (bios, latency) = (&entry.counts.bios, Time::from(entry.counts.latency));
            rows.push(ProcIo {
                tgid: rows.tgid(),
                less_4k_io_read: Some(bios.small_reads),
                less_4k_io_write: Some(bios.small_writes),
                greater_4k_io_read: Some(bios.large_reads),
                greater_4k_io_write: Some(bios.large_writes),
                bio_latency: latency.longest(period),
                bio_err_count: Some(bios.errors),
                hang_count: counts_hangs.then_some(bios.hangs),
                bio_count: latency.counted(),
                bio_latency_ns_total: latency.total(),
            });
        }
        out.complete::<ProcIo>();
        self.show_ended(out)?;
        remove(&self.object.skel().maps.processes, &gone);
        let object = self.object.skel().object();
        self.losses.tell(object, &[(PROC_BLOCK_LOST_END, "bio_not_timed")], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().map(|verdict| format!("block/{verdict}")).collect()
    }
}

impl Block<'_> {
    fn show_ended(&self, out: &mut Batch) -> io::Result<()> {
        let mut sums = self.unread.clone();
        let entries = snapshot::<[u8; 16], proc_block_ended>(&self.object.skel().maps.ended_names)?.entries;
        for (name, counts) in entries.iter().filter(|(_, counts)| counts.processes > 0) {
            let sum = sums.entry(labels::text(name)).or_default();
            sum.processes += counts.processes;
            add(&mut sum.bios, &counts.bios);
        }
        for (comm, sum) in sums {
            let row = ProcEndedIo {
                comm: labels::name_or_other(comm),
                less_4k_io_read: Some(sum.bios.small_reads),
                less_4k_io_write: Some(sum.bios.small_writes),
                greater_4k_io_read: Some(sum.bios.large_reads),
                greater_4k_io_write: Some(sum.bios.large_writes),
                bio_err_count: Some(sum.bios.errors),
            };
            out.push(Subject::Host, Baseline::Zero, row);
        }
        out.complete::<ProcEndedIo>();
        Ok(())
    }
}

fn add(to: &mut proc_bios, from: &proc_bios) {
    to.small_reads += from.small_reads;
    to.small_writes += from.small_writes;
    to.large_reads += from.large_reads;
    to.large_writes += from.large_writes;
    to.errors += from.errors;
    to.hangs += from.hangs;
}
