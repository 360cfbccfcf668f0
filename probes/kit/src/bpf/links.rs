//! Links: made when a sub-probe needs them, dropped when none does, one at a time; and reading iterators.

use super::job::Plan;
use super::privilege::raised;
use super::{log, sys};
use crate::fault;
use libbpf_rs::{Iter, Link, Object};
use probe_core::{Outcome, SubProbes};
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read as _};

thread_local! {
    static NO_LINKS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, in which this thread attaches nothing of an object: [`Links::apply`] says what would run and makes no
/// link.
pub(crate) fn without_links<T>(work: impl FnOnce() -> T) -> T {
    /// Also if `work` panics.
    struct Again(bool);
    impl Drop for Again {
        fn drop(&mut self) {
            NO_LINKS.set(self.0);
        }
    }
    let _again = Again(NO_LINKS.replace(true));
    work()
}

/// The links that exist, by job.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<&'static str, Link>);

impl Links {
    /// Makes what `wanted` needs, drops what it does not. Dropping detaches.
    pub(super) fn apply(&mut self, plan: &Plan, object: &Object, wanted: &SubProbes) -> Outcome {
        let _raised = raised();
        let mut outcome = plan.outcome(wanted);
        if NO_LINKS.get() {
            return outcome;
        }
        for choice in &plan.choices {
            let job = choice.job;
            if !job.used_by(wanted) {
                self.0.remove(job.name);
                continue;
            }
            let (Ok(way), false) = (&choice.way, self.0.contains_key(job.name)) else { continue };
            match attach(object, way.program) {
                Ok(link) => {
                    self.0.insert(job.name, link);
                }
                Err(reason) => {
                    tracing::warn!(
                        job = job.name,
                        program = way.program,
                        reason,
                        "a program cannot be attached"
                    );
                    for sub_probe in job.sub_probes {
                        outcome.miss(sub_probe, format!("program {}: {reason}", way.program));
                    }
                }
            }
        }
        outcome
    }

    pub(super) fn get(&self, job: &str) -> Option<&Link> {
        self.0.get(job)
    }
}

fn attach(object: &Object, program: &str) -> Result<Link, String> {
    fault::at("bpf.attach", program).map_err(|error| error.to_string())?;
    let program = object.progs_mut().find(|found| found.name() == program).ok_or("not in the object")?;
    let (link, lines) = log::listen(|| program.attach());
    link.map_err(|error| log::gist(&lines).unwrap_or_else(|| error.to_string()))
}

/// Runs an iterator over all its objects and returns the bytes that the program wrote, at most `limit`.
///
/// A program that sums and writes nothing is run by reading to the end all the same. Note that the kernel calls
/// a program again for an object whose record did not fit: one that writes must have no other effect.
pub fn iterate(link: &Link, limit: usize) -> io::Result<Vec<u8>> {
    read(link, limit)
}

/// The same for the open files of process `tgid` alone; needs `AttachKind::IterOfProcess`. The program must be
/// a loaded `iter/task_file`.
pub fn iterate_process(program: &libbpf_rs::ProgramMut<'_>, tgid: u32, limit: usize) -> io::Result<Vec<u8>> {
    let _raised = raised();
    let link = sys::attach_iterator(program, tgid)?;
    read(&link, limit)
}

fn read(link: &Link, limit: usize) -> io::Result<Vec<u8>> {
    let _raised = raised();
    fault::at("bpf.iterator", "")?;
    let iterator = Iter::new(link).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    iterator.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
