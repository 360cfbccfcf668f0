//! `baseinfo`: what /proc, /sys, netlink and statvfs say about the host and about chosen processes.
//!
//! Owns the descriptor and the list of readers, one file a sub-probe. Each reader owns its tables, its
//! kept descriptors and its parsing; none knows labels beyond its own.

use probe_core::{Batch, Env, Order, Outcome, Poll, ProbeError, Tick};

/// Fills the tables of one sub-probe.
pub(crate) trait Reader: Send {
    /// What this host lacks for the reader to work, one sentence each; empty if it works.
    fn missing(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Takes note of scope and parameters, at the start and whenever they change.
    fn apply(&mut self, _order: &Order) {}
    /// Reads once. What cannot be read now is left out and counted with [`Batch::skip`].
    fn read(&mut self, tick: Tick, out: &mut Batch);
    /// Memory held for data.
    fn memory(&self) -> u64 {
        0
    }
}

/// A sub-probe's name and its reader.
type Make = (&'static str, fn(&Env) -> Box<dyn Reader>);

/// Every reader, in the order of the descriptor.
const READERS: &[Make] = &[];

struct Baseinfo {
    env: Env,
    active: Vec<(&'static str, Box<dyn Reader>)>,
}

impl Poll for Baseinfo {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        self.active.retain(|(name, _)| order.sub_probes.has(name));
        let mut outcome = Outcome::all(&order.sub_probes);
        for (name, make) in READERS {
            if !order.sub_probes.has(name) {
                continue;
            }
            if !self.active.iter().any(|(active, _)| active == name) {
                let mut reader = make(&self.env);
                let missing = reader.missing();
                if !missing.is_empty() {
                    missing.into_iter().for_each(|what| outcome.miss(name, what));
                    continue;
                }
                self.active.push((name, reader));
            }
        }
        self.active.iter_mut().for_each(|(_, reader)| reader.apply(order));
        Ok(outcome)
    }

    fn poll(&mut self, tick: Tick, out: &mut Batch) -> Result<(), ProbeError> {
        self.active.iter_mut().for_each(|(_, reader)| reader.read(tick, out));
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.active.iter().map(|(_, reader)| reader.memory()).sum()
    }
}
