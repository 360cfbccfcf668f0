//! What an object costs and loses: run time of its programs, runs that the kernel left out, memory of its maps.

use super::drain::per_cpu;
use super::privilege::{raised, raised_for_statistics};
use super::{abi, sys};
use libbpf_rs::{MapCore as _, Object};
use std::fs;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

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

/// Totals of one program since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name, as in the object.
    pub name: String,
    /// Nanoseconds that it ran, of the runs that were measured.
    pub run_time_ns: u64,
    /// Runs that were measured.
    pub runs: u64,
    /// Runs that the kernel left out because the program was running on that CPU already: each is a loss.
    /// `None` where the kernel does not count them (before 5.12).
    pub recursion_misses: Option<u64>,
}

/// What an object costs and has lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Each loaded program.
    pub programs: Vec<ProgramCost>,
    /// Memory of its maps and programs in bytes, by the kernel's account. A map that several objects share is
    /// not in it.
    pub memory_bytes: u64,
}

impl Costs {
    /// Asks the kernel about every program and map of `object`; leaves out maps that are named in `shared`.
    pub fn of(object: &Object, shared: &[&str]) -> io::Result<Self> {
        let _raised = raised();
        let mut costs = Self::default();
        for program in object.progs().filter(|program| program.autoload()) {
            let fd = program.as_fd();
            let (info, known) = sys::program_info(fd)?;
            let counts = known >= offset_of!(libbpf_rs::libbpf_sys::bpf_prog_info, recursion_misses) + 8;
            costs.programs.push(ProgramCost {
                name: program.name().to_string_lossy().into_owned(),
                run_time_ns: info.run_time_ns,
                runs: info.run_cnt,
                recursion_misses: counts.then_some(info.recursion_misses),
            });
            costs.memory_bytes += memory(fd);
        }
        for map in object.maps().filter(|map| map.autocreate()) {
            if !shared.iter().any(|name| map.name() == *name) {
                costs.memory_bytes += memory(map.as_fd());
            }
        }
        Ok(costs)
    }

    /// Runs that were left out, of all programs; `None` where the kernel does not count them.
    pub fn recursion_misses(&self) -> Option<u64> {
        self.programs.iter().map(|program| program.recursion_misses).sum()
    }
}

/// Bytes that the kernel accounts to a map or a program; 0 if it does not say.
fn memory(fd: BorrowedFd<'_>) -> u64 {
    // Our own descriptor: not a view of the host, so not through Env.
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap_or_default();
    locked(&text).unwrap_or(0)
}

fn locked(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
}

/// What the object's programs lost for `reason` (`abi::GOPHER_LOST_RING` and so on), over all CPUs.
pub fn lost(object: &Object, reason: u32) -> io::Result<u64> {
    let Some(map) = object.maps().find(|map| map.name() == "gopher_lost") else { return Ok(0) };
    debug_assert!(reason < abi::GOPHER_LOST_SLOTS, "a reason of gopher_lost");
    Ok(per_cpu::<u32, u64>(&map, &reason)?.into_iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_map_is_in_its_fdinfo() {
        assert_eq!(locked("pos:\t0\nmap_type:\t1\nmemlock:\t4096\nmap_id:\t7\n"), Some(4096));
        assert_eq!(locked("pos:\t0\n"), None);
        assert_eq!(locked("memlock:\tmuch\n"), None);
    }

    #[test]
    fn left_out_runs_are_absent_where_one_program_does_not_tell() {
        let program =
            |misses| ProgramCost { name: "x".into(), run_time_ns: 0, runs: 0, recursion_misses: misses };
        let costs = |misses: &[Option<u64>]| Costs {
            programs: misses.iter().copied().map(program).collect(),
            memory_bytes: 0,
        };
        assert_eq!(costs(&[Some(1), Some(2)]).recursion_misses(), Some(3));
        assert_eq!(costs(&[Some(1), None]).recursion_misses(), None);
    }
}
