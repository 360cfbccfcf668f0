//! `container`: CPU, memory, block I/O, network, processes and pressure of each container, from its cgroups and
//! through its oldest process.
//!
//! Owns the descriptor. `place` finds a container's cgroups, `source` keeps their files open, a file of each
//! sub-probe's name makes its rows, `probe` goes through the containers in scope. Which containers there are and what
//! they are called, the daemon knows.

mod cpu;
mod fs;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod inodes;
mod memory;
mod network;
mod place;
mod probe;
mod process;
mod psi;
mod source;
mod tables;
#[cfg(test)]
mod tests;

use crate::params::params;
use probe_core::{
    Capability, Descriptor, Need, Polled, ProcKey, Row as _, ScopeUse, Severity, SubProbe, Text, Trigger,
    When,
};
use probe_kit::kept::{self, read_piece};
use probe_kit::scan::number;
use probe_kit::stat::Stat;
use rustix::fs::{Mode, OFlags, openat};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "container",
    summary: "CPU, memory, files, network and pressure of containers.",
    sub_probes: &[
        part("cpu", "CPU time, and time without it because the quota was used up."),
        part("memory", "Memory by kind, its limit, what happened at the limit, and OOM kills."),
        part("fs", "Reads and writes of block devices, and inodes of the root file system."),
        part("network", "Traffic of the network namespace, unless it is the host's."),
        part("process", "Start, processes and open descriptors."),
        part("psi", "Time that tasks waited for CPU, memory and I/O, as the v2 cgroup has it."),
    ],
    scope: ScopeUse::Containers,
    params: params![CADVISOR_PORT],
    tables: &[
        tables::Cpu::TABLE,
        tables::Fs::TABLE,
        tables::Memory::TABLE,
        tables::Network::TABLE,
        tables::Oom::TABLE,
        tables::Start::TABLE,
        tables::Files::TABLE,
        tables::MemoryEvents::TABLE,
        tables::Psi::TABLE,
    ],
    triggers: &[Trigger {
        table: tables::Oom::TABLE,
        metric: "oom_events_total",
        when: When::Grew,
        severity: Severity::Warn,
        text: Text {
            en: "{value} processes of container {container_id} were killed for want of memory.",
            zh: "容器 {container_id} 中有 {value} 个进程因内存不足被终止。",
        },
        ip: "",
        device: "",
    }],
    needs: NEEDS,
    build: Some(|env| Box::new(Polled(probe::Container::new(env)))),
};

const fn part(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe { containers: true, ..SubProbe::new(name, summary) }
}

/// Every need of the feature.
const NEEDS: &[Need] = &[
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["network"],
        purpose: "tell network namespaces of containers of other users from the host's",
        without: "containers of other users have no network counts",
    },
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["fs"],
        purpose: "reach the root file systems of containers of other users",
        without: "inodes are absent for containers of other users",
    },
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["process"],
        purpose: "count open descriptors of processes of other users on kernels before 6.2",
        without: "before Linux 6.2 open descriptors are absent for containers of other users",
    },
    Need {
        capability: Capability::DacReadSearch,
        sub_probes: &["process"],
        purpose: "list open descriptors of processes of other users on kernels before 6.2",
        without: "before Linux 6.2 open descriptors are absent for containers of other users",
    },
];

/// A line of `stat` has less than 1 KiB.
const STAT: usize = 4096;

/// The directory of a process, which dies with it: what is opened below is never another's. `None` if it has ended.
fn open_process(proc: &Path, key: ProcKey) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(rustix::fs::CWD, proc.join(key.tgid.to_string()), flags, Mode::empty()).ok()?;
    let mut buf = [0; STAT];
    let stat = openat(&dir, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let text = read_piece(stat, &mut buf).ok()??;
    // Field 22; the words begin with field 3.
    let start = number(Stat::parse(text)?.words().nth(22 - 3)?)?;
    (start == key.start_ticks).then_some(dir)
}

/// Reads the cgroups of the process whose directory this is.
fn memberships(dir: &OwnedFd, buf: &mut Vec<u8>) -> Option<()> {
    let file = openat(dir, "cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    kept::read_open(&file, buf).ok()
}
