//! What the daemon says about itself: the `gopherd_*` and `process_*` families, appended to the cumulative
//! view. Owns their names; leaves the counting to whoever has something to count. Numbers that are counted
//! elsewhere already (a probe's [`Gauges`], a sink's [`SinkCounts`], the store) are read when they are asked
//! for.

mod bpf;
mod budget;
mod containers;
mod delivery;
mod events;
mod process;

use crate::access::Counts;
use crate::containers::{Registry as Containers, Runtimes};
use crate::cost::Costs;
use crate::delivery::Delivery;
use crate::events::Shown as Events;
use crate::expose::Format;
use crate::scope::TrackerCounts;
use crate::sinks::SinkCounts;
use crate::store::{Ingested, Store};
use bpf::BpfMetrics;
use budget::BudgetMetrics;
use containers::ContainerMetrics;
use delivery::DeliveryMetrics;
use events::EventMetrics;
use probe_core::Batch;
use probe_kit::link::{Gauges, IN_FLIGHT};
use process::ProcessMetrics;
pub use process::{Usage, usage as process_usage};
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, Result, TextEncoder,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds that a scrape takes, from a small host on its own to a hundred thousand series compressed.
const SCRAPE_BUCKETS: [f64; 8] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0];

/// All families.
#[derive(Debug)]
pub struct SelfMetrics {
    registry: Registry,
    probe_state: IntGaugeVec,
    probe_cpu: CounterVec,
    sub_probe_cpu: CounterVec,
    sub_probe_series: IntGaugeVec,
    probe_memory: IntGaugeVec,
    probe_restarts: IntCounterVec,
    samples: IntCounterVec,
    lost: IntCounterVec,
    queue_length: IntGaugeVec,
    queue_capacity: IntGaugeVec,
    sink_errors: IntCounterVec,
    scope_targets: IntGaugeVec,
    scope_missed: IntGauge,
    tracker_events: IntCounter,
    reconciles: IntCounter,
    names_left_out: IntGauge,
    series: IntGaugeVec,
    series_limited: IntCounterVec,
    scrape_duration: Histogram,
    containers: ContainerMetrics,
    bpf: BpfMetrics,
    budget: BudgetMetrics,
    events: EventMetrics,
    delivery: DeliveryMetrics,
    http_refused: IntCounterVec,
    certificate_expiry: IntGaugeVec,
    process: ProcessMetrics,
    sources: Mutex<Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    probes: Vec<(&'static str, Arc<Gauges>)>,
    sinks: Vec<(&'static str, Arc<SinkCounts>)>,
    containers: Option<(Containers, Runtimes)>,
    events: Option<Events>,
    delivery: Option<Delivery>,
    costs: Costs,
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: Result<C>) -> Result<C> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

impl SelfMetrics {
    /// All families, and `gopherd_build_info` with these labels. Fails if a label name is not valid.
    pub fn new(build: &[(&str, &str)]) -> Result<Self> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let info = Opts::new("gopherd_build_info", "What this is; always 1.");
        let info = build.iter().fold(info, |info, (name, value)| info.const_label(*name, *value));
        register(&registry, IntGauge::with_opts(info))?.set(1);
        let cpu = Opts::new("gopherd_probe_cpu_seconds_total", "CPU time of the probe's thread.");
        let sub_cpu = Opts::new(
            "gopherd_sub_probe_cpu_seconds_total",
            "CPU time of the probe's thread for the sub-probe: what was spent for it alone, and of the rest a part as \
             large as that of its values.",
        );
        let scrape = HistogramOpts::new("gopherd_scrape_duration_seconds", "Time that a scrape took.")
            .buckets(SCRAPE_BUCKETS.into());
        Ok(Self {
            probe_state: gauges(
                "gopherd_probe_state",
                "1 for the state that the probe is in, 0 for the others.",
                &["probe", "state"],
            )?,
            probe_cpu: register(&registry, CounterVec::new(cpu, &["probe"]))?,
            sub_probe_cpu: register(&registry, CounterVec::new(sub_cpu, &["probe", "sub_probe"]))?,
            sub_probe_series: gauges(
                "gopherd_sub_probe_series",
                "Series of the sub-probe's tables, as of the last ten seconds.",
                &["probe", "sub_probe"],
            )?,
            probe_memory: gauges(
                "gopherd_probe_memory_bytes",
                "Memory that the probe holds for data, by its own account.",
                &["probe"],
            )?,
            probe_restarts: counters(
                "gopherd_probe_restarts_total",
                "Times that the probe was started again after a failure.",
                &["probe"],
            )?,
            samples: counters("gopherd_samples_total", "Values that the probe handed over.", &["probe"])?,
            lost: counters(
                "gopherd_lost_total",
                "What was lost, in units of its stage: things a probe could not read, events of processes, batches \
                 before the pipeline, rows in the store, lines in a sink, events and metadata in delivery.",
                &["stage", "owner", "reason"],
            )?,
            queue_length: gauges("gopherd_queue_length", "What waits in the queue now.", &["queue"])?,
            queue_capacity: gauges("gopherd_queue_capacity", "What the queue takes.", &["queue"])?,
            sink_errors: counters("gopherd_sink_errors_total", "Failed attempts to write.", &["sink"])?,
            scope_targets: gauges(
                "gopherd_scope_targets",
                "Processes or containers that the probe's selectors choose now.",
                &["probe", "kind"],
            )?,
            scope_missed: register(
                &registry,
                IntGauge::new(
                    "gopherd_scope_missed_processes",
                    "Processes that the last look at /proc could not take in: unreadable, or more than are kept.",
                ),
            )?,
            tracker_events: register(
                &registry,
                IntCounter::new(
                    "gopherd_tracker_events_total",
                    "Execs, forks, ends, new names and moves of processes that the process tracker told.",
                ),
            )?,
            reconciles: register(
                &registry,
                IntCounter::new(
                    "gopherd_scope_reconciles_total",
                    "Looks at all of /proc because the process tracker had lost something.",
                ),
            )?,
            names_left_out: register(
                &registry,
                IntGauge::new(
                    "gopherd_scope_names_left_out",
                    "Names that the kernel has no room for: their processes are in scope a moment after their exec.",
                ),
            )?,
            series: gauges("gopherd_series", "Series that are shown now.", &["probe"])?,
            series_limited: counters(
                "gopherd_series_limited_total",
                "Series that the limits kept out.",
                &["probe"],
            )?,
            scrape_duration: register(&registry, Histogram::with_opts(scrape))?,
            containers: ContainerMetrics::new(&registry)?,
            bpf: BpfMetrics::new(&registry)?,
            budget: BudgetMetrics::new(&registry)?,
            events: EventMetrics::new(&registry)?,
            delivery: DeliveryMetrics::new(&registry)?,
            http_refused: counters(
                "gopherd_http_refused_total",
                "Requests and connections that were refused, before anything was done about them.",
                &["listener", "reason"],
            )?,
            certificate_expiry: gauges(
                "gopherd_tls_certificate_expiry_timestamp_seconds",
                "When the listener's certificate ends.",
                &["listener"],
            )?,
            process: ProcessMetrics::new(&registry)?,
            sources: Mutex::default(),
            registry,
        })
    }

    /// From now on shows cost, queue and losses of `probe`.
    pub fn watch_probe(&self, probe: &'static str, gauges: Arc<Gauges>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.probes.retain(|(known, _)| *known != probe);
        sources.probes.push((probe, gauges));
    }

    /// From now on shows queue, errors and losses of `sink`.
    pub fn watch_sink(&self, sink: &'static str, counts: Arc<SinkCounts>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.sinks.retain(|(known, _)| *known != sink);
        sources.sinks.push((sink, counts));
    }

    /// From now on shows the containers that are known and the runtimes that tell about them.
    pub fn watch_containers(&self, known: Containers, runtimes: Runtimes) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.containers = Some((known, runtimes));
    }

    /// From now on shows what became of events, and the live stream.
    pub fn watch_events(&self, events: Events) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).events = Some(events);
    }

    /// From now on shows what sub-probes cost.
    pub fn watch_costs(&self, costs: Costs) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).costs = costs;
    }

    /// From now on shows what waits to be delivered, and what became of it.
    pub fn watch_delivery(&self, delivery: Delivery) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).delivery = Some(delivery);
    }

    /// The probe is in `state` now, which is one of `states`.
    pub fn set_probe_state(&self, probe: &str, state: &str, states: &[&str]) {
        for each in states {
            self.probe_state.with_label_values(&[probe, each]).set(i64::from(*each == state));
        }
    }

    /// The probe's budget has taken so many `steps` by now, by name, and `level` of them are in force.
    pub fn set_budget(&self, probe: &str, steps: &BTreeMap<&'static str, u64>, level: usize) {
        self.budget.set(probe, steps, level);
    }

    /// The probe was started again after a failure, `restarts` times by now.
    pub fn set_restarts(&self, probe: &str, restarts: u64) {
        raise(&self.probe_restarts.with_label_values(&[probe]), restarts);
    }

    /// The probe's selectors choose `targets` of `kind` (`process`, `container`) now.
    pub fn set_scope_targets(&self, probe: &str, kind: &str, targets: usize) {
        self.scope_targets.with_label_values(&[probe, kind]).set(gauge(targets));
    }

    /// The last look at /proc left out so many processes.
    pub fn set_scope_missed(&self, processes: usize) {
        self.scope_missed.set(gauge(processes));
    }

    /// What the process tracker told and lost by now.
    pub fn set_tracker(&self, counts: TrackerCounts) {
        raise(&self.tracker_events, counts.events);
        raise(&self.reconciles, counts.reconciles);
        self.set_lost("tracker", "scope", "ring_full", counts.lost.ring_full);
        self.set_lost("tracker", "scope", "skipped", counts.lost.skipped);
        self.set_lost("tracker", "scope", "early_displaced", counts.lost.early);
        self.names_left_out.set(gauge(usize::try_from(counts.names_left_out).unwrap_or(usize::MAX)));
    }

    /// So many were lost by now, counted elsewhere; `reason` is a short constant.
    pub fn set_lost(&self, stage: &str, owner: &str, reason: &str, total: u64) {
        if total > 0 {
            raise(&self.lost.with_label_values(&[stage, owner, reason]), total);
        }
    }

    /// What the doors have refused by now, and until when their certificates hold.
    pub fn set_access(&self, counts: &Counts) {
        for (listener, reason, count) in counts.read() {
            raise(&self.http_refused.with_label_values(&[listener.text(), reason.text()]), count);
        }
        for (listener, until) in counts.expiries() {
            self.certificate_expiry.with_label_values(&[listener.text()]).set(until);
        }
    }

    /// Queue `queue` holds `length` of at most `capacity`.
    pub fn set_queue(&self, queue: &str, length: usize, capacity: usize) {
        self.queue_length.with_label_values(&[queue]).set(gauge(length));
        self.queue_capacity.with_label_values(&[queue]).set(gauge(capacity));
    }

    /// `count` were lost; `reason` is a short constant.
    pub fn count_lost(&self, stage: &str, owner: &str, reason: &str, count: u64) {
        if count > 0 {
            self.lost.with_label_values(&[stage, owner, reason]).inc_by(count);
        }
    }

    /// A batch went through the pipeline: what its probe left out, and what the store did not take. Series
    /// over the limit are counted by the store itself.
    pub fn count_batch(&self, probe: &str, batch: &Batch, ingested: &Ingested) {
        batch.skipped().iter().for_each(|(reason, count)| self.count_lost("probe", probe, reason, *count));
        self.count_lost("store", probe, "unknown_subject", ingested.unknown_subject);
        self.count_lost("store", probe, "duplicate", ingested.duplicates);
        let late = if ingested.late { batch.rows().len() } else { 0 };
        self.count_lost("store", probe, "late", late as u64);
    }

    /// What the owners that `of` chooses have lost by now, by `stage/reason`. The queues of probes are left
    /// out: whoever asks for a probe has its [`Gauges`].
    pub fn lost(&self, of: impl Fn(&str) -> bool) -> BTreeMap<String, u64> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.sinks.iter().for_each(|(sink, counts)| self.read_sink(sink, counts));
        if let Some(events) = &sources.events {
            self.read_events(events);
        }
        if let Some(delivery) = &sources.delivery {
            self.delivery.read(delivery, self);
        }
        drop(sources);
        let mut lost = BTreeMap::new();
        for metric in self.lost.collect().iter().flat_map(|family| family.get_metric()) {
            let label = |name: &str| {
                metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
            };
            let stage = label("stage");
            if stage != "pipeline" && of(label("owner")) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // a counter of whole things
                let count = metric.get_counter().get_value() as u64;
                *lost.entry(format!("{stage}/{}", label("reason"))).or_default() += count;
            }
        }
        lost
    }

    /// A scrape took so long.
    pub fn observe_scrape(&self, duration: std::time::Duration) {
        self.scrape_duration.observe(duration.as_secs_f64());
    }

    /// Appends all families. Comes after the store's own and before [`crate::expose::finish`].
    pub fn write(&self, store: &Store, format: Format, out: &mut Vec<u8>) {
        // Two scrapers at a time would both raise a counter to the same value.
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        for (probe, gauges) in &sources.probes {
            self.read_probe(probe, gauges);
            for sub in sources.costs.of(probe).unwrap_or_default().sub_probes {
                self.sub_probe_series.with_label_values(&[probe, sub.name]).set(gauge(sub.series));
            }
        }
        sources.sinks.iter().for_each(|(sink, counts)| self.read_sink(sink, counts));
        if let Some((known, runtimes)) = &sources.containers {
            self.containers.read(known, runtimes);
        }
        if let Some(events) = &sources.events {
            self.read_events(events);
        }
        if let Some(delivery) = &sources.delivery {
            self.delivery.read(delivery, self);
        }
        for feature in store.stats().features {
            self.series.with_label_values(&[feature.feature]).set(gauge(feature.series));
            raise(&self.series_limited.with_label_values(&[feature.feature]), feature.limited_total);
        }
        self.bpf.read();
        self.process.read();
        let mut text = Vec::new();
        // Encoding into memory fails only for a family without samples, which the registry leaves out.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "self metrics are missing from this scrape");
            return;
        }
        drop(sources);
        match format {
            Format::Text => out.extend_from_slice(&text),
            Format::OpenMetrics => text.split_inclusive(|b| *b == b'\n').for_each(|line| open(line, out)),
        }
    }

    fn read_probe(&self, probe: &str, gauges: &Gauges) {
        raise_seconds(&self.probe_cpu.with_label_values(&[probe]), ns_to_seconds(&gauges.cpu_ns));
        for (sub_probe, cpu) in gauges.sub_probe_cpu() {
            raise_seconds(&self.sub_probe_cpu.with_label_values(&[probe, sub_probe]), cpu.as_secs_f64());
        }
        self.probe_memory.with_label_values(&[probe]).set(gauge64(&gauges.memory_bytes));
        raise(&self.samples.with_label_values(&[probe]), gauges.samples.load(Relaxed));
        let dropped = gauges.dropped.load(Relaxed);
        self.set_lost("pipeline", probe, "queue_full", dropped);
        let queue = format!("pipeline/{probe}");
        self.queue_length.with_label_values(&[&queue]).set(gauge(gauges.in_flight()));
        self.queue_capacity.with_label_values(&[&queue]).set(gauge(IN_FLIGHT));
    }

    fn read_events(&self, events: &Events) {
        self.events.read(events);
        self.set_queue("events", events.waiting(), crate::events::QUEUE);
        for (feature, counts) in events.counts.read() {
            self.set_lost("events", feature, "queue_full", counts.queue_full);
            self.set_lost("events", feature, "row_limit", counts.row_limit);
            self.set_lost("events", feature, "budget", counts.over_budget);
        }
    }

    fn read_sink(&self, sink: &str, counts: &SinkCounts) {
        raise(&self.sink_errors.with_label_values(&[sink]), counts.errors.load(Relaxed));
        for (reason, count) in [("queue_full", &counts.dropped), ("write_failed", &counts.failed)] {
            self.set_lost("sink", sink, reason, count.load(Relaxed));
        }
        let queue = format!("sink/{sink}");
        self.queue_length.with_label_values(&[&queue]).set(gauge64(&counts.waiting));
        self.queue_capacity.with_label_values(&[&queue]).set(gauge(SinkCounts::CAPACITY));
    }
}

/// Appends a line of text format as OpenMetrics: there a counter is announced without `_total`, and every
/// family here that ends in it is a counter.
fn open(line: &[u8], out: &mut Vec<u8>) {
    let name_end = line.iter().enumerate().filter(|(_, b)| **b == b' ').nth(2).map_or(0, |(at, _)| at);
    let (head, rest) = line.split_at(name_end);
    let comment = head.starts_with(b"# ");
    out.extend_from_slice(head.strip_suffix(b"_total").filter(|_| comment).unwrap_or(head));
    out.extend_from_slice(rest);
}

fn gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn gauge64(value: &AtomicU64) -> i64 {
    gauge(value.load(Relaxed))
}

/// Makes a counter say what was counted elsewhere.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn raise_seconds(counter: &Counter, to: f64) {
    counter.inc_by((to - counter.get()).max(0.0));
}

#[allow(clippy::cast_precision_loss)] // exact up to 104 days of CPU time, to the microsecond beyond
fn ns_to_seconds(ns: &AtomicU64) -> f64 {
    ns.load(Relaxed) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Listener, Reason};
    use crate::expose::strict::{self, Parsed};
    use crate::store::tests::{Driver, FEATURE, flow};
    use probe_core::{Baseline::Zero, Subject::Host};

    fn shown(metrics: &SelfMetrics, store: &Store, format: Format) -> Parsed {
        let mut out = Vec::new();
        store.write_cumulative(format, &mut out);
        metrics.write(store, format, &mut out);
        crate::expose::finish(format, &mut out);
        strict::parse(format, &String::from_utf8(out).expect("UTF-8"))
    }

    fn busy() -> (SelfMetrics, Driver) {
        let metrics = SelfMetrics::new(&[("version", "1.2.3")]).expect("valid");
        let mut driver = Driver::limited(3);
        let tally = driver.send(|batch| {
            batch.push(Host, Zero, flow("a", 1));
            batch.push(Host, Zero, flow("b", 1));
        });
        let mut batch = Batch::new(std::time::SystemTime::now());
        batch.skip("late_tick", 4);
        metrics.count_batch(FEATURE, &batch, &Ingested { unknown_subject: 2, ..tally });
        let gauges = Arc::<Gauges>::default();
        gauges.cpu_ns.store(1_500_000_000, Relaxed);
        gauges.samples.store(7, Relaxed);
        gauges.dropped.store(1, Relaxed);
        metrics.watch_probe(FEATURE, gauges);
        let counts = Arc::<SinkCounts>::default();
        counts.errors.store(3, Relaxed);
        counts.dropped.store(9, Relaxed);
        metrics.watch_sink("json", counts);
        metrics.set_probe_state(FEATURE, "running", &["stopped", "running"]);
        metrics.set_restarts(FEATURE, 1);
        metrics.set_budget(FEATURE, &BTreeMap::from([("period", 2)]), 1);
        metrics.set_scope_targets(FEATURE, "process", 12);
        let lost = probe_kit::tracker::Lost { ring_full: 5, skipped: 0, early: 6 };
        metrics.set_tracker(TrackerCounts { events: 70, lost, reconciles: 2, names_left_out: 8 });
        metrics.set_queue("pipeline", 1, 256);
        let counts = Counts::default();
        counts.refused(Listener::Rest, Reason::Rate);
        counts.set_expiry(Listener::Metrics, 1_900_000_000);
        metrics.set_access(&counts);
        metrics.observe_scrape(std::time::Duration::from_millis(3));
        let known = Containers::default();
        known.started(crate::containers::ContainerId::new("demo").expect("an id"), 1);
        metrics.watch_containers(known, Runtimes::default());
        metrics.watch_events(Events::default());
        (metrics, driver)
    }

    #[test]
    fn every_number_is_shown_under_its_name_however_often_it_is_asked_for() {
        let (metrics, driver) = busy();
        for format in [Format::Text, Format::OpenMetrics, Format::Text] {
            let parsed = shown(&metrics, &driver.store, format);
            for (name, labels, value) in [
                ("gopherd_build_info", &[("version", "1.2.3")][..], 1.0),
                ("gopherd_probe_state", &[("probe", FEATURE), ("state", "running")], 1.0),
                ("gopherd_probe_state", &[("probe", FEATURE), ("state", "stopped")], 0.0),
                ("gopherd_probe_cpu_seconds_total", &[("probe", FEATURE)], 1.5),
                ("gopherd_probe_restarts_total", &[("probe", FEATURE)], 1.0),
                ("gopherd_budget_steps_total", &[("probe", FEATURE), ("step", "period")], 2.0),
                ("gopherd_budget_level", &[("probe", FEATURE)], 1.0),
                ("gopherd_samples_total", &[("probe", FEATURE)], 7.0),
                ("gopherd_lost_total", &[("stage", "probe"), ("reason", "late_tick")], 4.0),
                ("gopherd_lost_total", &[("stage", "store"), ("reason", "unknown_subject")], 2.0),
                ("gopherd_lost_total", &[("stage", "pipeline"), ("owner", FEATURE)], 1.0),
                ("gopherd_lost_total", &[("stage", "sink"), ("owner", "json")], 9.0),
                ("gopherd_sink_errors_total", &[("sink", "json")], 3.0),
                ("gopherd_scope_targets", &[("probe", FEATURE), ("kind", "process")], 12.0),
                ("gopherd_tracker_events_total", &[], 70.0),
                ("gopherd_scope_reconciles_total", &[], 2.0),
                ("gopherd_lost_total", &[("stage", "tracker"), ("reason", "ring_full")], 5.0),
                ("gopherd_lost_total", &[("stage", "tracker"), ("reason", "early_displaced")], 6.0),
                ("gopherd_scope_names_left_out", &[], 8.0),
                ("gopherd_queue_capacity", &[("queue", "pipeline")], 256.0),
                ("gopherd_series", &[("probe", FEATURE)], 5.0),
                ("gopherd_series_limited_total", &[("probe", FEATURE)], 3.0),
                ("gopherd_containers", &[("runtime", "unknown")], 1.0),
                ("gopherd_containers_started_total", &[("runtime", "unknown")], 1.0),
                ("gopherd_event_followers", &[], 0.0),
                ("gopherd_event_followers_cut_off_total", &[], 0.0),
                ("gopherd_events_kept", &[], 0.0),
                ("gopherd_queue_capacity", &[("queue", "events")], 16_384.0),
                ("gopherd_scrape_duration_seconds_count", &[], 1.0),
                ("gopherd_http_refused_total", &[("listener", "rest"), ("reason", "rate")], 1.0),
                (
                    "gopherd_tls_certificate_expiry_timestamp_seconds",
                    &[("listener", "metrics")],
                    1_900_000_000.0,
                ),
            ] {
                assert_eq!(parsed.value(name, labels), Some(value), "{name} {labels:?}");
            }
            for name in ["process_resident_memory_bytes", "process_open_fds", "process_threads"] {
                assert!(parsed.value(name, &[]).is_some_and(|value| value > 0.0), "{name}");
            }
        }
    }

    #[test]
    fn counters_and_nothing_else_end_in_total() {
        let (metrics, driver) = busy();
        let parsed = shown(&metrics, &driver.store, Format::Text);
        for (name, (kind, _)) in parsed.families.iter().filter(|(name, _)| !name.starts_with("gala_gopher")) {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        }
    }

    #[test]
    fn promtool_finds_nothing_at_all() {
        let (metrics, driver) = busy();
        let mut out = Vec::new();
        metrics.write(&driver.store, Format::Text, &mut out);
        if let Some(findings) = crate::expose::tests::promtool(&out) {
            assert_eq!(findings, [""; 0]);
        }
    }
}
