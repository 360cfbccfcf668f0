//! The system calls behind the questions, each as a function that cannot be misused: whatever is loaded or
//! attached here is a program of two instructions, and it is gone when its descriptor is dropped.

#![allow(unsafe_code)] // libbpf's C interface and perf_event_open have no safe form

use super::requirement::refused;
use libbpf_rs::AsRawLibbpf as _;
use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys::{self, bpf_insn};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// What a program of a question is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// `BPF_PROG_TYPE_…`.
    pub(super) program: u32,
    /// `BPF_TRACE_…`, 0 for none.
    pub(super) attach: u32,
    /// The type that it attaches to, 0 for none.
    pub(super) target: u32,
}

/// `r0 = 0`
const RETURN_0: bpf_insn = instruction(0xb7, 0);
/// `exit`
const EXIT: bpf_insn = instruction(0x95, 0);

/// An instruction without registers.
const fn instruction(code: u8, imm: i32) -> bpf_insn {
    bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: libbpf_sys::__BindgenBitfieldUnit::new([0]),
        off: 0,
        imm,
    }
}

/// A descriptor that a libbpf or system call returned, or its error: these calls return -1 and set errno, or
/// the negative number itself.
fn owned(result: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(result).unwrap_or(-1);
    if fd < -1 {
        Err(io::Error::from_raw_os_error(-fd))
    } else if fd < 0 {
        Err(io::Error::last_os_error())
    } else {
        // SAFETY: the call has just made this descriptor for us and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

fn load_instructions(kind: Kind, instructions: &[bpf_insn], log: Option<&mut [u8]>) -> io::Result<OwnedFd> {
    let mut options = libbpf_sys::bpf_prog_load_opts {
        sz: size_of::<libbpf_sys::bpf_prog_load_opts>() as u64,
        attempts: 1,
        expected_attach_type: kind.attach,
        attach_btf_id: kind.target,
        ..Default::default()
    };
    if let Some(log) = log {
        options.log_level = 1;
        options.log_buf = log.as_mut_ptr().cast();
        options.log_size = u32::try_from(log.len()).unwrap_or(u32::MAX);
    }
    // SAFETY: every pointer is to something that outlives the call, with its length beside it.
    let result = unsafe {
        libbpf_sys::bpf_prog_load(
            kind.program,
            c"gopher_ask".as_ptr(),
            c"GPL".as_ptr(),
            instructions.as_ptr(),
            instructions.len() as u64,
            &raw mut options,
        )
    };
    owned(result.into())
}

/// Loads a program that returns 0.
pub(super) fn load(kind: Kind) -> io::Result<OwnedFd> {
    load_instructions(kind, &[RETURN_0, EXIT], None)
}

/// Whether a `tp_btf` program on the tracepoint with type `target` may call helper `id`; an `Err` is the reason.
///
/// The program calls it without arguments, so it never loads: a verifier that knows the helper complains of
/// the arguments, one that does not says so.
pub(super) fn tracing_helper(target: u32, id: libbpf_sys::bpf_func_id) -> Result<(), String> {
    let kind =
        Kind { program: libbpf_sys::BPF_PROG_TYPE_TRACING, attach: libbpf_sys::BPF_TRACE_RAW_TP, target };
    let call = instruction(0x85, i32::try_from(id).unwrap_or(i32::MAX));
    let mut log = vec![0; 16 * 1024];
    let Err(error) = load_instructions(kind, &[call, RETURN_0, EXIT], Some(&mut log)) else {
        return Ok(());
    };
    let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
    let unknown = ["invalid func", "unknown func", "cannot use helper", "program of this type"];
    if text.trim().is_empty() {
        // The verifier was not reached.
        Err(refused(&error))
    } else if unknown.iter().any(|words| text.contains(words)) {
        Err("not known to this kernel".to_owned())
    } else {
        Ok(())
    }
}

/// Attaches to what the program was loaded for (`tp_btf`, `fentry`), or to the raw tracepoint `name`.
pub(super) fn open_tracepoint(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the name is null or a C string that outlives the call.
    owned(unsafe { libbpf_sys::bpf_raw_tracepoint_open(name, program.as_raw_fd()) }.into())
}

/// Makes the link of an iterator, for all objects or for those of process `pid` alone.
pub(super) fn link_iterator(program: BorrowedFd<'_>, pid: Option<u32>) -> io::Result<OwnedFd> {
    let mut info = libbpf_sys::bpf_iter_link_info::default();
    let mut options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as u64,
        ..Default::default()
    };
    if let Some(pid) = pid {
        info.task.pid = pid;
        options.iter_info = &raw mut info;
        options.iter_info_len = u32::try_from(size_of_val(&info)).unwrap_or(0);
    }
    // SAFETY: the options and what they point to outlive the call.
    let result = unsafe {
        libbpf_sys::bpf_link_create(program.as_raw_fd(), 0, libbpf_sys::BPF_TRACE_ITER, &raw const options)
    };
    owned(result.into())
}

/// Opens a perf event of `pmu` and attaches the program to it. `function` is a kprobe's, `config` the id of a
/// classic tracepoint.
pub(super) fn attach_perf(
    program: BorrowedFd<'_>,
    pmu: u32,
    config: u64,
    function: Option<&str>,
) -> io::Result<OwnedFd> {
    let function = function.map(CString::new).transpose()?;
    let mut attributes = libbpf_sys::perf_event_attr {
        type_: pmu,
        size: u32::try_from(size_of::<libbpf_sys::perf_event_attr>()).unwrap_or(0),
        config,
        ..Default::default()
    };
    if let Some(name) = &function {
        attributes.__bindgen_anon_3.kprobe_func = name.as_ptr().expose_provenance() as u64;
    }
    const ANY_PROCESS: libc::pid_t = -1;
    const CPU: libc::c_int = 0;
    const NO_GROUP: libc::c_int = -1;
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    // SAFETY: the attributes and the name in them outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            ANY_PROCESS,
            CPU,
            NO_GROUP,
            CLOSE_ON_EXEC,
        )
    };
    let event = owned(result)?;
    const SET_BPF: libc::c_ulong = 0x4004_2408;
    // SAFETY: both descriptors are open; the request takes no pointer.
    if unsafe { libc::ioctl(event.as_raw_fd(), SET_BPF as _, program.as_raw_fd()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(event)
}

/// The id of the type with this name and kind.
pub(super) fn btf_find(types: &Btf<'_>, name: &str, kind: u32) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: libbpf's object lives as long as `types`, the name outlives the call.
    let id =
        unsafe { libbpf_sys::btf__find_by_name_kind(types.as_libbpf_object().as_ptr(), name.as_ptr(), kind) };
    u32::try_from(id).ok().filter(|id| *id > 0)
}
