//! System calls: the programs at work, and their maps read and tidied. What rows come of it is `syscall_rows`'s.

use super::census::{
    Census, Counts as _, Entry, Found, begin_reading, counts, end_period, forget_ended, read, remove,
};
use super::part::{Ground, Losses, Part};
use super::process::Look;
use super::syscall_rows::{file_system, fold, show, show_ended};
use super::tables::ProcFsCalls;
use super::{FS, IO, IOCTL, NET, SYSCALL};
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore as _, MapFlags};
use probe_core::{Baseline, Batch, Label, Outcome, ProbeError, ProcKey, SubProbes, Subject};
use probe_kit::bpf::{Bpf, Job, ObjectSpec, Storage, Way, raised, snapshot};
use probe_kit::kernel::{AttachKind, Helper, MapKind, Requirement};
use std::collections::{HashMap, HashSet};
use std::io;
use zerocopy::IntoBytes as _;

probe_kit::bpf_object!("proc_syscall");
pub(super) use bpf::{proc_ended, proc_fs_calls, proc_fs_key, proc_syscalls};

counts!(proc_syscalls, bpf::proc_time, |counts| counts.calls
    + counts.forks
    + counts.threads
    + counts.of.iter().map(|of| of.count).sum::<u64>());

use bpf::{
    OpenProcSyscallSkel, PROC_CALL_CLONE, PROC_CALL_EPOLL_PWAIT, PROC_CALL_FSYNC, PROC_CALL_FUTEX,
    PROC_CALL_IOCTL, PROC_CALL_MOUNT, PROC_CALL_READ, PROC_CALL_RECVMSG, PROC_CALL_SCHED_YIELD,
    PROC_CALL_SENDMSG, PROC_CALL_UMOUNT, PROC_CALL_WRITE, PROC_SYSCALL_LOST_TIME, ProcSyscallSkel,
    ProcSyscallSkelBuilder,
};
pub(super) use bpf::{
    PROC_CALL_CLONE as CLONE, PROC_CALL_EPOLL_PWAIT as EPOLL_PWAIT, PROC_CALL_EPOLL_WAIT as EPOLL_WAIT,
    PROC_CALL_FORK as FORK, PROC_CALL_FSYNC as FSYNC, PROC_CALL_FUTEX as FUTEX,
    PROC_CALL_IOCTL as IOCTL_CALL, PROC_CALL_MOUNT as MOUNT, PROC_CALL_READ as READ,
    PROC_CALL_RECVMSG as RECVMSG, PROC_CALL_SCHED_YIELD as SCHED_YIELD, PROC_CALL_SENDMSG as SENDMSG,
    PROC_CALL_UMOUNT as UMOUNT, PROC_CALL_VFORK as VFORK, PROC_CALL_WRITE as WRITE,
};

/// Numbers of system calls of every architecture, and what kind each is.
const NUMBERS: &[(libc::c_long, u32)] = &[
    (libc::SYS_mount, PROC_CALL_MOUNT),
    (libc::SYS_umount2, PROC_CALL_UMOUNT),
    (libc::SYS_read, PROC_CALL_READ),
    (libc::SYS_write, PROC_CALL_WRITE),
    (libc::SYS_fsync, PROC_CALL_FSYNC),
    (libc::SYS_fdatasync, PROC_CALL_FSYNC),
    (libc::SYS_sendmsg, PROC_CALL_SENDMSG),
    (libc::SYS_recvmsg, PROC_CALL_RECVMSG),
    (libc::SYS_sched_yield, PROC_CALL_SCHED_YIELD),
    (libc::SYS_futex, PROC_CALL_FUTEX),
    (libc::SYS_epoll_pwait, PROC_CALL_EPOLL_PWAIT),
    (libc::SYS_epoll_pwait2, PROC_CALL_EPOLL_PWAIT),
    (libc::SYS_clone, PROC_CALL_CLONE),
    (libc::SYS_clone3, PROC_CALL_CLONE),
    (libc::SYS_ioctl, PROC_CALL_IOCTL),
];

/// Those that newer architectures have not.
#[cfg(target_arch = "x86_64")]
const OLD_NUMBERS: &[(libc::c_long, u32)] =
    &[(libc::SYS_epoll_wait, EPOLL_WAIT), (libc::SYS_fork, FORK), (libc::SYS_vfork, VFORK)];
#[cfg(not(target_arch = "x86_64"))]
const OLD_NUMBERS: &[(libc::c_long, u32)] = &[];

/// Which calls each sub-probe shows.
const SHOWN: [(&str, &[u32]); 5] = [
    (SYSCALL, &[SCHED_YIELD, FUTEX, EPOLL_WAIT, EPOLL_PWAIT, FORK, VFORK, CLONE]),
    (IO, &[MOUNT, UMOUNT, READ, WRITE, FSYNC]),
    (NET, &[SENDMSG, RECVMSG]),
    (IOCTL, &[IOCTL_CALL]),
    (FS, &[READ, WRITE, FSYNC]),
];

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const STORAGE: &[Requirement] =
    &[TP_BTF, Requirement::Map(MapKind::TaskStorage), Requirement::Helper(Helper::TaskStorageGet)];
const ALL: &[&str] = &[SYSCALL, IO, NET, IOCTL, FS];

/// A job with storage of tasks or, where programs cannot have it, with a hash.
macro_rules! job {
    ($name:literal, $program:literal, $hash:literal) => {
        Job {
            name: $name,
            sub_probes: ALL,
            helps: &[],
            ways: &[
                Way { program: $program, needs: STORAGE, maps: &["threads"] },
                Way { program: $hash, needs: &[TP_BTF], maps: &["threads_hash"] },
            ],
        }
    };
}

/// The return before the entry: what begins must be seen to end.
static JOBS: &[Job] = &[
    job!("ends of processes", "ended", "ended_hash"),
    job!("returns of calls", "returned", "returned_hash"),
    job!("entries of calls", "entered", "entered_hash"),
    Job {
        name: "forks",
        sub_probes: &[SYSCALL],
        helps: &[],
        ways: &[Way {
            program: "forked",
            needs: &[TP_BTF, Requirement::Tracepoint("sched_process_fork")],
            maps: &[],
        }],
    },
];

struct Syscalls<'o> {
    object: Bpf<ProcSyscallSkel<'o>>,
    losses: Losses,
    census: Census,
    /// Processes that ended in the moment of a reading, by name: the kernel took them for read.
    unread: HashMap<Label, proc_ended>,
}

/// Loads what this kernel can do.
pub(super) fn load<'o>(
    storage: &'o mut Storage,
    ground: &Ground<'_>,
) -> Result<Box<dyn Part + 'o>, ProbeError> {
    let spec = ObjectSpec { name: "proc_syscall", owner: "proc", bytes: bpf::OBJECT, jobs: JOBS };
    let slot = ground.slot;
    let configure = |open: &mut OpenProcSyscallSkel<'o>| {
        if let Some(data) = open.maps.rodata_data.as_deref_mut() {
            data.gopher_scope_slot = slot.number();
            for (number, call) in NUMBERS.iter().chain(OLD_NUMBERS) {
                let place = usize::try_from(*number).ok().and_then(|at| data.call_of_number.get_mut(at));
                if let (Some(place), Ok(call)) = (place, u8::try_from(*call)) {
                    *place = call;
                }
            }
        }
    };
    let object =
        Bpf::load::<ProcSyscallSkelBuilder>(&spec, ground.kernel, Some(slot.maps()), storage, configure)?;
    let _raised = raised();
    // The name of those that have no room for theirs.
    let names = &object.skel().maps.ended_names;
    names
        .update([0_u8; 16].as_slice(), proc_ended::default().as_bytes(), MapFlags::ANY)
        .map_err(|error| ProbeError::failed("names of ended processes", error))?;
    Ok(Box::new(Syscalls {
        object,
        losses: Losses::default(),
        census: Census::default(),
        unread: HashMap::new(),
    }))
}

impl Part for Syscalls<'_> {
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome {
        let shown = SHOWN.iter().filter(|(name, _)| wanted.has(name)).flat_map(|(_, calls)| *calls);
        let timed = shown.fold(0, |bits, call| bits | 1_u64 << call);
        if let Some(data) = self.object.skel_mut().maps.bss_data.as_deref_mut() {
            data.timed = timed;
            data.counting = u32::from(wanted.has(SYSCALL));
            data.by_file_system = u32::from(wanted.has(FS));
        }
        let outcome = self.object.apply(wanted);
        if ALL.iter().any(|name| wanted.has(name)) {
            forget_ended::<proc_syscalls>(&self.object.skel().maps.processes, look);
        }
        outcome
    }

    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()> {
        if !ALL.iter().any(|name| wanted.has(name)) {
            return Ok(());
        }
        let reading = begin_reading!(self.object);
        let Found { entries, newcomers } =
            read::<proc_syscalls>(&self.object.skel().maps.processes, reading)?;
        let period = end_period!(self.object, look.closes).unwrap_or_default();
        let unread = &mut self.unread;
        let gone = self.census.take(&entries, |key| look.runs(key), |counts| fold(unread, counts));
        if wanted.has(SYSCALL) {
            let ended = snapshot::<[u8; 16], proc_ended>(&self.object.skel().maps.ended_names)?.entries;
            show_ended(&self.unread, ended.iter().map(|(name, counts)| (&name[..], counts)), out);
        }
        show(&entries, &mut self.census, wanted, look, period, out);
        remove(&self.object.skel().maps.processes, &gone);
        if wanted.has(FS) {
            self.show_file_systems(&entries, &newcomers, look, period, out)?;
        }
        let object = self.object.skel().object();
        self.losses.tell(object, &[(PROC_SYSCALL_LOST_TIME, "call_not_timed")], out)
    }

    fn memory(&self) -> u64 {
        self.census.memory()
    }

    #[cfg(test)]
    fn verdicts(&self) -> Vec<String> {
        self.object.verdicts().map(|verdict| format!("syscall/{verdict}")).collect()
    }
}

impl Syscalls<'_> {
    /// Adds the rows by file system, and removes what is of no living process.
    fn show_file_systems(
        &self,
        entries: &[Entry<proc_syscalls>],
        newcomers: &[ProcKey],
        look: &Look<'_>,
        period: u64,
        out: &mut Batch,
    ) -> io::Result<()> {
        let map = &self.object.skel().maps.file_systems;
        let living = entries.iter().filter(|entry| !entry.counts.head().ended).map(Entry::key);
        let living: HashSet<_> = living.chain(newcomers.iter().copied()).collect();
        let mut gone = Vec::new();
        for (key, counts) in snapshot::<proc_fs_key, proc_fs_calls>(map)?.entries {
            let process = ProcKey { tgid: key.tgid, start_ticks: key.start_ticks };
            let lives = living.contains(&process);
            if !lives {
                gone.push(key);
            }
            if look.scope.contains(&process) {
                let row = file_system(&key, &counts, look.closes.then_some(period));
                if lives {
                    out.push(Subject::Process(process), Baseline::Zero, row);
                } else {
                    out.push_last(Subject::Process(process), Baseline::Zero, row);
                }
            }
        }
        out.complete::<ProcFsCalls>();
        let _raised = raised();
        for key in gone {
            // Absent is as good as removed.
            let _ = map.delete(key.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_and_every_call_is_shown_by_one_sub_probe() {
        for (number, _) in NUMBERS.iter().chain(OLD_NUMBERS) {
            assert!((0..i64::from(bpf::PROC_CALL_NUMBERS)).contains(number), "{number}");
        }
        // By file system they are shown once more.
        let mut shown: Vec<_> =
            SHOWN.iter().filter(|(name, _)| *name != FS).flat_map(|(_, calls)| *calls).copied().collect();
        shown.sort_unstable();
        assert_eq!(shown, (1..bpf::PROC_CALLS).collect::<Vec<_>>());
    }
}
