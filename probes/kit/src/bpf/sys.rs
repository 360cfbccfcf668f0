//! libbpf calls that libbpf-rs has no safe form of, each as a function that cannot be misused.

#![allow(unsafe_code)] // see above; each block says why it holds

use libbpf_rs::{AsRawLibbpf as _, Link, ProgramMut, RingBuffer, libbpf_sys};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

/// The ring's epoll descriptor.
pub(super) fn ring_fd<'r>(ring: &'r RingBuffer<'_>) -> BorrowedFd<'r> {
    // SAFETY: the descriptor is the ring's own and open as long as the ring is borrowed.
    unsafe { BorrowedFd::borrow_raw(ring.epoll_fd()) }
}

/// Attaches an iterator to the objects of process `tgid` alone.
pub(super) fn attach_iterator(program: &ProgramMut<'_>, tgid: u32) -> io::Result<Link> {
    let mut info = libbpf_sys::bpf_iter_link_info::default();
    info.task.pid = tgid;
    let options = libbpf_sys::bpf_iter_attach_opts {
        sz: size_of::<libbpf_sys::bpf_iter_attach_opts>() as u64,
        link_info: &raw mut info,
        link_info_len: u32::try_from(size_of_val(&info)).unwrap_or(0),
        ..Default::default()
    };
    // SAFETY: the program is loaded and outlives the call, as do the options and what they point to.
    let link = unsafe {
        libbpf_sys::bpf_program__attach_iter(program.as_libbpf_object().as_ptr(), &raw const options)
    };
    match ptr::NonNull::new(link) {
        // SAFETY: libbpf has just made this link for us; nobody else frees it.
        Some(link) => Ok(unsafe { Link::from_ptr(link) }),
        None => Err(io::Error::last_os_error()),
    }
}

/// Switches the kernel's run-time statistics on until the descriptor is closed.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the call has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the kernel says of a loaded program, and how many bytes of it this kernel knows.
pub(super) fn program_info(program: BorrowedFd<'_>) -> io::Result<(libbpf_sys::bpf_prog_info, usize)> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = u32::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes into `info`; it asks for no arrays, all being zero.
    let result =
        unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length) };
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok((info, length as usize))
}

/// Where a batch call goes on: the kernel's own word for it, at most a key (it is a bucket number for hashes).
#[derive(Debug)]
pub(super) struct Cursor {
    token: Vec<u8>,
    begun: bool,
}

impl Cursor {
    /// At the beginning of a map with keys of this size.
    pub(super) fn new(key_size: usize) -> Self {
        Self { token: vec![0; key_size.max(8)], begun: false }
    }
}

/// One batch call: fills `keys` and `values`, which have room for `count` entries each, removing them if
/// `remove`. Returns how many and whether the map's end is reached.
pub(super) fn batch(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    keys: &mut [u8],
    values: &mut [u8],
    count: u32,
    remove: bool,
) -> io::Result<(usize, bool)> {
    let mut got = count;
    let input = if cursor.begun { cursor.token.as_mut_ptr().cast() } else { ptr::null_mut() };
    let output = cursor.token.as_mut_ptr().cast();
    let call =
        if remove { libbpf_sys::bpf_map_lookup_and_delete_batch } else { libbpf_sys::bpf_map_lookup_batch };
    // SAFETY: the caller gives room for `count` keys and values; the token is as large as the kernel writes.
    let result = unsafe {
        call(
            map.as_raw_fd(),
            input,
            output,
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &raw mut got,
            ptr::null(),
        )
    };
    cursor.begun = true;
    match -result {
        0 => Ok((got as usize, false)),
        libc::ENOENT => Ok((got as usize, true)),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
