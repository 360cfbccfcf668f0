//! The loop: passes and samples by their periods, rows at each report, changes of the order at once.

use super::backend::Known;
use super::jobs::JOBS;
use super::kernel::{Room, Source};
use super::labels::Key;
use super::series::{AllSeries, Showing};
use super::{Groups, bpf};
use probe_core::{
    Batch, Env, Outcome, Params, Probe, ProbeError, ProcKey, Running, Scope, Starting, Tick, Wake, params,
};
use probe_kit::alarm::Alarm;
use probe_kit::bpf::{Ring, ScopeMaps, ScopeSlot, Storage};
use probe_kit::conntrack::Backends;
use probe_kit::kernel::kernel;
use probe_kit::scan::number;
use probe_kit::stat::Stat;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// A new scope is followed by a pass, but several changes within this time by one.
const AFTER_SCOPE: Duration = Duration::from_millis(200);

/// The probe.
pub(super) struct Tcp {
    proc: PathBuf,
}

impl Tcp {
    /// One that sees processes through `env`.
    pub(super) fn new(env: &Env) -> Self {
        Self { proc: env.proc.clone() }
    }
}

fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> ProbeError {
    move |error| ProbeError::failed(doing, error)
}

impl Probe for Tcp {
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let maps = ScopeMaps::shared().map_err(failed("scope maps"))?;
        let mut slot =
            maps.slot("tcp").ok_or_else(|| ProbeError::failed("scope maps", "every place is taken"))?;
        let order = start.order().clone();
        let size = u32::try_from(order.params.int(&params::RINGBUF_MAP_SIZE)).unwrap_or(1).max(1);
        let mut storage = Storage::new();
        let mut source = Source::load(&mut storage, kernel(), &slot, JOBS, Room::of(size))?;
        apply_scope(&mut slot, &order.scope)?;
        let groups = source.groups(&order.sub_probes);
        let mut outcome = source.apply(&order.sub_probes);
        let services = Services::of(&order.params, &mut source);
        services.tell(&mut outcome);
        let bell = source.bell()?;
        let ring = Ring::new(&bell).map_err(failed("ring"))?;
        let period = sample_period(&order.params, groups);
        let alarm = Alarm::new(ring.fd(), period).map_err(failed("timer"))?;
        let running = start.attached(outcome)?;
        let series = AllSeries::default();
        Work { proc: self.proc, slot, source, groups, alarm, ring, services, series }.go(running)
    }
}

/// How often there is a pass between two reports: not at all while nothing is sampled, since counters can wait.
fn sample_period(params: &Params, groups: Groups) -> Duration {
    if groups.sampled() & !bpf::TCP_SAMPLE_SYN == 0 {
        return Duration::ZERO;
    }
    Duration::from_millis(params.int(&params::SAMPLE_PERIOD).try_into().unwrap_or(5000))
}

fn apply_scope(slot: &mut ScopeSlot, scope: &Scope) -> Result<(), ProbeError> {
    let applied = slot.apply(scope).map_err(failed("scope"))?;
    if applied.no_room > 0 {
        tracing::warn!(processes = applied.no_room, "the scope has more processes than its map has room for");
    }
    Ok(())
}

struct Work<'o, 'r> {
    proc: PathBuf,
    slot: ScopeSlot,
    source: Source<'o>,
    groups: Groups,
    alarm: Alarm,
    ring: Ring<'r, u64>,
    services: Services,
    series: AllSeries,
}

/// What becomes of client ports and of services' addresses.
#[derive(Default)]
struct Services {
    client_ports: bool,
    backends: Backends,
    known: Known,
}

impl Services {
    /// As the parameters have it; makes the programs tell what that takes.
    fn of(params: &Params, source: &mut Source<'_>) -> Self {
        let backends = Backends::of(params);
        let client_ports = params.int(&params::REPORT_CPORT) != 0;
        source.client_ports(client_ports || matches!(backends, Backends::Tracked(_)));
        Self { client_ports, backends, known: Known::default() }
    }

    /// Says what is lacking, of every sub-probe.
    fn tell(&self, outcome: &mut Outcome) {
        self.backends.tell(outcome, |_| true);
    }

    /// The key under which the growth of `key` is shown.
    fn shown(&mut self, key: &Key) -> Key {
        let Self { client_ports, backends: Backends::Tracked(table), known } = self else {
            return *key;
        };
        // What is not answered, for want of memory or so, is shown as it is.
        known.shown(key, |connection| table.backend(connection).ok().flatten(), *client_ports)
    }
}

impl Work<'_, '_> {
    fn go(mut self, mut running: Running) -> Result<(), ProbeError> {
        loop {
            match running.wait(Some(self.alarm.fd())) {
                Wake::Tick(tick) => self.report(tick, &mut running)?,
                Wake::Readable => self.woken()?,
                Wake::SubProbes(wanted) => {
                    self.groups = self.source.groups(&wanted);
                    let period = sample_period(&running.order().params, self.groups);
                    self.alarm.every(period).map_err(failed("timer"))?;
                    let mut outcome = self.source.apply(&wanted);
                    self.services.tell(&mut outcome);
                    running.report(outcome);
                }
                Wake::Scope(scope) => {
                    apply_scope(&mut self.slot, &scope)?;
                    self.alarm.soon(AFTER_SCOPE).map_err(failed("timer"))?;
                }
                Wake::Params(params) => {
                    self.serve(&params, &mut running);
                    self.alarm.every(sample_period(&params, self.groups)).map_err(failed("timer"))?;
                }
                // Processes are all that matters here.
                Wake::Containers(_) => {}
                Wake::Stop => return Ok(()),
            }
        }
    }

    /// Takes new parameters; says so if something is lacking for them that was not before.
    fn serve(&mut self, params: &Params, running: &mut Running) {
        let before = std::mem::replace(&mut self.services, Services::of(params, &mut self.source));
        if self.services.backends.lacking() != before.backends.lacking() {
            let mut outcome = self.source.apply(&running.order().sub_probes);
            self.services.tell(&mut outcome);
            running.report(outcome);
        }
    }

    /// The sample period has passed, or a map fills up.
    fn woken(&mut self) -> Result<(), ProbeError> {
        if self.alarm.went_off() {
            self.source.pass(false).map_err(failed("pass"))?;
        }
        self.ring.drain(|_| ()).map_err(failed("ring"))?;
        self.take()
    }

    fn take(&mut self) -> Result<(), ProbeError> {
        let taken = self.source.take().map_err(failed("reading maps"))?;
        let now = Instant::now();
        for (key, sums) in &taken.sums {
            self.series.count(self.services.shown(key), sums, now);
        }
        for (key, samples) in &taken.samples {
            self.series.sample(self.services.shown(key), samples, now);
        }
        for (key, _) in taken.sums.iter().filter(|(_, sums)| sums.closed > 0) {
            self.services.known.forget(key);
        }
        Ok(())
    }

    fn report(&mut self, tick: Tick, running: &mut Running) -> Result<(), ProbeError> {
        let mut batch = Batch::new(SystemTime::now());
        batch.close = tick.close();
        batch.skip("late_tick", tick.missed);
        self.source.pass(true).map_err(failed("pass"))?;
        self.ring.drain(|_| ()).map_err(failed("ring"))?;
        self.take()?;
        for (reason, count) in self.source.losses().map_err(failed("losses"))? {
            batch.skip(reason, count);
        }
        batch.skip("backend_limit", self.services.known.over());
        let showing = Showing {
            scope: &running.order().scope,
            groups: self.groups,
            runs: &|process| runs(&self.proc, process),
            closes: tick.elapsed.is_some(),
        };
        self.series.show(&showing, Instant::now(), &mut batch);
        running.emit(batch);
        running.memory(self.series.memory() + self.services.known.memory());
        Ok(())
    }
}

/// Whether the process is still there.
fn runs(proc: &std::path::Path, process: ProcKey) -> bool {
    let path = proc.join(process.tgid.to_string()).join("stat");
    let Ok(text) = std::fs::read(path) else { return false };
    // Field 22; the words begin with field 3.
    let start = Stat::parse(&text).and_then(|stat| number(stat.words().nth(19)?));
    start.is_some_and(|start| start == process.start_ticks)
}
