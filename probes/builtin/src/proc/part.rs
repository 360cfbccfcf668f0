//! What the parts of the probe have in common: each is one object, loaded when a sub-probe first wants it and kept
//! until the probe ends, so that nothing that was counted is lost. One that cannot be loaded takes its own sub-probes
//! with it and no others.

use super::process::Look;
use libbpf_rs::Object;
use probe_core::{Batch, Outcome, ProbeError, SubProbes};
use probe_kit::bpf::{ScopeSlot, Storage, abi, cost};
use probe_kit::charge::Stopwatch;
use probe_kit::kernel::Kernel;
use std::io;

/// What loading takes.
pub(super) struct Ground<'a> {
    pub(super) kernel: &'static Kernel,
    pub(super) slot: &'a ScopeSlot,
}

/// A loaded object.
pub(super) trait Part {
    /// Attaches what `wanted` needs and nothing else, and says what of it runs.
    fn switch(&mut self, wanted: &SubProbes, look: &Look<'_>) -> Outcome;
    /// The scope is another one, or `all` is to be looked at again: for parts that must meet processes themselves.
    fn meet(&mut self, _wanted: &SubProbes, _look: &Look<'_>, _all: bool) {}
    /// Adds the rows of `wanted`.
    fn read(&mut self, wanted: &SubProbes, look: &Look<'_>, out: &mut Batch) -> io::Result<()>;
    /// Bytes held for data; the maps are accounted for by themselves.
    fn memory(&self) -> u64;
    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    fn verdicts(&self) -> Vec<String>;
}

/// How a part is loaded.
pub(super) type Load = for<'o> fn(&'o mut Storage, &Ground<'_>) -> Result<Box<dyn Part + 'o>, ProbeError>;

/// What an object has lost, as it grows.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<(&'static str, u64)>);

impl Losses {
    /// Adds to `out` what `object` has lost since the last call: `own` are its reasons beside a full map, each with its
    /// name.
    pub(super) fn tell(
        &mut self,
        object: &Object,
        own: &[(u32, &'static str)],
        out: &mut Batch,
    ) -> io::Result<()> {
        let mut now = vec![("map_full", cost::lost(object, abi::GOPHER_LOST_MAP)?)];
        for (reason, name) in own {
            now.push((*name, cost::lost(object, *reason)?));
        }
        now.push(("program_skipped", cost::recursion_misses(object)?.unwrap_or(0)));
        let before = std::mem::replace(&mut self.0, now);
        for (at, &(name, count)) in self.0.iter().enumerate() {
            out.skip(name, count.saturating_sub(before.get(at).map_or(0, |(_, count)| *count)));
        }
        Ok(())
    }
}

enum State<'o> {
    Waits(&'o mut Storage),
    Loaded(Box<dyn Part + 'o>),
    Failed(Vec<String>),
}

/// A part that is loaded when it is wanted.
pub(super) struct Lazy<'o> {
    sub_probes: &'static [&'static str],
    load: Load,
    state: State<'o>,
}

impl<'o> Lazy<'o> {
    /// One that `sub_probes` want.
    pub(super) fn new(sub_probes: &'static [&'static str], load: Load, storage: &'o mut Storage) -> Self {
        Self { sub_probes, load, state: State::Waits(storage) }
    }

    /// Loads it if it is wanted, attaches and detaches, and adds to `outcome` what cannot run.
    pub(super) fn switch(
        &mut self,
        wanted: &SubProbes,
        ground: &Ground<'_>,
        look: &Look<'_>,
        outcome: &mut Outcome,
    ) {
        let is_wanted = self.sub_probes.iter().any(|name| wanted.has(name));
        if is_wanted && matches!(self.state, State::Waits(_)) {
            let before = std::mem::replace(&mut self.state, State::Failed(Vec::new()));
            if let State::Waits(storage) = before {
                self.state = match (self.load)(storage, ground) {
                    Ok(part) => State::Loaded(part),
                    Err(ProbeError::Unsupported { missing }) => State::Failed(missing),
                    Err(error) => State::Failed(vec![error.to_string()]),
                };
            }
        }
        match &mut self.state {
            State::Waits(_) => {}
            State::Loaded(part) => {
                for sub in part.switch(wanted, look).sub_probes {
                    sub.missing.into_iter().for_each(|what| outcome.miss(sub.name, what));
                    sub.lacks.into_iter().for_each(|what| outcome.lack(sub.name, what));
                }
            }
            State::Failed(reasons) => {
                for name in self.sub_probes {
                    reasons.iter().for_each(|reason| outcome.miss(name, reason.clone()));
                }
            }
        }
    }

    /// The scope is another one.
    pub(super) fn meet(&mut self, wanted: &SubProbes, look: &Look<'_>) {
        if let State::Loaded(part) = &mut self.state {
            part.meet(wanted, look, false);
        }
    }

    /// Adds the rows of what is wanted of it.
    pub(super) fn read(
        &mut self,
        wanted: &SubProbes,
        look: &Look<'_>,
        out: &mut Batch,
    ) -> Result<(), ProbeError> {
        match &mut self.state {
            State::Loaded(part) => {
                let mut watch = Stopwatch::start();
                let done = part.read(wanted, look, out);
                // What several share is divided by what they hand over.
                let mut its = self.sub_probes.iter().filter(|name| wanted.has(name));
                if let (Some(only), None) = (its.next(), its.next()) {
                    out.charge(only, watch.lap());
                }
                done.map_err(|error| ProbeError::failed("reading", error))
            }
            _ => Ok(()),
        }
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> u64 {
        if let State::Loaded(part) = &self.state { part.memory() } else { 0 }
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        if let State::Loaded(part) = &self.state { part.verdicts() } else { Vec::new() }
    }
}
