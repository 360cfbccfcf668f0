//! The loop: counts at each report, failures as they are told, changes of the order at once.

use super::bpf::io_failure;
use super::devices;
use super::failure;
use super::kernel::Source;
use super::series::{Devices, Names, Showing};
use super::{ERR, Groups};
use probe_core::{Batch, Env, Params, Probe, ProbeError, Running, Starting, SubProbes, Tick, Wake, params};
use probe_kit::bpf::{Ring, Storage};
use probe_kit::clock::Clock;
use probe_kit::kernel::kernel;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// The probe.
pub(super) struct Io {
    sys: PathBuf,
}

impl Io {
    /// One that sees devices through `env`.
    pub(super) fn new(env: &Env) -> Self {
        Self { sys: env.sys.clone() }
    }
}

fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> ProbeError {
    move |error| ProbeError::failed(doing, error)
}

impl Probe for Io {
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let mut storage = Storage::new();
        let mut source = Source::load(&mut storage, kernel())?;
        let order = start.order().clone();
        source.sample_every(sample_period(&order.params));
        let tell = tells(&order.sub_probes, &order.params);
        let outcome = source.apply(&order.sub_probes, tell).map_err(failed("attaching"))?;
        let failures = source.failures()?;
        let ring = Ring::new(&failures).map_err(failed("ring"))?;
        let running = start.attached(outcome)?;
        Work { sys: self.sys, source, ring, devices: Devices::default() }.go(running)
    }
}

fn sample_period(params: &Params) -> Duration {
    Duration::from_millis(params.int(&params::SAMPLE_PERIOD).try_into().unwrap_or(5000))
}

/// Whether failures are events.
fn tells(wanted: &SubProbes, params: &Params) -> bool {
    wanted.has(ERR) && params.int(&params::REPORT_EVENT) != 0
}

struct Work<'o, 'r> {
    sys: PathBuf,
    source: Source<'o>,
    ring: Ring<'r, io_failure>,
    devices: Devices,
}

impl Work<'_, '_> {
    fn go(mut self, mut running: Running) -> Result<(), ProbeError> {
        loop {
            match running.wait(Some(self.ring.fd())) {
                Wake::Tick(tick) => self.report(tick, &mut running)?,
                Wake::Readable => {
                    let mut batch = Batch::new(SystemTime::now());
                    self.tell(&running, &mut batch)?;
                    running.emit(batch);
                }
                Wake::SubProbes(wanted) => {
                    let tell = tells(&wanted, &running.order().params);
                    let outcome = self.source.apply(&wanted, tell).map_err(failed("attaching"))?;
                    running.report(outcome);
                }
                Wake::Params(params) => {
                    self.source.sample_every(sample_period(&params));
                    let wanted = &running.order().sub_probes;
                    self.source.tell(wanted, tells(wanted, &params));
                }
                // The host as a whole is observed.
                Wake::Scope(_) | Wake::Containers(_) => {}
                Wake::Stop => return Ok(()),
            }
        }
    }

    /// Puts the failures that wait into `out`.
    fn tell(&mut self, running: &Running, out: &mut Batch) -> Result<(), ProbeError> {
        let Self { sys, source, ring, devices } = self;
        let names = Names { find: &|device| devices::find(sys, device), once: &|device| source.name(device) };
        let only = running.order().params.words(&params::DEV_NAME);
        let clock = Clock::now();
        ring.drain(|told| {
            let place = devices.place(told.device, &names);
            if place.is_among(only) {
                out.tell(failure::occurrence(&told, &place, source.numbering(), clock.at(told.at)));
            }
        })
        .map_err(failed("ring"))?;
        Ok(())
    }

    fn report(&mut self, tick: Tick, running: &mut Running) -> Result<(), ProbeError> {
        let mut batch = Batch::new(SystemTime::now());
        batch.close = tick.close();
        batch.skip("late_tick", tick.missed);
        self.tell(running, &mut batch)?;
        let ended = batch.close.map(|_| self.source.close());
        let counts = self.source.counts().map_err(failed("reading requests"))?;
        let pages = self.source.pages().map_err(failed("reading page caches"))?;
        let now = Instant::now();
        let order = running.order();
        let Self { sys, source, devices, .. } = self;
        let names = Names { find: &|device| devices::find(sys, device), once: &|device| source.name(device) };
        devices.count(&counts, ended, &names, now);
        devices.cache(&pages, &names, now);
        let showing = Showing {
            groups: Groups::of(&order.sub_probes),
            gives: source.gives(),
            numbering: source.numbering(),
            only: order.params.words(&params::DEV_NAME),
        };
        let gone = devices.show(&showing, &names, now, &mut batch);
        gone.iter().for_each(|device| source.forget(*device));
        for (reason, count) in self.source.losses().map_err(failed("losses"))? {
            batch.skip(reason, count);
        }
        running.emit(batch);
        running.memory(self.devices.memory());
        Ok(())
    }
}
