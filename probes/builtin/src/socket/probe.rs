//! The loop: what the kernel counted is read at each tick, and orders are followed at once.

use super::bpf::{ended_connect, listen_key};
use super::kernel::{ENDPOINTS, Source};
use super::labels;
use super::listeners::{Grown, Listeners};
use super::netns;
use super::overflow::{Attribution, Overflows};
use super::tcp::{Endpoints, Showing};
use super::udp::Datagrams;
use super::{TCP, UDP};
use probe_core::{
    Batch, Capability, Env, Order, Outcome, Params, Probe, ProbeError, ProcKey, Running, Scope, Starting,
    SubProbes, Tick, Wake, params,
};
use probe_kit::alarm::Alarm;
use probe_kit::bpf::{Ring, ScopeMaps, ScopeSlot, Storage};
use probe_kit::conntrack::{Backends, Connection};
use probe_kit::kernel::{Kernel, kernel};
use probe_kit::privilege::raise;
use probe_kit::scan::number;
use probe_kit::stat::Stat;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// While backends are asked for, how often: connection tracking forgets a connection that was reset after 10 s.
const ASK: Duration = Duration::from_secs(2);

/// The probe.
pub(super) struct Socket {
    proc: PathBuf,
}

impl Socket {
    /// One that sees processes through `env`.
    pub(super) fn new(env: &Env) -> Self {
        Self { proc: env.proc.clone() }
    }
}

fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> ProbeError {
    move |error| ProbeError::failed(doing, error)
}

impl Probe for Socket {
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let maps = ScopeMaps::shared().map_err(failed("scope maps"))?;
        let slot =
            maps.slot("socket").ok_or_else(|| ProbeError::failed("scope maps", "every place is taken"))?;
        let mut storage = Storage::new();
        let size = u32::try_from(start.order().params.int(&params::RINGBUF_MAP_SIZE)).unwrap_or(1);
        let room = ENDPOINTS * size.clamp(1, 32);
        let (mut work, outcome) = Work::begin(self.proc, slot, kernel(), &mut storage, start.order(), room)?;
        let connects = work.source.ended_connects()?;
        let mut ring = Ring::new(&connects).map_err(failed("ring"))?;
        let mut alarm = Alarm::new(ring.fd(), Duration::ZERO).map_err(failed("timer"))?;
        alarm.every(work.asks()).map_err(failed("timer"))?;
        let mut running = start.attached(outcome)?;
        loop {
            match running.wait(Some(alarm.fd())) {
                Wake::Tick(tick) => {
                    work.connects(&mut ring)?;
                    work.report(tick, &mut running)?;
                }
                Wake::Readable => {
                    alarm.went_off();
                    work.connects(&mut ring)?;
                }
                Wake::SubProbes(wanted) => {
                    let outcome = work.switch(&wanted)?;
                    running.report(outcome);
                }
                Wake::Scope(scope) => work.observe(scope)?,
                Wake::Params(params) => {
                    let before = work.backends.lacking().map(str::to_owned);
                    work.serve(&params);
                    alarm.every(work.asks()).map_err(failed("timer"))?;
                    if work.backends.lacking() != before.as_deref() {
                        let outcome = work.switch(&running.order().sub_probes.clone())?;
                        running.report(outcome);
                    }
                }
                // Containers are labels.
                Wake::Containers(_) => {}
                Wake::Stop => return Ok(()),
            }
        }
    }
}

/// The probe at work.
pub(super) struct Work<'o> {
    proc: PathBuf,
    slot: ScopeSlot,
    source: Source<'o>,
    wanted: SubProbes,
    scope: Scope,
    listeners: Listeners,
    attribution: Attribution,
    tcp: Endpoints,
    udp: Datagrams,
    backends: Backends,
    /// Drops that a pass between two ticks has found.
    grown: Vec<Grown>,
    /// What was left out since the last report, by reason.
    skipped: Vec<(&'static str, u64)>,
}

impl<'o> Work<'o> {
    /// Loads and attaches what `order` asks for, with room for so many series of each kind.
    pub(super) fn begin(
        proc: PathBuf,
        slot: ScopeSlot,
        kernel: &'static Kernel,
        storage: &'o mut Storage,
        order: &Order,
        room: u32,
    ) -> Result<(Self, Outcome), ProbeError> {
        let source = Source::load(storage, kernel, &slot, room)?;
        let room = source.room();
        let mut work = Self {
            proc,
            slot,
            source,
            wanted: SubProbes::default(),
            scope: Scope::default(),
            listeners: Listeners::default(),
            attribution: Attribution::default(),
            // Connections by peer, and listening sockets.
            tcp: Endpoints::new(2 * room),
            udp: Datagrams::new(room),
            backends: Backends::Off,
            grown: Vec::new(),
            skipped: Vec::new(),
        };
        work.serve(&order.params);
        work.scope = order.scope.clone();
        apply_scope(&mut work.slot, &work.scope)?;
        let outcome = work.switch(&order.sub_probes)?;
        Ok((work, outcome))
    }

    /// Runs these sub-probes and no others.
    pub(super) fn switch(&mut self, wanted: &SubProbes) -> Result<Outcome, ProbeError> {
        let mut outcome = self.source.apply(wanted);
        self.backends.tell(&mut outcome, |sub_probe| sub_probe == TCP);
        if !(wanted.has(TCP) && self.wanted.has(TCP)) {
            // What listens and what has overflowed in between, nobody saw.
            self.listeners.forget();
            self.attribution.forget();
        }
        self.wanted = wanted.clone();
        // Who listens already must be known before the first connection comes in.
        self.pass()?;
        Ok(outcome)
    }

    /// Takes the parameters that need no restart.
    pub(super) fn serve(&mut self, params: &Params) {
        self.backends = Backends::of(params);
        self.source.connects_apart(matches!(self.backends, Backends::Tracked(_)));
    }

    /// How often it wakes to ask for backends; zero is never.
    fn asks(&self) -> Duration {
        if matches!(self.backends, Backends::Tracked(_)) { ASK } else { Duration::ZERO }
    }

    /// Counts connects that were told one by one, each under the address of the backend that answered it.
    fn connects(&mut self, ring: &mut Ring<'_, ended_connect>) -> Result<(), ProbeError> {
        let now = Instant::now();
        let Self { backends, tcp, .. } = self;
        ring.drain(|connect: ended_connect| {
            let server = match backends {
                // What is not answered, for want of memory or so, is shown as it is.
                Backends::Tracked(table) => table.backend(&connection(&connect)).ok().flatten(),
                _ => None,
            };
            tcp.connected(&connect, server, now);
        })
        .map(drop)
        .map_err(failed("ring"))
    }

    /// Observes these processes from now on.
    pub(super) fn observe(&mut self, scope: Scope) -> Result<(), ProbeError> {
        apply_scope(&mut self.slot, &scope)?;
        self.scope = scope;
        // Without looking for sockets: those that are not known yet are in the programs' own list.
        self.tell_listeners(None)
    }

    fn tell_listeners(&mut self, begun: Option<u64>) -> Result<(), ProbeError> {
        let places = self.listeners.places();
        let refused = self.source.tell_listeners(places, &self.scope, begun);
        self.skip("map_full", refused.map_err(failed("telling who listens"))?);
        Ok(())
    }

    /// Looks who holds which socket, and tells the programs.
    fn pass(&mut self) -> Result<(), ProbeError> {
        let begun = self.source.clock();
        let now = Instant::now();
        for (key, value) in self.source.closed().map_err(failed("reading closed sockets"))? {
            let (who, grown) = self.listeners.closed(&key, &value);
            self.tcp.closed(&who, &value, grown.drops, now);
            // Already shown as the closed socket's; its overflows are still to be found.
            self.grown.push(grown);
        }
        let (tcp, udp, cut) = self.source.pass().map_err(failed("looking for sockets"))?;
        self.skip("sockets_cut_off", cut);
        if self.wanted.has(TCP) {
            let grown = self.listeners.pass(&tcp, self.source.settled());
            for grown in grown {
                let Some(place) = self.listeners.places().get(&grown.key) else { continue };
                self.tcp.listens(&grown.key, &place.who, grown.drops, None, now);
                self.grown.push(grown);
            }
            self.tell_listeners(Some(begun))?;
        }
        if self.wanted.has(UDP) {
            self.udp.pass(&udp);
        }
        Ok(())
    }

    /// Gives the overflows of each namespace to the sockets that dropped.
    fn overflows(&mut self, now: Instant) {
        let (counters, left_out) = netns::read_all(&self.proc, self.listeners.places());
        self.skip("namespaces_left_out", left_out);
        let grown = std::mem::take(&mut self.grown);
        let (shares, nobodys) = self.attribution.read(&counters, &grown);
        self.skip("overflow_of_unknown_socket", nobodys);
        let shares: HashMap<listen_key, Overflows> = shares.into_iter().collect();
        for (key, place) in self.listeners.places() {
            let known = counters.contains_key(&key.netns);
            let share = shares.get(key).copied().unwrap_or_default();
            self.tcp.listens(key, &place.who, 0, known.then_some(share), now);
        }
    }

    fn skip(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            self.skipped.push((reason, count));
        }
    }

    /// Reads everything and adds the rows to `out`.
    pub(super) fn read(&mut self, out: &mut Batch) -> Result<(), ProbeError> {
        let _raised = raise(&[Capability::SysPtrace]);
        let now = Instant::now();
        self.pass()?;
        let ends = RefCell::new(HashMap::new());
        let proc = self.proc.clone();
        let alive =
            |process: ProcKey| *ends.borrow_mut().entry(process).or_insert_with(|| runs(&proc, process));
        let showing = Showing { scope: &self.scope.clone(), gives: self.source.gives(), alive: &alive };
        if self.wanted.has(TCP) {
            self.overflows(now);
            let (entries, period) =
                self.source.tcp(out.close.is_some()).map_err(failed("reading connections"))?;
            self.tcp.count(&entries, &self.listeners, period, now);
            let stale = self.tcp.stale(&alive, now);
            self.source.remove(&stale, &[], &[]);
            stale.iter().for_each(|key| self.tcp.removed(key));
            self.tcp.show(&showing, now, out);
        }
        if self.wanted.has(UDP) {
            self.udp.count(&self.source.udp().map_err(failed("reading sockets"))?, now);
            self.udp.drops(&self.source.udp_drops().map_err(failed("reading drops"))?, now);
            let (counts, drops) = self.udp.stale(&alive, now);
            self.source.remove(&[], &counts, &drops);
            self.udp.removed(&counts, &drops);
            self.udp.show(&showing, now, out);
        }
        let (no_row, ownerless) = self.udp.take_losses();
        out.skip("no_room_for_series", no_row + self.tcp.take_refused());
        out.skip("drop_of_unknown_socket", ownerless);
        for (reason, count) in self.source.losses().map_err(failed("losses"))? {
            out.skip(reason, count);
        }
        self.skipped.drain(..).for_each(|(reason, count)| out.skip(reason, count));
        Ok(())
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
        self.listeners.memory() + self.tcp.memory() + self.udp.memory()
    }

    /// What became of each job, for the tests' table of kernels.
    #[cfg(test)]
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.source.verdicts()
    }
}

fn connection(connect: &ended_connect) -> Connection {
    let key = &connect.key;
    let end = |ip, port| SocketAddr::new(labels::ip(ip, key.family), port);
    Connection {
        client: end(key.client_ip, connect.client_port),
        server: end(key.server_ip, key.server_port),
    }
}

fn apply_scope(slot: &mut ScopeSlot, scope: &Scope) -> Result<(), ProbeError> {
    let applied = slot.apply(scope).map_err(failed("scope"))?;
    if applied.no_room > 0 {
        tracing::warn!(processes = applied.no_room, "the scope has more processes than its map has room for");
    }
    Ok(())
}

/// Whether the process is still there.
fn runs(proc: &Path, process: ProcKey) -> bool {
    let path = proc.join(process.tgid.to_string()).join("stat");
    let Ok(text) = std::fs::read(path) else { return false };
    // Field 22; the words begin with field 3.
    let start = Stat::parse(&text).and_then(|stat| number(stat.words().nth(19)?));
    start == Some(process.start_ticks)
}
