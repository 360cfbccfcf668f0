//! The loop: what the kernel counted is read at each tick, and orders are followed at once.

use super::PARTS;
use super::part::{Ground, Lazy};
use super::process::Look;
use probe_core::{
    Batch, Capability, Env, Order, Outcome, Probe, ProbeError, Running, Scope, Starting, SubProbes, Tick,
    Wake,
};
use probe_kit::bpf::{ScopeMaps, ScopeSlot, Storage};
use probe_kit::kernel::{Kernel, kernel};
use probe_kit::privilege::raise;
use std::path::PathBuf;
use std::time::SystemTime;

/// The probe.
pub(super) struct Proc {
    proc: PathBuf,
}

impl Proc {
    /// One that sees processes through `env`.
    pub(super) fn new(env: &Env) -> Self {
        Self { proc: env.proc.clone() }
    }
}

/// Where the objects of all parts lie.
pub(super) type Storages = [Storage; PARTS.len()];

/// Room for all of them.
pub(super) fn storages() -> Storages {
    std::array::from_fn(|_| Storage::new())
}

impl Probe for Proc {
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let maps = ScopeMaps::shared().map_err(|error| ProbeError::failed("scope maps", error))?;
        let slot =
            maps.slot("proc").ok_or_else(|| ProbeError::failed("scope maps", "every place is taken"))?;
        let mut storages = storages();
        let (mut work, outcome) = Work::begin(self.proc, slot, kernel(), &mut storages, start.order())?;
        let mut running = start.attached(outcome)?;
        loop {
            match running.wait(None) {
                Wake::Tick(tick) => work.report(tick, &mut running)?,
                Wake::SubProbes(wanted) => {
                    let outcome = work.switch(&wanted);
                    running.report(outcome);
                }
                Wake::Scope(scope) => work.observe(scope)?,
                // There is nothing to wait for, thresholds are the daemon's, and containers are labels.
                Wake::Readable | Wake::Params(_) | Wake::Containers(_) => {}
                Wake::Stop => return Ok(()),
            }
        }
    }
}

/// The probe at work.
pub(super) struct Work<'o> {
    proc: PathBuf,
    kernel: &'static Kernel,
    slot: ScopeSlot,
    scope: Scope,
    wanted: SubProbes,
    parts: [Lazy<'o>; PARTS.len()],
}

impl<'o> Work<'o> {
    /// Loads and attaches what `order` asks for.
    pub(super) fn begin(
        proc: PathBuf,
        slot: ScopeSlot,
        kernel: &'static Kernel,
        storages: &'o mut Storages,
        order: &Order,
    ) -> Result<(Self, Outcome), ProbeError> {
        let mut kinds = PARTS.iter();
        let parts = storages.each_mut().map(|storage| {
            // As many as there are storages.
            let (sub_probes, load) = kinds.next().copied().unwrap_or(PARTS[0]);
            Lazy::new(sub_probes, load, storage)
        });
        let (scope, wanted) = (Scope::default(), SubProbes::default());
        let mut work = Self { proc, kernel, slot, scope, wanted, parts };
        work.observe(order.scope.clone())?;
        let outcome = work.switch(&order.sub_probes);
        Ok((work, outcome))
    }

    /// Runs these sub-probes and no others.
    pub(super) fn switch(&mut self, wanted: &SubProbes) -> Outcome {
        let _raised = raise(&[Capability::SysPtrace]);
        let ground = Ground { kernel: self.kernel, slot: &self.slot };
        let look = Look { scope: &self.scope, proc: &self.proc, closes: false };
        let mut outcome = Outcome::all(wanted);
        for part in &mut self.parts {
            part.switch(wanted, &ground, &look, &mut outcome);
        }
        self.wanted = wanted.clone();
        outcome
    }

    /// Observes these processes from now on.
    pub(super) fn observe(&mut self, scope: Scope) -> Result<(), ProbeError> {
        let applied = self.slot.apply(&scope).map_err(|error| ProbeError::failed("scope", error))?;
        if applied.no_room > 0 {
            tracing::warn!(
                processes = applied.no_room,
                "the scope has more processes than its map has room for"
            );
        }
        self.scope = scope;
        let look = Look { scope: &self.scope, proc: &self.proc, closes: false };
        self.parts.iter_mut().for_each(|part| part.meet(&self.wanted, &look));
        Ok(())
    }

    /// Reads everything and adds the rows to `out`.
    pub(super) fn read(&mut self, out: &mut Batch) -> Result<(), ProbeError> {
        // To see whether processes still run where /proc hides them.
        let _raised = raise(&[Capability::SysPtrace]);
        let look = Look { scope: &self.scope, proc: &self.proc, closes: out.close.is_some() };
        self.parts.iter_mut().try_for_each(|part| part.read(&self.wanted, &look, out))
    }

    fn report(&mut self, tick: Tick, running: &mut Running) -> Result<(), ProbeError> {
        let mut batch = Batch::new(SystemTime::now());
        batch.close = tick.close();
        batch.skip("late_tick", tick.missed);
        self.read(&mut batch)?;
        running.emit(batch);
        running.memory(self.memory());
        Ok(())
    }

    /// Bytes held for data; the maps are accounted for by themselves.
    pub(super) fn memory(&self) -> u64 {
        self.parts.iter().map(Lazy::memory).sum()
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.parts.iter().flat_map(Lazy::verdicts).collect()
    }
}
