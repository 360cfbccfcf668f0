//! `proc`: system calls, block I/O, page cache, scheduling, file systems and name lookups of processes.
//!
//! Each part is one BPF object (`proc_*.bpf.c`) and one Rust file that loads it and makes rows of what it counted;
//! `part` is what they have in common and `probe` is the loop. Which processes are in scope is decided by the daemon;
//! the programs only look it up.

mod block;
mod census;
mod dns;
mod files;
mod fs;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod labels;
mod page;
mod part;
mod probe;
mod process;
mod pygc;
mod sched;
mod syscall;
mod syscall_rows;
mod tables;
#[cfg(test)]
mod tests;
mod triggers;

use crate::params::params;
use part::Load;
use probe_core::{Capability, Descriptor, Need, Row as _, ScopeUse, SubProbe};

/// Names of the sub-probes.
const SYSCALL: &str = "proc_syscall";
const FS: &str = "proc_fs";
const IO: &str = "proc_io";
const NET: &str = "proc_net";
const IOCTL: &str = "proc_ioctl";
const OFFCPU: &str = "proc_offcpu";
const PAGECACHE: &str = "proc_pagecache";
const DNS: &str = "proc_dns";
const PYGC: &str = "proc_pygc";

/// The parts, each with the sub-probes that want it.
const PARTS: [(&[&str], Load); 7] = [
    (&[SYSCALL, IO, NET, IOCTL, FS], syscall::load),
    (&[IO], block::load),
    (&[OFFCPU], sched::load),
    (&[PAGECACHE], page::load),
    (&[FS], fs::load),
    (&[DNS], dns::load),
    (&[PYGC], pygc::load),
];

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "proc",
    summary: "System calls, file systems, page cache, scheduling and name lookups of processes.",
    // In the order of the API's reference. Every system call of the host takes longer while one of those runs that
    // follow them, so they run when they are asked for.
    sub_probes: &[
        SubProbe {
            aliases: &["base_metrics"],
            ..asked(
                SYSCALL,
                "System calls that were made and that failed, scheduling and process creating calls.",
            )
        },
        asked(
            FS,
            "File system operations: by the file systems' own functions, and by the system calls on them.",
        ),
        SubProbe::new(DNS, "Name lookups through the C library."),
        asked(IO, "Block I/O, and the system calls that read, write and mount."),
        SubProbe::new(PAGECACHE, "Page cache and reclaim."),
        asked(NET, "System calls that send and receive messages."),
        SubProbe::new(OFFCPU, "Time off the CPU and waiting for one."),
        asked(IOCTL, "ioctl calls."),
        SubProbe::new(PYGC, "Garbage collections of CPython."),
    ],
    scope: ScopeUse::Processes,
    params: params![],
    tables: &[
        tables::ProcSyscall::TABLE,
        tables::ProcSyscallIo::TABLE,
        tables::ProcSyscallNet::TABLE,
        tables::ProcSyscallSched::TABLE,
        tables::ProcSyscallFork::TABLE,
        tables::ProcSyscallIoctl::TABLE,
        tables::ProcEnded::TABLE,
        tables::ProcExt4::TABLE,
        tables::ProcOverlay::TABLE,
        tables::ProcTmpfs::TABLE,
        tables::ProcFsCalls::TABLE,
        tables::ProcIo::TABLE,
        tables::ProcEndedIo::TABLE,
        tables::ProcCpu::TABLE,
        tables::ProcPage::TABLE,
        tables::ProcPygc::TABLE,
        tables::ProcDns::TABLE,
    ],
    triggers: triggers::TRIGGERS,
    needs: NEEDS,
    build: Some(|env| Box::new(probe::Proc::new(env))),
};

const fn asked(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe { default: false, ..SubProbe::new(name, summary) }
}

/// The capabilities that it needs.
const NEEDS: &[Need] = &[
    need(Capability::Bpf, "load its programs and make its maps", "the feature does not run"),
    need(
        Capability::Perfmon,
        "attach its programs to the kernel and let them read its memory",
        "the feature does not run",
    ),
    need(
        Capability::SysResource,
        "make its maps on kernels before 5.11, where RLIMIT_MEMLOCK counts them",
        "on kernels before 5.11 the feature runs only below RLIMIT_MEMLOCK",
    ),
    need(
        Capability::SysPtrace,
        "see which processes have ended where /proc hides them, and what files they have mapped",
        "where /proc is mounted with hidepid, series of hidden processes end early; proc_dns and proc_pygc do not follow other users' processes",
    ),
    Need {
        capability: Capability::SysAdmin,
        sub_probes: &[DNS, PYGC],
        purpose: "attach to functions of the C library and of interpreters",
        without: "proc_dns does not run; proc_pygc follows interpreters that have probes of their own, on Linux 6.6 and later",
    },
    Need {
        capability: Capability::DacReadSearch,
        sub_probes: &[DNS, PYGC],
        purpose: "open the libraries and interpreters of other users' processes",
        without: "processes whose library only its owner may read are not followed",
    },
];

const fn need(capability: Capability, purpose: &'static str, without: &'static str) -> Need {
    Need { capability, sub_probes: &[], purpose, without }
}
