//! The loop of `baseinfo`: files are read at each tick, and what the kernel's tracepoints tell is handed on at once.
//!
//! The object with the programs lives on this thread's stack, and only while a sub-probe that needs it is wanted.

use super::Baseinfo;
use super::trouble::{self, Events, Trouble};
use probe_core::{Batch, Order, Outcome, Poll, Probe, ProbeError, Running, Starting, SubProbes, Tick, Wake};
use probe_kit::bpf::{Ring, Storage};
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

/// The programs.
enum Programs<'t, 'o, 'm> {
    /// No sub-probe that was asked for has any.
    NotWanted,
    /// They cannot be loaded here.
    Refused(Vec<String>),
    Loaded(&'t mut Trouble<'o>, Events<'m>),
}

/// How far the probe's life is.
enum Stage {
    Starting(Starting),
    Running(Running),
}

impl Stage {
    fn order(&self) -> &Order {
        match self {
            Self::Starting(start) => start.order(),
            Self::Running(running) => running.order(),
        }
    }
}

/// Whether some of them needs programs.
fn wants_programs(sub_probes: &SubProbes) -> bool {
    trouble::NAMES.iter().any(|name| sub_probes.has(name))
}

impl Programs<'_, '_, '_> {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        if let Self::Loaded(_, ring) = self { Some(ring.fd()) } else { None }
    }

    /// Attaches what is wanted, and says in `outcome` what of it runs.
    fn apply(&mut self, wanted: &SubProbes, outcome: &mut Outcome) {
        match self {
            Self::NotWanted => {}
            Self::Refused(missing) => {
                for name in trouble::NAMES {
                    missing.iter().for_each(|what| outcome.miss(name, what.clone()));
                }
            }
            Self::Loaded(trouble, _) => {
                for sub in trouble.apply(wanted).sub_probes {
                    sub.missing.into_iter().for_each(|what| outcome.miss(sub.name, what));
                    sub.lacks.into_iter().for_each(|what| outcome.lack(sub.name, what));
                }
            }
        }
    }

    fn drain(&mut self, out: &mut Batch) {
        if let Self::Loaded(trouble, ring) = self {
            trouble.drain(ring, out);
        }
    }

    fn read(&mut self, out: &mut Batch) {
        self.drain(out);
        if let Self::Loaded(trouble, _) = self {
            trouble.read(out);
        }
    }

    fn memory(&self) -> u64 {
        if let Self::Loaded(trouble, _) = self { trouble.memory() } else { 0 }
    }
}

impl Baseinfo {
    /// What runs of the order.
    fn decide(&mut self, order: &Order, programs: &mut Programs<'_, '_, '_>) -> Result<Outcome, ProbeError> {
        let mut outcome = self.apply(order)?;
        programs.apply(&order.sub_probes, &mut outcome);
        Ok(outcome)
    }

    fn tick(
        &mut self,
        tick: Tick,
        programs: &mut Programs<'_, '_, '_>,
        running: &mut Running,
    ) -> Result<(), ProbeError> {
        let mut batch = Batch::new(SystemTime::now());
        batch.close = tick.close();
        batch.skip("late_tick", tick.missed);
        programs.read(&mut batch);
        self.poll(tick, &mut batch)?;
        running.emit(batch);
        running.memory(self.memory() + programs.memory());
        Ok(())
    }

    /// Works until it shall stop, or until programs are wanted and not there, or there and not wanted.
    fn serve(
        &mut self,
        stage: Stage,
        mut programs: Programs<'_, '_, '_>,
    ) -> Result<Option<Running>, ProbeError> {
        let mut outcome = self.decide(stage.order(), &mut programs)?;
        let mut running = match stage {
            Stage::Starting(start) => start.attached(outcome.clone())?,
            Stage::Running(mut running) => {
                running.report(outcome.clone());
                running
            }
        };
        loop {
            let look_again = match running.wait(programs.fd()) {
                Wake::Tick(tick) => {
                    self.tick(tick, &mut programs, &mut running)?;
                    self.changed()
                }
                Wake::Readable => {
                    let mut batch = Batch::new(SystemTime::now());
                    programs.drain(&mut batch);
                    running.emit(batch);
                    false
                }
                Wake::SubProbes(wanted) => {
                    if wants_programs(&wanted) == matches!(programs, Programs::NotWanted) {
                        return Ok(Some(running));
                    }
                    outcome = self.decide(running.order(), &mut programs)?;
                    running.report(outcome.clone());
                    false
                }
                Wake::Scope(_) | Wake::Containers(_) | Wake::Params(_) => true,
                Wake::Stop => return Ok(None),
            };
            // Nobody waits for an answer here, but what runs may be other than before.
            if look_again {
                let now = self.decide(running.order(), &mut programs)?;
                if now != outcome {
                    outcome = now;
                    running.report(outcome.clone());
                }
            }
        }
    }

    /// The same with the programs loaded, or with the reason why they are not.
    fn serve_with_programs(&mut self, stage: Stage) -> Result<Option<Running>, ProbeError> {
        let mut storage = Storage::new();
        let loaded =
            Trouble::load(&self.env, &mut storage).and_then(|trouble| Ok((trouble.events()?, trouble)));
        match loaded {
            Ok((events, mut trouble)) => {
                let ring = Ring::new(&events).map_err(|error| ProbeError::failed("ring", error))?;
                self.serve(stage, Programs::Loaded(&mut trouble, ring))
            }
            Err(error) => self.serve(stage, Programs::Refused(trouble::missing(error))),
        }
    }
}

impl Probe for Baseinfo {
    fn run(mut self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let mut stage = Stage::Starting(start);
        loop {
            let next = if wants_programs(&stage.order().sub_probes) {
                self.serve_with_programs(stage)?
            } else {
                self.serve(stage, Programs::NotWanted)?
            };
            match next {
                Some(running) => stage = Stage::Running(running),
                None => return Ok(()),
            }
        }
    }
}
