//! The ways to attach a program, each tried for real: type information says what a kernel was built with, not
//! what it lets a process do. A hardened kernel has every `fentry` target in its types and answers EPERM.

use super::btf::{TypeInfo, Types};
use super::requirement::refused;
use super::sys::{self, Kind};
use libbpf_rs::libbpf_sys as bpf;
use probe_core::Env;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// A tracepoint that every kernel has and that fires seldom.
pub(super) const TRACEPOINT: &str = "sched_process_exit";

/// Functions that some probe could attach to and that run seldom, in the order of trying: static functions are
/// inlined by some compilers.
const FUNCTIONS: [&str; 3] = ["begin_new_exec", "wake_up_new_task", "do_exit"];

/// A way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachKind {
    /// A tracepoint, with typed arguments.
    TpBtf,
    /// A tracepoint, with untyped arguments.
    RawTp,
    /// A tracepoint by its entry in tracefs.
    Tracepoint,
    /// The entry of a kernel function, by a trampoline.
    Fentry,
    /// The return of a kernel function, by a trampoline.
    Fexit,
    /// The entry of a kernel function, by a breakpoint.
    Kprobe,
    /// Every thread.
    IterTask,
    /// Every open file of every thread group.
    IterTaskFile,
    /// Every TCP socket of a network namespace.
    IterTcp,
    /// Every UDP socket of a network namespace.
    IterUdp,
    /// An iterator over the files of one process alone: 6.1.
    IterOfProcess,
}

impl AttachKind {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::TpBtf,
        Self::RawTp,
        Self::Tracepoint,
        Self::Fentry,
        Self::Fexit,
        Self::Kprobe,
        Self::IterTask,
        Self::IterTaskFile,
        Self::IterTcp,
        Self::IterUdp,
        Self::IterOfProcess,
    ];

    /// Its name in REST, and in section names where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::RawTp => "raw_tp",
            Self::Tracepoint => "tracepoint",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Kprobe => "kprobe",
            Self::IterTask => "iter/task",
            Self::IterTaskFile => "iter/task_file",
            Self::IterTcp => "iter/tcp",
            Self::IterUdp => "iter/udp",
            Self::IterOfProcess => "iter/task_file of one process",
        }
    }
}

impl fmt::Display for AttachKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Loads a program of this kind, attaches it and drops both; an `Err` is the reason why that does not work.
pub(super) fn attempt(kind: AttachKind, env: &Env, types: &mut TypeInfo<'_>) -> Result<(), String> {
    let done = match kind {
        AttachKind::TpBtf => {
            let target =
                types.get()?.tracepoint(TRACEPOINT).ok_or("its tracepoint is not in the kernel's types")?;
            traced(bpf::BPF_TRACE_RAW_TP, target)
        }
        AttachKind::Fentry => function(types.get()?).and_then(|target| traced(bpf::BPF_TRACE_FENTRY, target)),
        AttachKind::Fexit => function(types.get()?).and_then(|target| traced(bpf::BPF_TRACE_FEXIT, target)),
        AttachKind::RawTp => raw_tracepoint(),
        AttachKind::Tracepoint => return classic_tracepoint(env),
        AttachKind::Kprobe => return kprobe(env),
        AttachKind::IterTask => iterator(types.get()?, "task", None),
        AttachKind::IterTaskFile => iterator(types.get()?, "task_file", None),
        AttachKind::IterTcp => iterator(types.get()?, "tcp", None),
        AttachKind::IterUdp => iterator(types.get()?, "udp", None),
        AttachKind::IterOfProcess => iterator(types.get()?, "task_file", Some(std::process::id())),
    };
    done.map(|_| ()).map_err(|error| refused(&error))
}

fn absent() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

fn function(types: &Types) -> io::Result<u32> {
    FUNCTIONS.iter().find_map(|name| types.function(name)).ok_or_else(absent)
}

fn traced(attach: u32, target: u32) -> io::Result<OwnedFd> {
    let program = sys::load(Kind { program: bpf::BPF_PROG_TYPE_TRACING, attach, target })?;
    sys::open_tracepoint(program.as_fd(), None)
}

fn raw_tracepoint() -> io::Result<OwnedFd> {
    let program = sys::load(Kind { program: bpf::BPF_PROG_TYPE_RAW_TRACEPOINT, attach: 0, target: 0 })?;
    sys::open_tracepoint(program.as_fd(), Some(c"sched_process_exit"))
}

fn iterator(types: &Types, name: &str, pid: Option<u32>) -> io::Result<OwnedFd> {
    // Each iterator is a function of this name in the kernel.
    let target = types.function(&format!("bpf_iter_{name}")).ok_or_else(absent)?;
    let program =
        sys::load(Kind { program: bpf::BPF_PROG_TYPE_TRACING, attach: bpf::BPF_TRACE_ITER, target })?;
    sys::link_iterator(program.as_fd(), pid)
}

fn classic_tracepoint(env: &Env) -> Result<(), String> {
    let places = ["kernel/tracing", "kernel/debug/tracing"];
    let read =
        |place| fs::read_to_string(env.sys.join(place).join("events/sched").join(TRACEPOINT).join("id"));
    let id = places.into_iter().find_map(|place| read(place).ok()?.trim().parse().ok());
    let id = id.ok_or("tracefs is not mounted at /sys/kernel/tracing")?;
    let program = sys::load(Kind { program: bpf::BPF_PROG_TYPE_TRACEPOINT, attach: 0, target: 0 });
    let attached =
        program.and_then(|program| sys::attach_perf(program.as_fd(), bpf::PERF_TYPE_TRACEPOINT, id, None));
    attached.map(|_| ()).map_err(|error| refused(&error))
}

fn kprobe(env: &Env) -> Result<(), String> {
    let pmu = fs::read_to_string(env.sys.join("bus/event_source/devices/kprobe/type"));
    let pmu = pmu.ok().and_then(|text| text.trim().parse().ok()).ok_or("this kernel has no kprobes")?;
    let program = sys::load(Kind { program: bpf::BPF_PROG_TYPE_KPROBE, attach: 0, target: 0 });
    let program = program.map_err(|error| refused(&error))?;
    let mut attached = Err(absent());
    for name in FUNCTIONS {
        attached = sys::attach_perf(program.as_fd(), pmu, 0, Some(name));
        if attached.is_ok() {
            break;
        }
    }
    attached.map(|_| ()).map_err(|error| refused(&error))
}
