//! What every loaded object costs in the kernel: runs and run time of its programs, memory of its maps, by whose it
//! is. The loader enters each object here, so a probe has nothing to do for it; who shows it asks [`totals`] and
//! [`owners`].
//!
//! The kernel knows run times only while it measures them, which costs something with each run. So whoever owns the
//! time takes a [`Measurement`] now and then, and what was measured stands for all the time since the one before: an
//! estimate, with the right mean for programs that run often or at times that have nothing to do with the
//! measurements'.

use super::privilege::raised;
use super::{Plan, RunTime, sys};
use crate::kernel::kernel;
use libbpf_rs::{MapCore as _, Object};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maps that all probes share, so they are none's.
const SHARED: [&str; 2] = ["gopher_scope", "gopher_modes"];

/// Totals of a program since the process began, over all objects of its owner that had one of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramTotal {
    /// [`super::ObjectSpec::owner`].
    pub owner: &'static str,
    /// The program's name, as in the object.
    pub program: String,
    /// Its run time, scaled up from what was measured.
    pub run_time: Duration,
    /// How often it ran, scaled up likewise.
    pub runs: u64,
}

/// What a program that is loaded costs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// [`super::ObjectSpec::owner`].
    pub owner: &'static str,
    /// The sub-probes that it is for: those that cannot do without it, and those that get more of it.
    pub sub_probes: Vec<&'static str>,
    /// Run time in a second, as last measured; `None` before that.
    pub run_time_per_s: Option<Duration>,
}

/// What the objects of one owner cost now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCost {
    /// Run time of all its programs in a second, as last measured; `None` before that.
    pub run_time_per_s: Option<Duration>,
    /// Memory of its maps in bytes, by the kernel's account; those that all probes share are nobody's.
    pub map_bytes: u64,
}

#[derive(Debug)]
struct Meter {
    objects: Vec<Entered>,
    /// Goes on when an object is gone, so that nothing counts backwards.
    totals: BTreeMap<(&'static str, String), Counted>,
    /// Run time in a second, of the owners that were measured last time.
    rates: BTreeMap<&'static str, Duration>,
    measured: Duration,
    next: u64,
}

static METER: Mutex<Meter> = Mutex::new(Meter {
    objects: Vec::new(),
    totals: BTreeMap::new(),
    rates: BTreeMap::new(),
    measured: Duration::ZERO,
    next: 0,
});

fn meter() -> MutexGuard<'static, Meter> {
    METER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A loaded object, by descriptors of its own: they are gone before the loader's are.
#[derive(Debug)]
struct Entered {
    number: u64,
    owner: &'static str,
    programs: Vec<Program>,
    maps: Vec<OwnedFd>,
    map_bytes: u64,
    /// From when on what it ran is not in the totals.
    since: Instant,
}

#[derive(Debug)]
struct Program {
    name: String,
    sub_probes: Vec<&'static str>,
    fd: OwnedFd,
    /// Run time in a second, as last measured.
    rate: Option<Duration>,
    /// At the beginning of the measurement that goes on.
    begun: Option<Counted>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    ns: u64,
    runs: u64,
}

impl Counted {
    fn of(program: &Program) -> io::Result<Self> {
        let (info, _) = sys::program_info(program.fd.as_fd())?;
        Ok(Self { ns: info.run_time_ns, runs: info.run_cnt })
    }

    fn since(self, before: Self) -> Self {
        Self { ns: self.ns.saturating_sub(before.ns), runs: self.runs.saturating_sub(before.runs) }
    }

    /// What it would have been in `whole`, having been this in `part`.
    fn scaled(self, part: Duration, whole: Duration) -> Self {
        let scaled = |count: u64| {
            let part = part.as_nanos().max(1);
            let count = (u128::from(count) * whole.as_nanos().max(part) + part / 2) / part;
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        Self { ns: scaled(self.ns), runs: scaled(self.runs) }
    }

    fn add(&mut self, grown: Self) {
        self.ns = self.ns.saturating_add(grown.ns);
        self.runs = self.runs.saturating_add(grown.runs);
    }
}

/// The place of a loaded object; dropping it takes the object out.
#[derive(Debug)]
pub(super) struct Place(u64);

impl Drop for Place {
    fn drop(&mut self) {
        meter().objects.retain(|object| object.number != self.0);
    }
}

/// Takes in an object that was loaded.
pub(super) fn enter(owner: &'static str, object: &Object, plan: &Plan) -> io::Result<Place> {
    let mut programs = Vec::new();
    for program in object.progs().filter(|program| program.autoload()) {
        let name = program.name().to_string_lossy().into_owned();
        let (fd, sub_probes) = (program.as_fd().try_clone_to_owned()?, plan.sub_probes_of(&name));
        programs.push(Program { name, sub_probes, fd, rate: None, begun: None });
    }
    let own = object.maps().filter(|map| map.autocreate() && !SHARED.iter().any(|name| map.name() == *name));
    let maps = own.map(|map| map.as_fd().try_clone_to_owned()).collect::<io::Result<Vec<_>>>()?;
    let map_bytes = maps.iter().map(memory).sum();
    let mut meter = meter();
    for program in &programs {
        meter.totals.entry((owner, program.name.clone())).or_default();
    }
    let number = meter.next;
    meter.next += 1;
    meter.objects.push(Entered { number, owner, programs, maps, map_bytes, since: Instant::now() });
    Ok(Place(number))
}

/// Bytes that the kernel accounts to a map; 0 if it does not say.
fn memory(map: &OwnedFd) -> u64 {
    // Our own descriptor: not a view of the host, so not through Env.
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).unwrap_or_default();
    locked(&text).unwrap_or(0)
}

fn locked(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("memlock:"))?.trim().parse().ok()
}

/// Whether something is loaded.
pub fn any() -> bool {
    !meter().objects.is_empty()
}

/// Every program that was ever loaded.
pub fn totals() -> Vec<ProgramTotal> {
    let total = |((owner, program), counted): (&(&'static str, String), &Counted)| ProgramTotal {
        owner,
        program: program.clone(),
        run_time: Duration::from_nanos(counted.ns),
        runs: counted.runs,
    };
    meter().totals.iter().map(total).collect()
}

/// Every owner that ever had an object.
pub fn owners() -> BTreeMap<&'static str, OwnerCost> {
    let meter = meter();
    let mut owners: BTreeMap<&'static str, OwnerCost> =
        meter.totals.keys().map(|(owner, _)| (*owner, OwnerCost::default())).collect();
    for object in &meter.objects {
        let cost = owners.entry(object.owner).or_default();
        cost.map_bytes += object.map_bytes;
        cost.run_time_per_s = meter.rates.get(object.owner).copied();
    }
    owners
}

/// Every program that is loaded.
pub fn programs() -> Vec<ProgramCost> {
    let mut costs = Vec::new();
    for object in &meter().objects {
        costs.extend(object.programs.iter().map(|program| ProgramCost {
            owner: object.owner,
            sub_probes: program.sub_probes.clone(),
            run_time_per_s: program.rate,
        }));
    }
    costs
}

/// How long was measured, altogether: the share of the time that totals were scaled up from.
pub fn measured() -> Duration {
    meter().measured
}

/// Reads how large the maps are now.
pub fn read_maps() {
    meter().objects.iter_mut().for_each(|object| object.map_bytes = object.maps.iter().map(memory).sum());
}

/// Time in which the kernel measures the run time of programs, of every program of the host.
#[derive(Debug)]
pub struct Measurement {
    // None where it does so all the time.
    _on: Option<RunTime>,
    begun: Instant,
}

impl Measurement {
    /// Begins. An error is that the kernel refuses; it takes CAP_SYS_ADMIN, or `kernel.bpf_stats_enabled` set to 1,
    /// with which it measures all the time.
    pub fn begin() -> io::Result<Self> {
        let on = match RunTime::measure() {
            Ok(on) => Some(on),
            Err(_) if always() => None,
            Err(error) => return Err(error),
        };
        let _raised = raised();
        let mut meter = meter();
        let begun = Instant::now();
        for program in meter.objects.iter_mut().flat_map(|object| &mut object.programs) {
            program.begun = Counted::of(program).ok();
        }
        Ok(Self { _on: on, begun })
    }

    /// Ends, and adds what was measured to the totals.
    pub fn end(self) {
        let _raised = raised();
        let mut guard = meter();
        let meter = &mut *guard;
        let now = Instant::now();
        let measured = now - self.begun;
        meter.measured += measured;
        meter.rates.clear();
        for object in &mut meter.objects {
            // Loaded meanwhile: its turn is the next one.
            if object.since > self.begun {
                continue;
            }
            let whole = now - object.since;
            object.since = now;
            let rate = meter.rates.entry(object.owner).or_default();
            for program in &mut object.programs {
                let (Some(begun), Ok(ended)) = (program.begun.take(), Counted::of(program)) else { continue };
                let grown = ended.since(begun);
                let its = Duration::from_nanos(grown.ns).div_f64(measured.as_secs_f64().max(1e-9));
                program.rate = Some(its);
                *rate += its;
                let total = meter.totals.entry((object.owner, program.name.clone())).or_default();
                total.add(grown.scaled(measured, whole));
            }
        }
    }
}

fn always() -> bool {
    let path = kernel().env().proc.join("sys/kernel/bpf_stats_enabled");
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
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
    fn what_was_measured_stands_for_the_whole_time_and_never_for_less() {
        let counted = Counted { ns: 1_000, runs: 3 };
        let (part, whole) = (Duration::from_millis(300), Duration::from_secs(9));
        assert_eq!(counted.scaled(part, whole), Counted { ns: 30_000, runs: 90 });
        assert_eq!(counted.scaled(part, Duration::ZERO), counted, "the clock stood still");
        assert_eq!(counted.scaled(Duration::ZERO, Duration::ZERO), counted);
        let huge = Counted { ns: u64::MAX, runs: 1 };
        assert_eq!(huge.scaled(part, whole).ns, u64::MAX);
    }
}
