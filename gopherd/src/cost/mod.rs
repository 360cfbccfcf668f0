//! What each feature costs, sampled every [`PERIOD`] of counters that others keep: the probe's thread and its sub-probes
//! ([`probe_kit::link::Gauges`]), BPF programs and maps ([`probe_kit::bpf::meter`]), the store and the events.
//!
//! Owns rates; leaves counting to these, and what is done about a cost to whoever asks.

mod feature_cost;
mod reading;

pub use feature_cost::{FeatureCost, SubProbeCost};

use crate::events;
use crate::manager::Views;
use crate::store::Store;
use probe_kit::bpf::meter;
use reading::{Reading, between};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Rates are over so long.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The last sample of every feature that this version has. Everybody may hold one.
#[derive(Clone, Debug, Default)]
pub struct Costs(Arc<RwLock<HashMap<&'static str, FeatureCost>>>);

impl Costs {
    /// What `feature` costs; `None` for one that is not sampled, and before the first sample. What its programs and maps
    /// take is of this moment.
    pub fn of(&self, feature: &str) -> Option<FeatureCost> {
        let mut cost = self.0.read().unwrap_or_else(PoisonError::into_inner).get(feature).cloned()?;
        let owner = meter::owners().remove(feature).unwrap_or_default();
        cost.map_bytes = owner.map_bytes;
        cost.bpf = owner.run_time_per_s.map(|time| time.as_secs_f64());
        Some(cost)
    }

    /// Samples as long as the daemon runs.
    pub(crate) async fn sample(self, views: Views, store: Arc<Store>, counts: events::Counts) {
        let mut before: HashMap<&'static str, Reading> = HashMap::new();
        let mut ticks = tokio::time::interval(PERIOD);
        // A host that slept has missed some; they are not made up for.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now: HashMap<_, _> = readings(&views, &store, &counts).collect();
            let costs =
                now.iter().map(|(feature, now)| (*feature, between(before.get(feature), now))).collect();
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = costs;
            before = now;
        }
    }
}

/// What has been counted by now, of each feature that is built.
fn readings<'a>(
    views: &'a Views,
    store: &'a Store,
    counts: &'a events::Counts,
) -> impl Iterator<Item = (&'static str, Reading)> + 'a {
    let at = Instant::now();
    let (programs, owners) = (meter::programs(), meter::owners());
    let (stats, told) = (store.stats(), counts.read());
    let built = views.all().filter(|view| view.descriptor.build.is_some());
    built.map(move |view| {
        let feature = view.descriptor.name;
        let own = programs.iter().filter(|program| program.owner == feature);
        let series = stats.features.iter().find(|stats| stats.feature == feature);
        let told =
            told.iter().find(|(name, _)| *name == feature).map(|(_, counts)| *counts).unwrap_or_default();
        let reading = Reading {
            at,
            sub_probes: view.descriptor.sub_probes.iter().map(|sub| sub.name).collect(),
            running: view.sub_probes.iter().filter(|sub| sub.running).map(|sub| sub.name).collect(),
            cpu_ns: view.gauges.cpu_ns.load(Relaxed),
            sub_probe_cpu: view.gauges.sub_probe_cpu(),
            samples: view.gauges.samples.load(Relaxed),
            events: told.events,
            event_bytes: told.bytes,
            memory_bytes: view.gauges.memory_bytes.load(Relaxed),
            map_bytes: owners.get(feature).map_or(0, |owner| owner.map_bytes),
            bpf: owners.get(feature).and_then(|owner| owner.run_time_per_s),
            programs: own.cloned().collect(),
            series: series.map_or(0, |stats| stats.series as u64),
            sub_probe_series: store.series_by_sub_probe(feature),
        };
        (feature, reading)
    })
}
