//! What features and the daemon cost, from the numbers that each part keeps of itself: a rate is what came on since the
//! last look.

use super::watch::{Cost, DaemonCost};
use crate::cost::{Costs, FeatureCost};
use crate::events::Counts;
use crate::manager::Views;
use crate::selfmetrics::process_usage;
use crate::store::Store;
use probe_kit::bpf::meter;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Counters at the last look.
type Last = (Instant, [u64; 3]);

/// The cost of one feature after the other; rates are of the time between two looks, those of sub-probes as they were
/// sampled last.
pub fn of_features(views: Views, store: Arc<Store>, events: Counts, costs: Costs) -> Cost {
    let last: Mutex<HashMap<&'static str, Last>> = Mutex::default();
    Box::new(move |feature| {
        let view = views.get(feature)?;
        let told = events.read().into_iter().find(|(name, _)| *name == feature);
        let told = told.map_or(0, |(_, counts)| counts.events);
        let gauges = &view.gauges;
        let counters = [gauges.cpu_ns.load(Relaxed), told, gauges.samples.load(Relaxed)];
        let now = (Instant::now(), counters);
        let before = last.lock().unwrap_or_else(PoisonError::into_inner).insert(feature, now);
        let rates = before.map(|before| rates(before, now));
        let bpf = meter::owners().remove(feature).unwrap_or_default();
        let series = store.stats().features.iter().find(|of| of.feature == feature).map_or(0, |of| of.series);
        let sampled = costs.of(feature).unwrap_or_default();
        Some(FeatureCost {
            cpu: rates.map(|[cpu_ns, ..]| cpu_ns / 1e9),
            bpf: bpf.run_time_per_s.map(|run_time| run_time.as_secs_f64()),
            memory_bytes: gauges.memory_bytes.load(Relaxed),
            map_bytes: bpf.map_bytes,
            series: series as u64,
            events_per_s: rates.map(|[_, told, _]| told),
            event_bytes_per_s: sampled.event_bytes_per_s,
            samples_per_s: rates.map(|[.., samples]| samples),
            sub_probes: sampled.sub_probes,
        })
    })
}

/// The cost of the process and of all BPF programs and maps.
pub fn of_daemon() -> DaemonCost {
    let last: Mutex<Option<Last>> = Mutex::default();
    Box::new(move || {
        let usage = process_usage();
        let bpf = meter::owners();
        let now = usage.cpu_ns.map(|ns| (Instant::now(), [ns, 0, 0]));
        let before = std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), now);
        let process = before.zip(now).map(|(before, now)| rates(before, now)[0] / 1e9);
        let programs: f64 =
            bpf.values().filter_map(|cost| cost.run_time_per_s).map(|run_time| run_time.as_secs_f64()).sum();
        let maps: u64 = bpf.values().map(|cost| cost.map_bytes).sum();
        (process.map(|process| process + programs), usage.resident_bytes.unwrap_or(0).saturating_add(maps))
    })
}

/// What each counter came on in a second.
#[allow(clippy::cast_precision_loss)] // what came on between two looks
fn rates((then, before): Last, (now, after): Last) -> [f64; 3] {
    let seconds = now.saturating_duration_since(then).as_secs_f64().max(1e-3);
    let mut rates = [0.0; 3];
    for (rate, (after, before)) in rates.iter_mut().zip(after.into_iter().zip(before)) {
        *rate = after.saturating_sub(before) as f64 / seconds;
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_is_what_came_on_in_a_second_and_never_below_0() {
        let then = Instant::now();
        let now = then + Duration::from_secs(2);
        assert_eq!(rates((then, [10, 5, 7]), (now, [30, 5, 3])), [10.0, 0.0, 0.0]);
        assert!(rates((then, [0; 3]), (then, [1; 3]))[0].is_finite());
    }
}
