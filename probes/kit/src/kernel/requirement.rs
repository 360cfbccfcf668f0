//! What a program can need of a kernel, and the sentence for an operator whose kernel has it not.

use super::btf::TypeInfo;
use super::{AttachKind, attach, sys};
use libbpf_rs::{MapType, libbpf_sys};
use probe_core::Env;
use std::fmt;
use std::io;

/// One thing that a program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// Type information of the kernel, its own or a file's.
    Btf,
    /// A struct, union or enum of this name.
    Type(&'static str),
    /// A member of a struct: `Field("sock", "sk_drops")`. Members of anonymous members count.
    Field(&'static str, &'static str),
    /// A tracepoint that `tp_btf` and `raw_tp` programs attach to, by its name without the group.
    Tracepoint(&'static str),
    /// A tracepoint that hands at least so many arguments to its programs: later kernels append some.
    TracepointArguments(&'static str, usize),
    /// A function that `fentry` and `fexit` programs attach to.
    Function(&'static str),
    /// A way to attach.
    Attach(AttachKind),
    /// A helper in `tp_btf`, `fentry` and iterator programs, by its name without `bpf_`.
    Helper(Helper),
    /// A kind of map.
    Map(MapKind),
}

/// Helpers that some supported kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Helper {
    /// `bpf_sk_storage_get` in tracing programs: 5.11.
    SkStorageGet,
    /// `bpf_task_storage_get`: 5.11.
    TaskStorageGet,
    /// `bpf_sock_from_file`: 5.11.
    SockFromFile,
    /// `bpf_skc_to_tcp_sock` in tracing programs.
    SkcToTcpSock,
}

impl Helper {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::SkStorageGet, Self::TaskStorageGet, Self::SockFromFile, Self::SkcToTcpSock];

    fn id(self) -> libbpf_sys::bpf_func_id {
        match self {
            Self::SkStorageGet => libbpf_sys::BPF_FUNC_sk_storage_get,
            Self::TaskStorageGet => libbpf_sys::BPF_FUNC_task_storage_get,
            Self::SockFromFile => libbpf_sys::BPF_FUNC_sock_from_file,
            Self::SkcToTcpSock => libbpf_sys::BPF_FUNC_skc_to_tcp_sock,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SkStorageGet => "sk_storage_get",
            Self::TaskStorageGet => "task_storage_get",
            Self::SockFromFile => "sock_from_file",
            Self::SkcToTcpSock => "skc_to_tcp_sock",
        }
    }
}

/// Kinds of maps that some supported kernel lacks or that everything depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// A ring of events: 5.8.
    Ringbuf,
    /// A value with each socket.
    SkStorage,
    /// A value with each task: 5.11.
    TaskStorage,
}

impl MapKind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Ringbuf, Self::SkStorage, Self::TaskStorage];

    fn libbpf(self) -> MapType {
        match self {
            Self::Ringbuf => MapType::RingBuf,
            Self::SkStorage => MapType::SkStorage,
            Self::TaskStorage => MapType::TaskStorage,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ringbuf => "ring buffer",
            Self::SkStorage => "socket storage",
            Self::TaskStorage => "task storage",
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Btf => f.write_str("kernel type information (BTF)"),
            Self::Type(name) => write!(f, "kernel type {name}"),
            Self::Field(name, member) => write!(f, "kernel field {name}.{member}"),
            Self::Tracepoint(name) => write!(f, "tracepoint {name}"),
            Self::TracepointArguments(name, count) => write!(f, "tracepoint {name} with {count} arguments"),
            Self::Function(name) => write!(f, "kernel function {name}"),
            Self::Attach(kind) => write!(f, "{kind}"),
            Self::Helper(helper) => write!(f, "BPF helper {}", helper.name()),
            Self::Map(kind) => write!(f, "BPF map {}", kind.name()),
        }
    }
}

/// A requirement that this kernel does not meet; its text is for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub requirement: Requirement,
    /// Why, as part of a sentence.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.requirement, self.reason)
    }
}

impl std::error::Error for Missing {}

/// What an error number of the kernel says, for the ends of sentences: "refused by this kernel (EPERM)".
pub(crate) fn refused(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(libc::EPERM) => "refused by this kernel or for want of a capability (EPERM)",
        Some(libc::EACCES) => "refused for want of a capability (EACCES)",
        Some(libc::EINVAL) => "not known to this kernel (EINVAL)",
        Some(libc::E2BIG) => "not known to this kernel (E2BIG)",
        Some(libc::ENOENT) => "not in this kernel (ENOENT)",
        Some(libc::EOPNOTSUPP) => "not supported by this kernel (EOPNOTSUPP)",
        // ENOTSUPP, which libc has not: what the kernel's BPF code often says.
        Some(524) => "not supported by this kernel (ENOTSUPP)",
        _ => return error.to_string(),
    };
    text.to_owned()
}

/// Asks the kernel; an `Err` is the reason why not.
pub(super) fn answer(requirement: Requirement, env: &Env, types: &mut TypeInfo<'_>) -> Result<(), String> {
    let absent = || "not in this kernel".to_owned();
    match requirement {
        Requirement::Btf => types.get().map(|_| ()),
        Requirement::Type(name) => types.get()?.has_type(name).then_some(()).ok_or_else(absent),
        Requirement::Field(name, member) => {
            types.get()?.has_field(name, member).then_some(()).ok_or_else(absent)
        }
        Requirement::Tracepoint(name) => types.get()?.tracepoint(name).map(|_| ()).ok_or_else(absent),
        Requirement::TracepointArguments(name, count) => {
            let given = types.get()?.tracepoint_arguments(name);
            given.filter(|given| *given >= count).map(|_| ()).ok_or_else(absent)
        }
        Requirement::Function(name) => types.get()?.function(name).map(|_| ()).ok_or_else(absent),
        Requirement::Attach(kind) => attach::attempt(kind, env, types),
        Requirement::Helper(helper) => {
            let id = types.get()?.tracepoint(attach::TRACEPOINT).ok_or_else(absent)?;
            sys::tracing_helper(id, helper.id())
        }
        Requirement::Map(kind) => match kind.libbpf().is_supported() {
            Ok(true) => Ok(()),
            Ok(false) => Err(absent()),
            Err(error) => Err(error.to_string()),
        },
    }
}
