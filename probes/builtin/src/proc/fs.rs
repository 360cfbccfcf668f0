//! File systems by their own functions: the programs at work, and the rows of what they counted. What stands in for
//! them where a kernel does not let anybody have them is `syscall`'s.

use super::FS;
use super::census::{Census, Time, begin_reading, counts, end_period, forget_ended, read, reading, remove};
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::tables::{ProcExt4, ProcOverlay, ProcTmpfs};
use libbpf_rs::skel::Skel as _;
use probe_core::{Batch, Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way};
use probe_kit::kernel::{AttachKind, Kernel, Requirement};
use std::io;

probe_kit::bpf_object!("proc_fs");

use bpf::{
    OpenProcFsSkel, PROC_FS_EXT4_FLUSH, PROC_FS_EXT4_OPEN, PROC_FS_EXT4_READ, PROC_FS_EXT4_WRITE,
    PROC_FS_OVERLAY_FLUSH, PROC_FS_OVERLAY_OPEN, PROC_FS_OVERLAY_READ, PROC_FS_OVERLAY_WRITE,
    PROC_FS_TMPFS_FLUSH, PROC_FS_TMPFS_READ, PROC_FS_TMPFS_WRITE, ProcFsSkel, ProcFsSkelBuilder, proc_fs,
};

counts!(proc_fs, bpf::proc_time, |counts| counts.of.iter().map(|time| time.count).sum());

const FENTRY: Requirement = Requirement::Attach(AttachKind::Fentry);
const FEXIT: Requirement = Requirement::Attach(AttachKind::Fexit);
const KPROBE: Requirement = Requirement::Attach(AttachKind::Kprobe);

/// Both ends of an operation: the return is attached first, for what begins must be seen to end. `function` is asked
/// for where it is in the kernel itself; one in a module is found, or not, when a breakpoint is set.
macro_rules! operation {
    ($($name:literal: $([$begins:literal, $ends:literal, $function:literal]),+ or $([$begins_k:literal, $ends_k:literal]),+;)*) => {
        &[
            Job {
                name: "ends of processes",
                sub_probes: &[],
                helps: &[FS],
                ways: &[Way { program: "ended", needs: &[Requirement::Attach(AttachKind::TpBtf)], maps: &[] }],
            },
            $(
                Job {
                    name: concat!("end of ", $name),
                    sub_probes: &[],
                    helps: &[FS],
                    ways: &[
                        $(Way { program: $ends, needs: &[FEXIT, Requirement::Function($function)], maps: &[] },)+
                        $(Way { program: $ends_k, needs: &[KPROBE], maps: &[] },)+
                    ],
                },
                Job {
                    name: $name,
                    sub_probes: &[],
                    helps: &[FS],
                    ways: &[
                        $(Way { program: $begins, needs: &[FENTRY, Requirement::Function($function)], maps: &[] },)+
                        $(Way { program: $begins_k, needs: &[KPROBE], maps: &[] },)+
                    ],
                },
            )*
        ]
    };
}

static JOBS: &[Job] = operation! {
    "ns_ext4_read": ["ext4_read_begins", "ext4_read_ends", "ext4_file_read_iter"]
        or ["ext4_read_begins_kprobe", "ext4_read_ends_kprobe"];
    "ns_ext4_write": ["ext4_write_begins", "ext4_write_ends", "ext4_file_write_iter"]
        or ["ext4_write_begins_kprobe", "ext4_write_ends_kprobe"];
    "ns_ext4_open": ["ext4_open_begins", "ext4_open_ends", "ext4_file_open"]
        or ["ext4_open_begins_kprobe", "ext4_open_ends_kprobe"];
    "ns_ext4_flush": ["ext4_flush_begins", "ext4_flush_ends", "ext4_sync_file"]
        or ["ext4_flush_begins_kprobe", "ext4_flush_ends_kprobe"];
    "ns_overlay_read": ["overlay_read_begins", "overlay_read_ends", "ovl_read_iter"]
        or ["overlay_read_begins_kprobe", "overlay_read_ends_kprobe"];
    "ns_overlay_write": ["overlay_write_begins", "overlay_write_ends", "ovl_write_iter"]
        or ["overlay_write_begins_kprobe", "overlay_write_ends_kprobe"];
    "ns_overlay_open": ["overlay_open_begins", "overlay_open_ends", "ovl_open"]
        or ["overlay_open_begins_kprobe", "overlay_open_ends_kprobe"];
    "ns_overlay_flush": ["overlay_flush_begins", "overlay_flush_ends", "ovl_fsync"]
        or ["overlay_flush_begins_kprobe", "overlay_flush_ends_kprobe"];
    "ns_tmpfs_read": ["tmpfs_read_begins", "tmpfs_read_ends", "shmem_file_read_iter"]
        or ["tmpfs_read_begins_kprobe", "tmpfs_read_ends_kprobe"];
    "ns_tmpfs_write": ["tmpfs_write_begins", "tmpfs_write_ends", "shmem_file_write_iter"],
        ["generic_write_begins", "generic_write_ends", "generic_file_write_iter"]
        or ["generic_write_begins_kprobe", "generic_write_ends_kprobe"];
    "ns_tmpfs_flush": ["tmpfs_flush_begins", "tmpfs_flush_ends", "noop_fsync"]
        or ["tmpfs_flush_begins_kprobe", "tmpfs_flush_ends_kprobe"];
};

struct Fs<'o> {
    object: Bpf<ProcFsSkel<'o>>,
    kernel: &'static Kernel,
    losses: Losses,
    census: Census,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_fs", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcFsSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
        }
    };
    let object = Bpf::load::<ProcFsSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    Ok(Box::new(Fs { object, kernel: ground.kernel, losses: Losses::default(), census: Census::default() }))
}

impl Part for Fs<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let mut outcome = self.object.apply(wanted);
        if wanted.has(FS) {
            forget_ended::<proc_fs>(&self.object.skel().maps.processes, look);
        }
        if let (true, Err(trampolines), Err(breakpoints)) =
            (wanted.has(FS), self.kernel.ask(FENTRY), self.kernel.ask(KPROBE))
        {
            // One sentence and not one for each function.
            outcome = Outcome::all(wanted);
            let fields = "ns_ext4_*, ns_overlay_* and ns_tmpfs_*";
            outcome.lack(FS, format!("{fields}: {trampolines}; {breakpoints}"));
        } else if wanted.has(FS) {
            // A function of a module that is not loaded is no reason not to run.
            for job in JOBS.iter().map(|job| job.name) {
                let planned = self.object.plan().program_of(job);
                if let (Some(program), None) = (planned, self.object.link(job)) {
                    outcome.lack(FS, format!("{job}: program {program} cannot be attached"));
                }
            }
        }
        outcome
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !wanted.has(FS) {
            return Ok(());
        }
        let (entries, period, gone) = reading!(self, look, |_: &proc_fs| ());
        for entry in &entries {
            let Some(mut rows) = self.census.rows(entry.key(), look, out) else { continue };
            let of =
                |op: u32| entry.counts.of.get(op as usize).map_or_else(Time::default, |time| (*time).into());
            let longest = |op: u32| of(op).longest(period);
            let any = |from: u32, to: u32| (from..=to).any(|op| of(op).count > 0);
            if any(PROC_FS_EXT4_READ, PROC_FS_EXT4_FLUSH) {
                rows.push(ProcExt4 {
                    tgid: rows.tgid(),
                    ns_ext4_read: longest(PROC_FS_EXT4_READ),
                    ns_ext4_write: longest(PROC_FS_EXT4_WRITE),
                    ns_ext4_open: longest(PROC_FS_EXT4_OPEN),
                    ns_ext4_flush: longest(PROC_FS_EXT4_FLUSH),
                });
            }
            if any(PROC_FS_OVERLAY_READ, PROC_FS_OVERLAY_FLUSH) {
                rows.push(ProcOverlay {
                    tgid: rows.tgid(),
                    ns_overlay_read: longest(PROC_FS_OVERLAY_READ),
                    ns_overlay_write: longest(PROC_FS_OVERLAY_WRITE),
                    ns_overlay_open: longest(PROC_FS_OVERLAY_OPEN),
                    ns_overlay_flush: longest(PROC_FS_OVERLAY_FLUSH),
                });
            }
            if any(PROC_FS_TMPFS_READ, PROC_FS_TMPFS_FLUSH) {
                rows.push(ProcTmpfs {
                    tgid: rows.tgid(),
                    ns_tmpfs_read: longest(PROC_FS_TMPFS_READ),
                    ns_tmpfs_write: longest(PROC_FS_TMPFS_WRITE),
                    ns_tmpfs_flush: longest(PROC_FS_TMPFS_FLUSH),
                });
            }
        }
        out.complete::<ProcExt4>();
        out.complete::<ProcOverlay>();
        out.complete::<ProcTmpfs>();
        remove(&self.object.skel().maps.processes, &gone);
        self.losses.tell(self.object.skel().object(), &[], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        // Of modules that are not loaded there is nothing to attach to.
        let told = self.object.verdicts().filter(|verdict| !verdict.ends_with("loaded"));
        told.map(|verdict| format!("fs/{verdict}")).collect()
    }
}
