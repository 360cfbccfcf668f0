//! A feature's picture as the native documents. Pure: from the manager's view and the numbers that others know.

use super::parts::Parts;
use crate::budget::{Figures, Step, Taken};
use crate::cost::FeatureCost;
use crate::feature::{FeatureConfig, Wanted, native_document};
use crate::manager::{Changed, FeatureView, StateName, SubProbeView};
use gopher_api::{
    Applied, BudgetLimits, BudgetMeasured, BudgetStatus, BudgetStep, Cost, ParamDocument, ParamType,
    ProbeConfig, ProbeDocument, ProbeItem, ProbeState, ScopeDocument, Status, SubProbeCost, SubProbeItem,
    SubProbeState, SubProbeStatus, TableDocument, Targets, TriggerDocument,
};
use probe_core::params::TextRule;
use probe_core::{Column, ParamKind, ParamSpec, ScopeUse, SubProbe, Table, Trigger};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// What the view does not know: what other parts of the daemon hold for the feature.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) targets: Targets,
    pub(super) series: u64,
    pub(super) lost: BTreeMap<String, u64>,
    pub(super) budget: Option<Figures>,
    pub(super) cost: Option<FeatureCost>,
}

impl Beside {
    pub(super) fn of(parts: &Parts, view: &FeatureView) -> Self {
        let feature = view.descriptor.name;
        Self {
            targets: parts.targets.counts(feature),
            series: parts.metrics.series(feature),
            lost: parts.metrics.lost(feature),
            budget: parts.metrics.budget(feature),
            cost: parts.metrics.cost(feature),
        }
    }
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

pub(super) fn state(name: StateName) -> ProbeState {
    match name {
        StateName::Stopped => ProbeState::Stopped,
        StateName::Starting => ProbeState::Starting,
        StateName::Running => ProbeState::Running,
        StateName::Degraded => ProbeState::Degraded,
        StateName::Failed => ProbeState::Failed,
        StateName::Stopping => ProbeState::Stopping,
        StateName::Unavailable => ProbeState::Unavailable,
    }
}

/// How the feature fares.
pub(super) fn status(view: &FeatureView, beside: Beside) -> Status {
    let sub_probes = view.sub_probes.iter().map(|sub| SubProbeStatus {
        name: sub.name.to_owned(),
        state: if sub.running { SubProbeState::Running } else { SubProbeState::Unsupported },
        missing: sub.missing.clone(),
    });
    let restrained = view.restraint.steps().iter().filter_map(|taken| match taken.step {
        Step::Without(name) => Some(SubProbeStatus {
            name: name.to_owned(),
            state: SubProbeState::Restrained,
            missing: vec![format!("switched off by its budget: {}", taken.reason)],
        }),
        Step::Period(_) | Step::Stop => None,
    });
    Status {
        state: state(view.state),
        since: rfc3339(view.since),
        error: view.error.clone(),
        attempts: (view.attempts > 0).then_some(view.attempts),
        retry_at: view.retry_at.map(rfc3339),
        sub_probes: sub_probes.chain(restrained).collect(),
        targets: beside.targets,
        samples: view.gauges.samples.load(Ordering::Relaxed),
        lost: lost(view, beside.lost),
        series: beside.series,
        cost: cost(view, beside.cost.unwrap_or_default()),
        budget: budget(view, beside.budget),
    }
}

/// What is limited, and what follows from it; `None` where neither is.
fn budget(view: &FeatureView, figures: Option<Figures>) -> Option<BudgetStatus> {
    let limits = figures.map(|figures| figures.limits).unwrap_or_default();
    let status = BudgetStatus {
        limit: BudgetLimits {
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            series: limits.series,
            events_per_s: limits.events_per_s,
        },
        measured: figures.map(|figures| BudgetMeasured {
            cpu: figures.cpu,
            memory_bytes: figures.memory_bytes,
            series: figures.series,
            events_per_s: figures.events_per_s,
        }),
        steps: view.restraint.steps().iter().map(budget_step).collect(),
    };
    (status.limit != BudgetLimits::default() || !status.steps.is_empty()).then_some(status)
}

fn budget_step(taken: &Taken) -> BudgetStep {
    BudgetStep {
        step: taken.step.name().to_owned(),
        what: taken.step.to_string(),
        reason: taken.reason.clone(),
        since: rfc3339(taken.since),
    }
}

/// What is lost on the way is counted by others; what the probe's own queue lost is in its gauges.
fn lost(view: &FeatureView, mut later: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    later.insert("queue".to_owned(), view.gauges.dropped.load(Ordering::Relaxed));
    later
}

fn cost(view: &FeatureView, sampled: FeatureCost) -> Cost {
    let sub_probes = sampled.sub_probes.iter().map(|sub| SubProbeCost {
        name: sub.name.to_owned(),
        cpu_ns_per_s: sub.cpu.map(ns_per_s),
        bpf_ns_per_s: sub.bpf.map(ns_per_s),
        series: sub.series,
    });
    Cost {
        cpu_ns: Some(view.gauges.cpu_ns.load(Ordering::Relaxed)),
        cpu_ns_per_s: sampled.cpu.map(ns_per_s),
        memory_bytes: Some(view.gauges.memory_bytes.load(Ordering::Relaxed)),
        bpf_ns_per_s: sampled.bpf.map(ns_per_s),
        map_bytes: Some(sampled.map_bytes).filter(|bytes| *bytes > 0),
        samples_per_s: sampled.samples_per_s,
        events_per_s: sampled.events_per_s,
        event_bytes_per_s: sampled.event_bytes_per_s,
        sub_probes: sub_probes.collect(),
    }
}

/// Of cores.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is not negative
fn ns_per_s(cores: f64) -> u64 {
    (cores * 1e9).round() as u64
}

/// The probe document. A feature that was never configured shows what an empty PUT would make of it.
pub(super) fn probe(view: &FeatureView, beside: Beside, warnings: Vec<String>) -> ProbeDocument {
    ProbeDocument {
        feature: view.descriptor.name.to_owned(),
        generation: view.generation,
        config: config(view),
        status: status(view, beside),
        warnings,
    }
}

fn config(view: &FeatureView) -> ProbeConfig {
    let never = FeatureConfig { state: Wanted::Stopped, ..FeatureConfig::default() };
    let config = native_document(view.config.as_ref().unwrap_or(&never));
    serde_json::from_value(config).unwrap_or_else(|error| {
        tracing::error!(%error, feature = view.descriptor.name, "a configuration has no document");
        ProbeConfig::default()
    })
}

/// What became of a change, or would have; `now` is the feature as it is, and `sampled` what it costs while it runs.
pub(super) fn applied(
    changed: Changed,
    now: &FeatureView,
    dry_run: bool,
    sampled: Option<FeatureCost>,
) -> Applied {
    let stays = dry_run && changed.view.config.as_ref().is_some_and(|config| config.state == Wanted::Running);
    let running = sampled
        .filter(|_| stays && matches!(now.state, StateName::Running | StateName::Degraded))
        .map(|sampled| cost(now, sampled));
    let rehearsed = changed.map_bytes.filter(|bytes| *bytes > 0);
    Applied {
        generation: changed.generation,
        state: state(now.state),
        warnings: changed.warnings,
        expected_cost: running.or_else(|| Some(Cost { map_bytes: Some(rehearsed?), ..Cost::default() })),
        config: dry_run.then(|| config(&changed.view)),
    }
}

/// The feature as listed.
pub(super) fn item(view: &FeatureView, beside: Beside) -> ProbeItem {
    let descriptor = view.descriptor;
    ProbeItem {
        feature: descriptor.name.to_owned(),
        summary: descriptor.summary.to_owned(),
        generation: view.generation,
        state: state(view.state),
        scope: match descriptor.scope {
            ScopeUse::None => ScopeDocument::None,
            ScopeUse::Processes => ScopeDocument::Processes,
            ScopeUse::Containers => ScopeDocument::Containers,
            ScopeUse::ProcessesAndContainers => ScopeDocument::ProcessesAndContainers,
        },
        sub_probes: descriptor.sub_probes.iter().map(|sub| sub_probe(view, sub)).collect(),
        params: descriptor.params.iter().map(|spec| param(spec)).collect(),
        tables: descriptor.tables.iter().map(|table| self::table(table)).collect(),
        events: descriptor.triggers.iter().map(trigger).collect(),
        targets: beside.targets,
        series: beside.series,
        samples: view.gauges.samples.load(Ordering::Relaxed),
        lost: lost(view, beside.lost),
        cost: cost(view, beside.cost.unwrap_or_default()),
    }
}

fn table(table: &Table) -> TableDocument {
    let metric = |column: &Column| format!("{}_{}", table.entity, column.name);
    TableDocument {
        name: table.name.to_owned(),
        sub_probe: table.sub_probe.to_owned(),
        labels: table.keys.iter().chain(table.labels).map(|&label| label.to_owned()).collect(),
        metrics: table.columns.iter().map(metric).collect(),
    }
}

fn trigger(trigger: &Trigger) -> TriggerDocument {
    TriggerDocument {
        metric: format!("{}_{}", trigger.table.entity, trigger.metric),
        when: trigger.condition(),
        severity: trigger.severity.text().to_owned(),
    }
}

/// A sub-probe is taken to be available until its probe has said that it is not.
fn sub_probe(view: &FeatureView, sub: &SubProbe) -> SubProbeItem {
    let tried: Option<&SubProbeView> = view.sub_probes.iter().find(|tried| tried.name == sub.name);
    let missing = match tried {
        _ if view.descriptor.build.is_none() => vec!["not supported in the current version".to_owned()],
        Some(tried) => tried.missing.clone(),
        None => Vec::new(),
    };
    SubProbeItem {
        name: sub.name.to_owned(),
        summary: sub.summary.to_owned(),
        default: sub.default,
        needs_scope: sub.needs_scope,
        needs_param: sub.needs_param.map(|spec| spec.key.to_owned()),
        available: missing.is_empty() || tried.is_some_and(|tried| tried.running),
        missing,
    }
}

fn param(spec: &ParamSpec) -> ParamDocument {
    let mut out = ParamDocument {
        key: spec.key.to_owned(),
        doc: spec.doc.to_owned(),
        unit: spec.unit.to_owned(),
        kind: ParamType::Devices,
        default: serde_json::json!([]),
        min: None,
        max: None,
        zero_is_off: false,
        power_of_two: false,
        allowed: Vec::new(),
        max_bytes: None,
        live: spec.live,
    };
    let words = |allowed: &[&str]| allowed.iter().map(|&word| word.to_owned()).collect();
    match spec.kind {
        ParamKind::Int { default, min, max, zero_is_off, power_of_two } => {
            (out.kind, out.default) = (ParamType::Integer, default.into());
            (out.min, out.max) = (Some(min), Some(max));
            (out.zero_is_off, out.power_of_two) = (zero_is_off, power_of_two);
        }
        ParamKind::Text { default, max_len, rule } => {
            (out.kind, out.default) = (ParamType::Text, default.into());
            out.max_bytes = Some(max_len as u64);
            match rule {
                TextRule::OneOf(allowed) => out.allowed = words(allowed),
                TextRule::Path | TextRule::HostPort => {}
            }
        }
        // One device is a text; none is the empty one.
        ParamKind::Devices => out.default = "".into(),
        ParamKind::Words { allowed } => (out.kind, out.allowed) = (ParamType::Words, words(allowed)),
        ParamKind::Pairs { max_len, .. } => {
            (out.kind, out.max_bytes) = (ParamType::Pairs, Some(max_len as u64));
        }
    }
    out
}
