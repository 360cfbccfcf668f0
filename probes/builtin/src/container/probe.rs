//! Goes through the containers in scope: what is remembered of each, and in which order it is read.

use super::inodes::Asker;
use super::network::{self, Namespace};
use super::place::Place;
use super::source::Sources;
use super::{NEEDS, cpu, fs, memberships, memory, open_process, process, psi, tables};
use probe_core::{
    Baseline, Batch, Capability, ContainerTarget, Env, Label, Order, Outcome, Poll, ProbeError, SubProbes,
    Subject, Tick, without,
};
use probe_kit::cgroup::Hierarchies;
use probe_kit::charge::Stopwatch;
use probe_kit::kept::{KeptFile, read_once};
use probe_kit::privilege::{lacking, raise};
use probe_kit::process::{Budget, Root};
use probe_kit::scan::{lines, number, words};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Containers of one pass: as many as the daemon knows at most.
const MAX_CONTAINERS: usize = 4096;

/// Of so many containers one is timed, sub-probe by sub-probe, and stands for all of them.
const TIMED: usize = 16;

/// A third of what may be open; the process table of `baseinfo` may take a half.
const PART: u64 = 3;

/// Raised for a pass: the processes are those of other users.
const NEEDED: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

/// What is remembered of a container.
struct Watched {
    target: ContainerTarget,
    label: Label,
    sources: Sources,
    /// Its `/proc/<pid>`, if its network is to be read through it and a descriptor was left.
    process: Option<OwnedFd>,
    /// The list of its processes, if a descriptor was left.
    procs: Option<KeptFile>,
    /// `None` for the host's, and where it cannot be told.
    network: Option<Namespace>,
    /// Unix time.
    started: Option<f64>,
}

impl Watched {
    /// Descriptors that it keeps.
    fn kept(&self) -> usize {
        self.sources.kept() + usize::from(self.process.is_some()) + usize::from(self.procs.is_some())
    }
}

/// The probe.
pub(super) struct Container {
    env: Env,
    hierarchies: Hierarchies,
    budget: Budget,
    root: Option<Root>,
    host_network: Option<Namespace>,
    booted: Option<f64>,
    active: SubProbes,
    watched: Vec<Watched>,
    left_out: u64,
    inodes: Asker,
    devices: fs::Devices,
    networks: network::Pass,
    buf: Vec<u8>,
}

impl Container {
    /// Sees the host through `env`.
    pub(super) fn new(env: &Env) -> Self {
        let hierarchies = Hierarchies::find(&env.sys);
        Self::over(env, hierarchies, Budget::of_limit(PART, 0, 1))
    }

    /// The same with so many kept descriptors.
    #[cfg(test)]
    pub(super) fn with(env: &Env, budget: Budget) -> Self {
        Self::over(env, Hierarchies::find(&env.sys), budget)
    }

    fn over(env: &Env, hierarchies: Hierarchies, budget: Budget) -> Self {
        let _raised = raise(&NEEDED);
        let of = |process: &str| network::namespace(std::fs::File::open(env.proc.join(process)).ok()?).ok();
        // Where nobody may look at the first process, a /proc of our own is that of the host's network as far as we
        // can see; one that was mounted elsewhere is not.
        let own = || if env.proc == Path::new("/proc") { of("self") } else { None };
        Self {
            hierarchies,
            budget,
            root: Root::open(&env.proc).ok(),
            host_network: of("1").or_else(own),
            booted: booted(env),
            active: SubProbes::default(),
            watched: Vec::new(),
            left_out: 0,
            inodes: Asker::new(&env.proc),
            devices: fs::Devices::new(&env.sys),
            networks: network::Pass::default(),
            buf: Vec::new(),
            env: env.clone(),
        }
    }

    /// Descriptors that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.watched.iter().map(Watched::kept).sum()
    }

    /// What this host lacks for a sub-probe, one sentence each.
    fn missing(&self, name: &str) -> Vec<String> {
        let v1 = |controller: &str| self.hierarchies.of(controller).is_some();
        let v2 = |controller: &str| {
            let text = self.hierarchies.unified().map(|root| std::fs::read(root.join("cgroup.controllers")));
            let text = text.and_then(Result::ok).unwrap_or_default();
            words(text.trim_ascii()).any(|word| word == controller.as_bytes())
        };
        let sentence = match name {
            _ if self.hierarchies.is_empty() => "no cgroups are mounted below /sys/fs/cgroup",
            "cpu" if !v1("cpuacct") && self.hierarchies.unified().is_none() => {
                "neither cgroup v2 nor the v1 controller cpuacct is mounted"
            }
            "memory" if !v1("memory") && !v2("memory") => "no cgroup hierarchy has the controller memory",
            "psi" if self.hierarchies.unified().is_none() => {
                "only cgroup v2 has pressure files, and it is not mounted"
            }
            "psi" if !self.env.proc.join("pressure").exists() => {
                "this kernel has no pressure stall information, or was started with psi=0"
            }
            _ => return Vec::new(),
        };
        vec![sentence.to_owned()]
    }

    /// What a sub-probe runs without.
    fn lacks(&self, name: &str) -> Vec<String> {
        let mut sentences = without(NEEDS, name, &lacking(&NEEDED));
        let has_io = self.hierarchies.of("blkio").is_some()
            || self.hierarchies.unified().is_some_and(|root| {
                std::fs::read(root.join("cgroup.controllers"))
                    .is_ok_and(|text| words(text.trim_ascii()).any(|word| word == b"io"))
            });
        if name == "fs" && !has_io {
            sentences.push(
                "no cgroup hierarchy has the controller io or blkio: reads and writes are absent".into(),
            );
        }
        sentences
    }

    /// Finds what is new, keeps what is known, and lets go of what has left.
    fn watch(&mut self, order: &Order) {
        let _raised = raise(&NEEDED);
        let containers = order.containers.get(..MAX_CONTAINERS).unwrap_or(&order.containers);
        self.left_out = (order.containers.len() - containers.len()) as u64;
        let mut before: HashMap<ContainerTarget, Watched> =
            self.watched.drain(..).map(|watched| (watched.target, watched)).collect();
        let mut kept: Vec<Option<Watched>> = containers.iter().map(|target| before.remove(target)).collect();
        // Room first, then use of it.
        for gone in before.into_values() {
            (0..gone.kept()).for_each(|_| self.budget.give());
        }
        let fresh = kept.iter().any(Option::is_none);
        for (slot, target) in kept.iter_mut().zip(containers) {
            if slot.is_none() {
                *slot = Some(self.find(*target));
            }
        }
        self.watched = kept.into_iter().flatten().collect();
        if fresh {
            self.inodes.hurry();
            self.devices.forget();
        }
    }

    /// Finds the cgroups and the namespace of a container.
    fn find(&mut self, target: ContainerTarget) -> Watched {
        let process = open_process(&self.env.proc, target.process);
        let text = process.as_ref().and_then(|dir| memberships(dir, &mut self.buf));
        let place = match text {
            Some(()) => Place::find(&self.hierarchies, &self.buf, target.id),
            None => Place::default(),
        };
        let network = process.as_ref().and_then(|dir| network::namespace(dir).ok());
        let network = network.filter(|own| self.host_network.is_some_and(|host| host != *own));
        #[allow(clippy::cast_precision_loss)] // a time
        let ticks = target.process.start_ticks as f64;
        #[allow(clippy::cast_precision_loss)]
        let started =
            self.booted.map(|booted| booted + ticks / rustix::param::clock_ticks_per_second() as f64);
        Watched {
            target,
            label: target.id.as_str().into(),
            sources: Sources::new(place),
            process: process.filter(|_| network.is_some() && self.budget.take()),
            procs: None,
            network,
            started,
        }
    }

    /// Reads one container.
    fn read(&mut self, index: usize, since: Option<f64>, left: &mut usize, out: &mut Batch) {
        let count = self.watched.len();
        let Some(watched) = self.watched.get_mut(index) else { return };
        let id = &watched.label;
        let subject = Subject::Container(watched.target.id);
        // What began since the last report was counted from 0.
        let young = watched.started.zip(since).is_some_and(|(started, since)| started >= since);
        let baseline = if young { Baseline::Zero } else { Baseline::FirstReading };
        let (files, buf) = (&mut watched.sources.within(&mut self.budget), &mut self.buf);
        let stands_for = u32::try_from(TIMED.min(count - index)).unwrap_or(1);
        let mut watch = index.is_multiple_of(TIMED).then(Stopwatch::start);
        let mut charge = |name, out: &mut Batch| {
            if let Some(watch) = &mut watch {
                out.charge(name, watch.lap() * stands_for);
            }
        };
        if self.active.has("cpu") {
            out.push(subject, baseline, tables::Cpu { container_id: id.clone(), ..cpu::read(files, buf) });
            charge("cpu", out);
        }
        if self.active.has("memory") {
            let (oom, events) = memory::read_events(files, buf);
            out.push(
                subject,
                baseline,
                tables::Memory { container_id: id.clone(), ..memory::read(files, buf) },
            );
            out.push(subject, baseline, tables::Oom { container_id: id.clone(), ..oom });
            out.push(subject, baseline, tables::MemoryEvents { container_id: id.clone(), ..events });
            charge("memory", out);
        }
        if self.active.has("fs") {
            let mut row = fs::read(files, &mut self.devices, buf);
            #[allow(clippy::cast_precision_loss)] // gauges
            if let Some((free, all)) = self.inodes.get(watched.target.id) {
                row.fs_inodes_free = Some(free as f64);
                row.fs_inodes_total = Some(all as f64);
            }
            out.push(subject, baseline, tables::Fs { container_id: id.clone(), ..row });
            charge("fs", out);
        }
        if self.active.has("network")
            && let Some(namespace) = watched.network
        {
            let row = self.networks.read(namespace, || match &watched.process {
                Some(dir) => dir.try_clone().ok(),
                None => open_process(&self.env.proc, watched.target.process),
            });
            if let Some(row) = row {
                out.push(subject, baseline, tables::Network { container_id: id.clone(), ..row });
            }
            charge("network", out);
        }
        if self.active.has("psi") {
            out.push(subject, baseline, tables::Psi { container_id: id.clone(), ..psi::read(files, buf) });
            charge("psi", out);
        }
        if self.active.has("process") {
            let start = tables::Start { container_id: id.clone(), start_time_seconds: watched.started };
            out.push(subject, baseline, start);
            if let Some(top) = watched.sources.place().processes() {
                if watched.procs.is_none() && self.budget.take() {
                    watched.procs = Some(KeptFile::new(process::procs(top)));
                }
                let found = process::look(top, watched.procs.as_mut(), self.root.as_ref(), left, buf);
                out.skip("container_cgroups", u64::from(found.cut));
                out.skip("process_unreadable", found.refused);
                #[allow(clippy::cast_precision_loss)] // gauges
                let gauge = |value: Option<u64>| value.map(|value| value as f64);
                let row = tables::Files {
                    container_id: id.clone(),
                    file_descriptors: gauge(found.descriptors),
                    processes: gauge(found.processes),
                };
                out.push(subject, baseline, row);
            }
            charge("process", out);
        }
        let misses = watched.sources.take_misses();
        out.skip("container_gone", u64::from(misses.gone));
        out.skip("container_unreadable", u64::from(misses.refused));
    }

    /// The rows are all that there are.
    fn complete(&self, out: &mut Batch) {
        if self.active.has("cpu") {
            out.complete::<tables::Cpu>();
        }
        if self.active.has("memory") {
            out.complete::<tables::Memory>();
            out.complete::<tables::Oom>();
            out.complete::<tables::MemoryEvents>();
        }
        if self.active.has("fs") {
            out.complete::<tables::Fs>();
        }
        if self.active.has("network") {
            out.complete::<tables::Network>();
        }
        if self.active.has("psi") {
            out.complete::<tables::Psi>();
        }
        if self.active.has("process") {
            out.complete::<tables::Start>();
            out.complete::<tables::Files>();
        }
    }
}

/// When the host was started, Unix time.
fn booted(env: &Env) -> Option<f64> {
    let mut buf = Vec::new();
    let text = read_once(&env.proc.join("stat"), &mut buf).ok()?;
    let line = lines(text).find_map(|line| line.strip_prefix(b"btime "))?;
    #[allow(clippy::cast_precision_loss)] // a time
    number(line).map(|seconds| seconds as f64)
}

impl Poll for Container {
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError> {
        let mut outcome = Outcome::all(&order.sub_probes);
        self.active = order.sub_probes.iter().filter(|name| self.missing(name).is_empty()).collect();
        for name in order.sub_probes.iter() {
            let missing = self.missing(name);
            if missing.is_empty() {
                self.lacks(name).into_iter().for_each(|what| outcome.lack(name, what));
            } else {
                missing.into_iter().for_each(|what| outcome.miss(name, what));
            }
        }
        self.watch(order);
        Ok(outcome)
    }

    fn poll(&mut self, tick: Tick, out: &mut Batch) -> Result<(), ProbeError> {
        if self.active.has("fs") {
            // Before anything is raised, for it may start a thread.
            let hangs = self.inodes.turn(self.watched.iter().map(|watched| watched.target));
            out.skip("container_stuck", hangs);
        }
        let _raised = raise(&NEEDED);
        out.skip("container_limit", self.left_out);
        self.networks.begin();
        let since = tick.elapsed.and_then(|elapsed| unix(out.collected_at.checked_sub(elapsed)?));
        let mut left = process::MAX_PROCESSES;
        for index in 0..self.watched.len() {
            self.read(index, since, &mut left, out);
        }
        out.skip("process_limit", u64::from(left == 0));
        self.complete(out);
        Ok(())
    }

    fn memory(&self) -> u64 {
        let watched = self.watched.capacity() * size_of::<Watched>() + self.buf.capacity();
        watched as u64 + self.inodes.memory() + self.devices.memory() + self.networks.memory()
    }
}

fn unix(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH).ok().as_ref().map(Duration::as_secs_f64)
}
