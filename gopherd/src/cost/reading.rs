//! What was counted of a feature by one moment, and what it costs between two of them. Pure.

use super::{FeatureCost, SubProbeCost};
use probe_kit::bpf::meter::ProgramCost;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// All that the feature has, in the descriptor's order.
    pub(super) sub_probes: Vec<&'static str>,
    /// Those that run.
    pub(super) running: Vec<&'static str>,
    pub(super) cpu_ns: u64,
    pub(super) sub_probe_cpu: BTreeMap<&'static str, Duration>,
    pub(super) samples: u64,
    pub(super) events: u64,
    pub(super) event_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) map_bytes: u64,
    /// Run time of all its programs in a second.
    pub(super) bpf: Option<Duration>,
    pub(super) programs: Vec<ProgramCost>,
    pub(super) series: u64,
    pub(super) sub_probe_series: BTreeMap<&'static str, u64>,
}

/// The cost between two moments; without the first one there are no rates.
pub(super) fn between(before: Option<&Reading>, now: &Reading) -> FeatureCost {
    let passed = before.map(|before| now.at.saturating_duration_since(before.at).as_secs_f64());
    let passed = passed.filter(|passed| *passed > 0.0);
    #[allow(clippy::cast_precision_loss)] // rates
    let rate = |count: fn(&Reading) -> u64| Some(count(now).saturating_sub(count(before?)) as f64 / passed?);
    let cpu_of = |name: &str| {
        let spent = now.sub_probe_cpu.get(name).copied().unwrap_or_default();
        let earlier = before?.sub_probe_cpu.get(name).copied().unwrap_or_default();
        Some(spent.saturating_sub(earlier).as_secs_f64() / passed?)
    };
    let sub_probe = |name: &&'static str| SubProbeCost {
        name,
        cpu: cpu_of(name),
        bpf: bpf_of(name, now),
        series: now.sub_probe_series.get(name).copied().unwrap_or(0),
    };
    FeatureCost {
        cpu: rate(|reading| reading.cpu_ns).map(|ns| ns / 1e9),
        bpf: now.bpf.map(|time| time.as_secs_f64()),
        memory_bytes: now.memory_bytes,
        map_bytes: now.map_bytes,
        series: now.series,
        events_per_s: rate(|reading| reading.events),
        event_bytes_per_s: rate(|reading| reading.event_bytes),
        samples_per_s: rate(|reading| reading.samples),
        sub_probes: now.sub_probes.iter().map(sub_probe).collect(),
    }
}

/// Its part of the programs that are for it: of each as much as every other sub-probe that runs and uses it has.
fn bpf_of(name: &str, now: &Reading) -> Option<f64> {
    let mut sum = None;
    for program in now.programs.iter().filter(|program| program.sub_probes.contains(&name)) {
        let runs = |name: &&&str| now.running.contains(*name);
        let users = program.sub_probes.iter().filter(runs).count();
        let Some(time) = program.run_time_per_s else { continue };
        let part = if users > 0 && now.running.contains(&name) { 1.0 / users as f64 } else { 0.0 };
        *sum.get_or_insert(0.0) += time.as_secs_f64() * part;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: Instant, cpu_ms: u64, a: u64, b: u64) -> Reading {
        Reading {
            at,
            sub_probes: vec!["a", "b"],
            running: vec!["a", "b"],
            cpu_ns: cpu_ms * 1_000_000,
            sub_probe_cpu: BTreeMap::from([("a", Duration::from_millis(a)), ("b", Duration::from_millis(b))]),
            samples: cpu_ms,
            events: a,
            event_bytes: 700 * a,
            memory_bytes: 1,
            map_bytes: 2,
            bpf: Some(Duration::from_millis(30)),
            programs: Vec::new(),
            series: 7,
            sub_probe_series: BTreeMap::from([("b", 7)]),
        }
    }

    fn program(sub_probes: &[&'static str], ms: Option<u64>) -> ProgramCost {
        ProgramCost {
            owner: "x",
            sub_probes: sub_probes.to_vec(),
            run_time_per_s: ms.map(Duration::from_millis),
        }
    }

    #[test]
    fn rates_are_of_the_time_between_and_unknown_before_it() {
        let at = Instant::now();
        let first = reading(at, 100, 10, 20);
        let cost = between(None, &first);
        assert_eq!((cost.cpu, cost.samples_per_s, cost.series, cost.map_bytes), (None, None, 7, 2));
        assert_eq!(cost.sub_probes[0].cpu, None);
        let cost = between(Some(&first), &reading(at + Duration::from_secs(10), 1100, 310, 520));
        assert_eq!((cost.cpu, cost.samples_per_s, cost.events_per_s), (Some(0.1), Some(100.0), Some(30.0)));
        assert_eq!(cost.event_bytes_per_s, Some(21_000.0));
        let parts: Vec<_> = cost.sub_probes.iter().map(|sub| (sub.name, sub.cpu, sub.series)).collect();
        assert_eq!(parts, [("a", Some(0.03), 0), ("b", Some(0.05), 7)]);
        let same = between(Some(&first), &first);
        assert_eq!((same.cpu, same.events_per_s), (None, None), "no time has passed");
    }

    #[test]
    fn a_program_that_several_use_is_divided_among_those_that_run() {
        let mut now = reading(Instant::now(), 0, 0, 0);
        now.programs =
            vec![program(&["a"], Some(10)), program(&["a", "b"], Some(20)), program(&["c"], Some(5))];
        assert_eq!((bpf_of("a", &now), bpf_of("b", &now)), (Some(0.02), Some(0.01)));
        now.running = vec!["a"];
        assert_eq!((bpf_of("a", &now), bpf_of("b", &now)), (Some(0.03), Some(0.0)));
        assert_eq!(bpf_of("d", &now), None, "no program is for it");
        now.programs = vec![program(&["a"], None)];
        assert_eq!(bpf_of("a", &now), None, "nothing was measured yet");
    }
}
