//! A rehearsal: the start of a probe as far as it goes without attaching a program.
//!
//! What the start loads is loaded, so the verifier and the memory of the host have had their say; then the probe is told
//! to stop before it reads anything, and takes down what it built.

use crate::bpf::{meter, without_links};
use probe_core::{Batch, Link, Order, Outcome, Probe, ProbeError, Signal, Starting};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a start would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// How the sub-probes that were asked for would fare, as far as that is known before programs are attached.
    pub outcome: Outcome,
    /// Memory of the maps that were made, in bytes, by the kernel's account.
    pub map_bytes: u64,
}

/// Hears the probe say that it is attached, and stops it.
struct Listener {
    owner: &'static str,
    heard: Arc<Mutex<Option<Rehearsed>>>,
}

impl Link for Listener {
    fn wait(&mut self, _: Option<BorrowedFd<'_>>, _: Instant) -> Signal {
        Signal::Stop
    }

    // Nothing is read in a rehearsal, so there is nothing that anybody could miss.
    fn send(&mut self, _: Batch) {}

    fn report(&mut self, outcome: Outcome) {
        let map_bytes = meter::owners().get(self.owner).map_or(0, |cost| cost.map_bytes);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rehearsed { outcome, map_bytes });
    }

    fn memory(&mut self, _: u64) {}
}

/// Rehearses the start of `probe`, whose objects have this `owner` and which does not run otherwise. The calling thread
/// attaches nothing meanwhile. The error is the one that the start would have had.
pub fn rehearse(owner: &'static str, probe: Box<dyn Probe>, order: Order) -> Result<Rehearsed, ProbeError> {
    let heard = Arc::default();
    let listener = Listener { owner, heard: Arc::clone(&heard) };
    without_links(|| probe.run(Starting::new(Box::new(listener), order)))?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
    heard.ok_or_else(|| ProbeError::failed("starting", "it ended by itself"))
}
