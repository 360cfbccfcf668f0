//! The rows of system calls. Pure.

use super::census::{Census, Entry, Rows, Time};
use super::labels;
use super::process::Look;
use super::syscall::{self, proc_ended, proc_fs_calls, proc_fs_key, proc_syscalls};
use super::tables::{
    ProcEnded, ProcFsCalls, ProcSyscall, ProcSyscallFork, ProcSyscallIo, ProcSyscallIoctl, ProcSyscallNet,
    ProcSyscallSched,
};
use super::{IO, IOCTL, NET, SYSCALL};
use probe_core::{Baseline, Batch, Label, SubProbes, Subject};
use std::collections::HashMap;

/// Adds what one process did to the sum of its name.
pub(super) fn fold(sums: &mut HashMap<Label, proc_ended>, counts: &proc_syscalls) {
    let sum = sums.entry(labels::text(&counts.head.comm)).or_default();
    sum.processes += 1;
    sum.calls += counts.calls;
    sum.failed += counts.failed;
    sum.forks += counts.forks;
    sum.threads += counts.threads;
}

/// Adds the rows of processes that ended before they were read: the kernel's `entries` and `ours`.
pub(super) fn show_ended<'a>(
    ours: &HashMap<Label, proc_ended>,
    entries: impl Iterator<Item = (&'a [u8], &'a proc_ended)>,
    out: &mut Batch,
) {
    // Two names of bytes that are no text may look the same.
    let mut sums = ours.clone();
    for (name, counts) in entries.filter(|(_, counts)| counts.processes > 0) {
        let sum = sums.entry(labels::text(name)).or_default();
        sum.processes += counts.processes;
        sum.calls += counts.calls;
        sum.failed += counts.failed;
        sum.forks += counts.forks;
        sum.threads += counts.threads;
    }
    for (comm, sum) in sums {
        let row = ProcEnded {
            comm: labels::name_or_other(comm),
            processes: Some(sum.processes),
            syscall_count: Some(sum.calls),
            syscall_failed: Some(sum.failed),
            forks: Some(sum.forks),
            thread_starts: Some(sum.threads),
        };
        out.push(Subject::Host, Baseline::Zero, row);
    }
    out.complete::<ProcEnded>();
}

/// Adds the rows of processes.
pub(super) fn show(
    entries: &[Entry<proc_syscalls>],
    census: &mut Census,
    wanted: &SubProbes,
    look: &Look<'_>,
    period: u64,
    out: &mut Batch,
) {
    let period = look.closes.then_some(period);
    for entry in entries {
        if let Some(mut rows) = census.rows(entry.key(), look, out) {
            add_all(&mut rows, wanted, &Shown { counts: &entry.counts, period });
        }
    }
    if wanted.has(SYSCALL) {
        out.complete::<ProcSyscall>();
        out.complete::<ProcSyscallSched>();
        out.complete::<ProcSyscallFork>();
    }
    if wanted.has(IO) {
        out.complete::<ProcSyscallIo>();
    }
    if wanted.has(NET) {
        out.complete::<ProcSyscallNet>();
    }
    if wanted.has(IOCTL) {
        out.complete::<ProcSyscallIoctl>();
    }
}

/// What of a process is shown: kinds of calls that it never made are absent, and the longest of a period in which
/// it made none.
struct Shown<'a> {
    counts: &'a proc_syscalls,
    /// The period that ends now, if one does.
    period: Option<u64>,
}

impl Shown<'_> {
    fn of(&self, call: u32) -> Time {
        self.counts.of.get(call as usize).map_or_else(Time::default, |time| (*time).into())
    }

    fn longest(&self, call: u32) -> Option<f64> {
        self.of(call).longest(self.period)
    }

    fn calls(&self, call: u32) -> Option<u64> {
        self.of(call).counted()
    }

    fn total(&self, call: u32) -> Option<u64> {
        self.of(call).total()
    }

    fn any(&self, calls: &[u32]) -> bool {
        calls.iter().any(|call| self.of(*call).count > 0)
    }
}

fn add_all(rows: &mut Rows<'_>, wanted: &SubProbes, shown: &Shown<'_>) {
    use syscall::{
        CLONE, EPOLL_PWAIT, EPOLL_WAIT, FORK, FSYNC, FUTEX, IOCTL_CALL, MOUNT, READ, RECVMSG, SCHED_YIELD,
        SENDMSG, UMOUNT, VFORK, WRITE,
    };
    let counts = shown.counts;
    if wanted.has(SYSCALL) {
        rows.push(ProcSyscall {
            tgid: rows.tgid(),
            syscall_failed: Some(counts.failed),
            syscall_count: Some(counts.calls),
        });
    }
    if wanted.has(SYSCALL) && shown.any(&[SCHED_YIELD, FUTEX, EPOLL_WAIT, EPOLL_PWAIT]) {
        rows.push(ProcSyscallSched {
            tgid: rows.tgid(),
            ns_sched_yield: shown.longest(SCHED_YIELD),
            ns_futex: shown.longest(FUTEX),
            ns_epoll_wait: shown.longest(EPOLL_WAIT),
            ns_epoll_pwait: shown.longest(EPOLL_PWAIT),
            sched_yield_calls: shown.calls(SCHED_YIELD),
            futex_calls: shown.calls(FUTEX),
            epoll_wait_calls: shown.calls(EPOLL_WAIT),
            epoll_pwait_calls: shown.calls(EPOLL_PWAIT),
            sched_yield_ns_total: shown.total(SCHED_YIELD),
            futex_ns_total: shown.total(FUTEX),
            epoll_wait_ns_total: shown.total(EPOLL_WAIT),
            epoll_pwait_ns_total: shown.total(EPOLL_PWAIT),
        });
    }
    let makes = counts.forks + counts.threads > 0;
    if wanted.has(SYSCALL) && (makes || shown.any(&[FORK, VFORK, CLONE])) {
        rows.push(ProcSyscallFork {
            tgid: rows.tgid(),
            ns_fork: shown.longest(FORK),
            ns_vfork: shown.longest(VFORK),
            ns_clone: shown.longest(CLONE),
            fork_calls: shown.calls(FORK),
            vfork_calls: shown.calls(VFORK),
            clone_calls: shown.calls(CLONE),
            fork_ns_total: shown.total(FORK),
            vfork_ns_total: shown.total(VFORK),
            clone_ns_total: shown.total(CLONE),
            forks: Some(counts.forks),
            thread_starts: Some(counts.threads),
        });
    }
    if wanted.has(IO) && shown.any(&[MOUNT, UMOUNT, READ, WRITE, FSYNC]) {
        rows.push(ProcSyscallIo {
            tgid: rows.tgid(),
            ns_mount: shown.longest(MOUNT),
            ns_umount: shown.longest(UMOUNT),
            ns_read: shown.longest(READ),
            ns_write: shown.longest(WRITE),
            ns_fsync: shown.longest(FSYNC),
            mount_calls: shown.calls(MOUNT),
            umount_calls: shown.calls(UMOUNT),
            read_calls: shown.calls(READ),
            write_calls: shown.calls(WRITE),
            fsync_calls: shown.calls(FSYNC),
            mount_ns_total: shown.total(MOUNT),
            umount_ns_total: shown.total(UMOUNT),
            read_ns_total: shown.total(READ),
            write_ns_total: shown.total(WRITE),
            fsync_ns_total: shown.total(FSYNC),
        });
    }
    if wanted.has(NET) && shown.any(&[SENDMSG, RECVMSG]) {
        rows.push(ProcSyscallNet {
            tgid: rows.tgid(),
            ns_sendmsg: shown.longest(SENDMSG),
            ns_recvmsg: shown.longest(RECVMSG),
            sendmsg_calls: shown.calls(SENDMSG),
            recvmsg_calls: shown.calls(RECVMSG),
            sendmsg_ns_total: shown.total(SENDMSG),
            recvmsg_ns_total: shown.total(RECVMSG),
        });
    }
    if wanted.has(IOCTL) && shown.any(&[IOCTL_CALL]) {
        rows.push(ioctl(rows.tgid(), shown));
    }
}

/// Direction, type, number and size are packed into the command, <asm-generic/ioctl.h>.
fn ioctl(tgid: Label, shown: &Shown<'_>) -> ProcSyscallIoctl {
    let command = shown.counts.ioctl_command;
    let longest = shown.longest(syscall::IOCTL_CALL);
    ProcSyscallIoctl {
        tgid,
        // Descriptors are signed: -1 is a mistake of the caller.
        ioctl_fd: labels::number(shown.counts.ioctl_fd.cast_signed()),
        ioctl_dir: labels::number(command >> 30),
        ioctl_type: labels::number(command >> 8 & 0xff),
        ioctl_nr: labels::number(command & 0xff),
        ioctl_size: longest.map(|_| f64::from(command >> 16 & 0x3fff)),
        ns_ioctl: longest,
        ioctl_calls: shown.calls(syscall::IOCTL_CALL),
        ioctl_ns_total: shown.total(syscall::IOCTL_CALL),
    }
}

/// The calls of one process on one kind of file system.
pub(super) fn file_system(key: &proc_fs_key, counts: &proc_fs_calls, period: Option<u64>) -> ProcFsCalls {
    let [read, write, fsync] = [counts.read, counts.write, counts.fsync].map(Time::from);
    ProcFsCalls {
        tgid: labels::number(key.tgid),
        fs_type: labels::text(&key.fs_type),
        ns_read: read.longest(period),
        ns_write: write.longest(period),
        ns_fsync: fsync.longest(period),
        read_calls: read.counted(),
        write_calls: write.counted(),
        fsync_calls: fsync.counted(),
        read_ns_total: read.total(),
        write_ns_total: write.total(),
        fsync_ns_total: fsync.total(),
    }
}
