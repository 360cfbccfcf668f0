//! Page cache and reclaim: the programs at work, and the rows of what they counted.

use super::PAGECACHE;
use super::census::{Census, Time, begin_reading, counts, end_period, forget_ended, read, reading, remove};
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::ProcPage;
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way};
use probe_kit::kernel::{AttachKind, Requirement};
use std::io;

probe_kit::bpf_object!("proc_page");

use bpf::{OpenProcPageSkel, ProcPageSkel, ProcPageSkelBuilder, proc_page};

counts!(proc_page, bpf::proc_time, |counts| counts.accessed
    + counts.loaded
    + counts.dirtied
    + counts.buffers
    + counts.reclaim.count);

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const FENTRY: Requirement = Requirement::Attach(AttachKind::Fentry);
const KPROBE: Requirement = Requirement::Attach(AttachKind::Kprobe);
const FOLIO: Requirement = Requirement::Function("folio_mark_accessed");
const PAGE: Requirement = Requirement::Function("mark_page_accessed");

// A job is named after the fields that are absent without it.
const LOADS: &str = "load_page_cache";
const DIRTY: &str = "mark_page_dirty";
const BUFFERS: &str = "mark_buffer_dirty";
const ACCESSES: &str = "access_pagecache";
const RECLAIM: &str = "reclaim_ns";

macro_rules! job {
    ($name:expr, $($program:literal: [$($need:expr),*]),+) => {
        Job {
            name: $name,
            sub_probes: &[],
            helps: &[PAGECACHE],
            ways: &[$(Way { program: $program, needs: &[$($need),*], maps: &[] }),+],
        }
    };
}

static JOBS: &[Job] = &[
    Job {
        name: "ends of processes",
        sub_probes: &[PAGECACHE],
        helps: &[],
        ways: &[Way { program: "ended", needs: &[TP_BTF], maps: &[] }],
    },
    job!(LOADS, "added": [TP_BTF, Requirement::Tracepoint("mm_filemap_add_to_page_cache")]),
    job!(
        DIRTY,
        "dirtied_folio": [TP_BTF, Requirement::Tracepoint("writeback_dirty_folio")],
        "dirtied_page": [TP_BTF, Requirement::Tracepoint("writeback_dirty_page")]
    ),
    job!(BUFFERS, "dirtied_buffer": [TP_BTF, Requirement::Tracepoint("block_dirty_buffer")]),
    job!(
        ACCESSES,
        "accessed_folio": [FENTRY, FOLIO],
        "accessed_folio_kprobe": [KPROBE, FOLIO],
        "accessed_page": [FENTRY, PAGE],
        "accessed_page_kprobe": [KPROBE, PAGE]
    ),
    job!("end of reclaim", "reclaim_ends": [TP_BTF, Requirement::Tracepoint("mm_vmscan_direct_reclaim_end")]),
    job!(RECLAIM, "reclaim_begins": [TP_BTF, Requirement::Tracepoint("mm_vmscan_direct_reclaim_begin")]),
];

struct Page<'o> {
    object: Bpf<ProcPageSkel<'o>>,
    losses: Losses,
    census: Census,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_page", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcPageSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object =
        Bpf::load::<ProcPageSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    Ok(Box::new(Page { object, losses: Losses::default(), census: Census::default() }))
}

impl Part for Page<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let outcome = self.object.apply(wanted);
        if wanted.has(PAGECACHE) {
            forget_ended::<proc_page>(&self.object.skel().maps.processes, look);
        }
        outcome
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(PAGECACHE) {
            return Ok(());
        }
        let (entries, period, gone) = reading!(self, look, |_: &proc_page| ());
        let plan = self.object.plan();
        let given = |job: &str, count: u64| plan.program_of(job).map(|_| count);
        for entry in &entries {
            let Some(mut rows) = self.census.rows(entry.key(), look, out) else { continue };
            let (counts, reclaim) = (&entry.counts, Time::from(entry.counts.reclaim));
            rows.push(ProcPage {
                tgid: rows.tgid(),
                reclaim_ns: reclaim.longest(period),
                access_pagecache: given(ACCESSES, counts.accessed),
                mark_buffer_dirty: given(BUFFERS, counts.buffers),
                load_page_cache: given(LOADS, counts.loaded),
                mark_page_dirty: given(DIRTY, counts.dirtied),
                reclaim_count: reclaim.counted(),
                reclaim_ns_total: reclaim.total(),
            });
        }
        out.complete::<ProcPage>();
        remove(&self.object.skel().maps.processes, &gone);
        self.losses.tell(self.object.skel().object(), &[], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().map(|verdict| format!("page/{verdict}")).collect()
    }
}
