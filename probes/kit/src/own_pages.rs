//! The pages of the program that only its start needed: they leave the process's memory map.
//!
//! The kernel maps sixteen pages of a file for each one that is touched. Reading the configuration and setting everything up
//! touches so much of the program, once, that it would be half of what the idle daemon holds. The pages stay in
//! the page cache, and come back on the first touch.

#![allow(unsafe_code)] // the loader tells of its segments by a callback; each block says why it holds

use std::ffi::{c_int, c_void};
use std::ptr;

/// Takes the program's and its libraries' code and constants out of the memory map until they are touched again.
/// Returns how many bytes of address space that was.
///
/// A breakpoint that somebody has set in the code until now, by a debugger or a uprobe, is lost with it.
pub fn release() -> usize {
    let mut released = 0_usize;
    // SAFETY: the callback takes the pointer as what it is, and does not outlive the call.
    unsafe { libc::dl_iterate_phdr(Some(release_object), ptr::from_mut(&mut released).cast()) };
    released
}

/// Does so for one object.
///
/// # Safety
/// As `dl_iterate_phdr` calls it: `info` describes an object that is loaded, `released` is what was handed in.
unsafe extern "C" fn release_object(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    released: *mut c_void,
) -> c_int {
    // SAFETY: of the caller; the headers are part of the object.
    let (info, released) = unsafe { (&*info, &mut *released.cast::<usize>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: of the caller.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let page = rustix::param::page_size();
    for header in headers {
        // Only what nobody can have written to: dropping changed pages would undo the changes.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let address = |offset: u64| usize::try_from(info.dlpi_addr.wrapping_add(offset)).ok();
        let (Some(from), Some(to)) =
            (address(header.p_vaddr), address(header.p_vaddr.wrapping_add(header.p_memsz)))
        else {
            continue;
        };
        // Whole pages of this segment: its first and last may be shared with one that is written to.
        let (from, to) = (from.next_multiple_of(page), to / page * page);
        if from >= to {
            continue;
        }
        // SAFETY: a private file mapping of this process that was never writable: the same bytes come back from the file.
        if unsafe { libc::madvise(ptr::without_provenance_mut(from), to - from, libc::MADV_DONTNEED) } == 0 {
            *released += to - from;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    /// Pages of files in this process's map, KiB.
    fn of_files() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("RssFile:")).expect("a line");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    #[test]
    fn the_program_goes_on_with_fewer_pages() {
        // Other tests touch pages meanwhile: several tries.
        let shrank = (0..20).any(|_| {
            let before = of_files();
            assert!(super::release() > 0, "nothing was released");
            of_files() < before
        });
        assert!(shrank, "no page has gone");
    }
}
