//! The loop of `baseinfo`: files are read at each tick, and what the kernel's tracepoints tell is handed on at once.
//!
//! The objects with the programs live on this thread's stack, each from when the first sub-probe is wanted that needs
//! it. An object is in the frame of those that were loaded before it, so one that is not wanted any more stays,
//! detached, while a later one is: what that has counted goes on.

use super::Baseinfo;
use super::runqueue::{self, RunQueue};
use super::trouble::{self, Told, Trouble};
use probe_core::{Batch, Order, Outcome, Poll, Probe, ProbeError, Running, Starting, SubProbes, Tick, Wake};
use probe_kit::bpf::{LoadError, Ring, Storage};
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

/// A loaded object.
pub(super) trait Programs {
    /// What becomes readable when it has something to tell at once.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Attaches what `wanted` needs and nothing else; sub-probes of others are no business of it.
    fn apply(&mut self, wanted: &SubProbes) -> Outcome;
    /// Takes out what was told.
    fn drain(&mut self, _out: &mut Batch) {}
    /// Adds the rows, and what was lost.
    fn read(&mut self, out: &mut Batch);
    /// Memory of what is known; that of the maps is in the kit's account.
    fn memory(&self) -> u64;
}

/// The sub-probes of each object.
const OBJECTS: [&[&str]; 2] = [&trouble::NAMES, &[runqueue::NAME]];
const TROUBLE: usize = 0;

/// What there is of an object.
enum Object<'p> {
    /// No sub-probe that was asked for needed it so far.
    Unloaded,
    /// It cannot be loaded here.
    Refused(Vec<String>),
    Loaded(&'p mut dyn Programs),
}

impl Object<'_> {
    /// The same for a frame above, which may not keep it.
    fn lend(&mut self) -> Object<'_> {
        match self {
            Self::Unloaded => Object::Unloaded,
            Self::Refused(missing) => Object::Refused(missing.clone()),
            Self::Loaded(programs) => Object::Loaded(&mut **programs),
        }
    }
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

/// Every object, as far as the frames below have loaded it.
struct All<'p>([Object<'p>; OBJECTS.len()]);

/// Whether some of `wanted` needs object `index`.
fn needs(wanted: &SubProbes, index: usize) -> bool {
    OBJECTS.get(index).is_some_and(|names| names.iter().any(|name| wanted.has(name)))
}

impl All<'_> {
    /// The first object that `wanted` needs and that is not there.
    fn absent(&self, wanted: &SubProbes) -> Option<usize> {
        (0..OBJECTS.len())
            .find(|index| needs(wanted, *index) && matches!(self.0.get(*index), Some(Object::Unloaded)))
    }

    /// The same with `object` in its place.
    fn with<'q>(&'q mut self, index: usize, object: Object<'q>) -> All<'q> {
        let mut all = All(self.0.each_mut().map(Object::lend));
        if let Some(place) = all.0.get_mut(index) {
            *place = object;
        }
        all
    }

    fn loaded(&mut self) -> impl Iterator<Item = &mut dyn Programs> {
        self.0.iter_mut().filter_map(|object| match object {
            Object::Loaded(programs) => Some(&mut **programs as &mut dyn Programs),
            _ => None,
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0
            .iter()
            .find_map(|object| if let Object::Loaded(programs) = object { programs.fd() } else { None })
    }

    /// Attaches what is wanted, and says in `outcome` what of it runs.
    fn apply(&mut self, wanted: &SubProbes, outcome: &mut Outcome) {
        for (object, names) in self.0.iter_mut().zip(OBJECTS) {
            match object {
                Object::Unloaded => {}
                Object::Refused(missing) => {
                    for name in names {
                        missing.iter().for_each(|what| outcome.miss(name, what.clone()));
                    }
                }
                Object::Loaded(programs) => {
                    for sub in programs.apply(wanted).sub_probes {
                        sub.missing.into_iter().for_each(|what| outcome.miss(sub.name, what));
                        sub.lacks.into_iter().for_each(|what| outcome.lack(sub.name, what));
                    }
                }
            }
        }
    }
}

/// Why an object is not loaded, for each of its sub-probes.
fn missing(error: LoadError) -> Vec<String> {
    match ProbeError::from(error) {
        ProbeError::Unsupported { missing } => missing,
        other => vec![other.to_string()],
    }
}

impl Baseinfo {
    /// What runs of the order.
    fn decide(&mut self, order: &Order, all: &mut All<'_>) -> Result<Outcome, ProbeError> {
        let mut outcome = self.apply(order)?;
        all.apply(&order.sub_probes, &mut outcome);
        Ok(outcome)
    }

    fn tick(&mut self, tick: Tick, all: &mut All<'_>, running: &mut Running) -> Result<(), ProbeError> {
        let mut batch = Batch::new(SystemTime::now());
        batch.close = tick.close();
        batch.skip("late_tick", tick.missed);
        let mut memory = self.memory();
        for programs in all.loaded() {
            programs.read(&mut batch);
            memory += programs.memory();
        }
        self.poll(tick, &mut batch)?;
        running.emit(batch);
        running.memory(memory);
        Ok(())
    }

    /// Works until it shall stop, or until other sub-probes are wanted that need another object, or `own` no more.
    fn watch(
        &mut self,
        stage: Stage,
        all: &mut All<'_>,
        own: Option<usize>,
    ) -> Result<Option<Stage>, ProbeError> {
        let mut outcome = self.decide(stage.order(), all)?;
        let mut running = match stage {
            Stage::Starting(start) => start.attached(outcome.clone())?,
            Stage::Running(mut running) => {
                running.report(outcome.clone());
                running
            }
        };
        loop {
            let look_again = match running.wait(all.fd()) {
                Wake::Tick(tick) => {
                    self.tick(tick, all, &mut running)?;
                    self.changed()
                }
                Wake::Readable => {
                    let mut batch = Batch::new(SystemTime::now());
                    all.loaded().for_each(|programs| programs.drain(&mut batch));
                    running.emit(batch);
                    false
                }
                Wake::SubProbes(wanted) => {
                    if all.absent(&wanted).is_some() || own.is_some_and(|own| !needs(&wanted, own)) {
                        return Ok(Some(Stage::Running(running)));
                    }
                    outcome = self.decide(running.order(), all)?;
                    running.report(outcome.clone());
                    false
                }
                Wake::Scope(_) | Wake::Containers(_) | Wake::Params(_) => true,
                Wake::Stop => return Ok(None),
            };
            // Nobody waits for an answer here, but what runs may be other than before.
            if look_again {
                let now = self.decide(running.order(), all)?;
                if now != outcome {
                    outcome = now;
                    running.report(outcome.clone());
                }
            }
        }
    }

    /// Works with the objects that there are, loading those that are wanted, until it shall stop or `own`, the one
    /// that was loaded last, is not wanted any more.
    fn serve(
        &mut self,
        mut stage: Stage,
        mut all: All<'_>,
        own: Option<usize>,
    ) -> Result<Option<Stage>, ProbeError> {
        loop {
            let wanted = &stage.order().sub_probes;
            if own.is_some_and(|own| !needs(wanted, own)) {
                return Ok(Some(stage));
            }
            let next = match all.absent(wanted) {
                Some(index) => self.serve_with(stage, &mut all, index)?,
                None => self.watch(stage, &mut all, own)?,
            };
            match next {
                Some(next) => stage = next,
                None => return Ok(None),
            }
        }
    }

    /// The same with object `index` loaded, or with the reason why it is not.
    fn serve_with(
        &mut self,
        stage: Stage,
        all: &mut All<'_>,
        index: usize,
    ) -> Result<Option<Stage>, ProbeError> {
        let mut storage = Storage::new();
        let refused = if index == TROUBLE {
            let loaded = Trouble::load(&self.env, &mut storage);
            match loaded.and_then(|trouble| Ok((trouble.events()?, trouble))) {
                Ok((events, mut trouble)) => {
                    let ring = Ring::new(&events).map_err(|error| ProbeError::failed("ring", error))?;
                    let mut told = Told { trouble: &mut trouble, ring };
                    return self.serve(stage, all.with(index, Object::Loaded(&mut told)), Some(index));
                }
                Err(error) => error,
            }
        } else {
            match RunQueue::load(&mut storage) {
                Ok(mut run_queue) => {
                    let all = all.with(index, Object::Loaded(&mut run_queue));
                    return self.serve(stage, all, Some(index));
                }
                Err(error) => error,
            }
        };
        self.serve(stage, all.with(index, Object::Refused(missing(refused))), Some(index))
    }
}

impl Probe for Baseinfo {
    fn run(mut self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let none = All(OBJECTS.map(|_| Object::Unloaded));
        self.serve(Stage::Starting(start), none, None).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::PATIENCE;
    use super::*;
    use probe_core::{Env, Value};
    use probe_kit::link::{Delivery, KitLink};
    use probe_kit::testing::{as_in_the_daemon, order, seen};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, sync_channel};

    /// Waits of all cgroups in the next batch that has some.
    fn waits(batches: &Receiver<Delivery>) -> u64 {
        loop {
            let batch = batches.recv_timeout(PATIENCE).expect("it works").batch;
            let rows = seen(&batch);
            let rows = rows.iter().filter(|row| row.table == "system_runqueue");
            let counts = rows.flat_map(|row| &row.values).map(|(_, value)| match value {
                Value::Histogram(hist) => hist.count(),
                _ => 0,
            });
            let sum = counts.sum();
            if sum > 0 {
                return sum;
            }
        }
    }

    #[test]
    fn root_objects_come_and_go_while_the_others_keep_what_they_know() {
        let (outlet, batches) = sync_channel(16);
        let (tell, told) = sync_channel(16);
        let tell = Box::new(move |outcome, number| {
            let _ = tell.send((outcome, number));
        });
        let (link, control) = KitLink::new("baseinfo", 1, outlet, Arc::default(), tell).expect("an eventfd");
        let start = order(&["cpu", "runqueue"]);
        let probe = std::thread::Builder::new().spawn(move || {
            let probe = Box::new(Baseinfo::new(&Env::default()));
            as_in_the_daemon(|| probe.run(Starting::new(Box::new(link), start)))
        });
        let answer = |asked: u64| loop {
            let (outcome, number): (Outcome, u64) = told.recv_timeout(PATIENCE).expect("it answers");
            if number >= asked {
                assert!(outcome.missing().is_empty(), "{:?}", outcome.missing());
                return;
            }
        };
        let ask = |sub_probes: &[&'static str]| answer(control.order(order(sub_probes)));
        answer(0);
        let mut before = waits(&batches);
        // The second is loaded above the first, which then stays for it, and is there when it is wanted again.
        for sub_probes in [&["cpu", "oom", "runqueue"][..], &["cpu", "oom"], &["cpu", "oom", "runqueue"]] {
            ask(sub_probes);
            if sub_probes.contains(&"runqueue") {
                let now = waits(&batches);
                assert!(now >= before, "{sub_probes:?}: {now} of {before}");
                before = now;
            }
        }
        ask(&["cpu"]);
        ask(&["runqueue"]);
        control.stop();
        probe.expect("a thread").join().expect("no panic").expect("it ends well");
    }
}
