//! What an object has lost: events its programs could not tell, and runs that the kernel left out; and switching the
//! kernel's run-time statistics on, for [`super::meter`].

use super::drain::per_cpu;
use super::privilege::{raised, raised_for_statistics};
use super::{abi, sys};
use libbpf_rs::Object;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd as _, OwnedFd};

/// The kernel measures the run time of programs while this exists: 50 to 110 ns a run, so it is switched on for
/// a sample and off again, and never for a measurement of anything else.
#[derive(Debug)]
pub struct RunTime {
    _on: OwnedFd,
}

impl RunTime {
    /// Switches it on, for every program of the host.
    pub fn measure() -> io::Result<Self> {
        let _raised = raised_for_statistics();
        Ok(Self { _on: sys::enable_statistics()? })
    }
}

/// Runs that the kernel left out because the program was running on that CPU already, of all programs of the object:
/// each is a loss. `None` where the kernel does not count them (before 5.12).
pub fn recursion_misses(object: &Object) -> io::Result<Option<u64>> {
    let _raised = raised();
    let mut all = Some(0);
    for program in object.progs().filter(|program| program.autoload()) {
        let (info, known) = sys::program_info(program.as_fd())?;
        let counts = known >= offset_of!(libbpf_rs::libbpf_sys::bpf_prog_info, recursion_misses) + 8;
        all = all.filter(|_| counts).map(|sum| sum + info.recursion_misses);
    }
    Ok(all)
}

/// What the object's programs lost for `reason` (`abi::GOPHER_LOST_RING` and so on), over all CPUs.
pub fn lost(object: &Object, reason: u32) -> io::Result<u64> {
    use libbpf_rs::MapCore as _;
    let Some(map) = object.maps().find(|map| map.name() == "gopher_lost") else { return Ok(0) };
    debug_assert!(reason < abi::GOPHER_LOST_SLOTS, "a reason of gopher_lost");
    Ok(per_cpu::<u32, u64>(&map, &reason)?.into_iter().sum())
}
