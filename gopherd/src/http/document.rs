//! A feature's picture as the native documents. Pure: from the manager's view and two numbers that others know.

use super::parts::Parts;
use crate::feature::{FeatureConfig, Wanted, native_document};
use crate::manager::{FeatureView, StateName};
use gopher_api::{Cost, Param, ParamType, Probe, ProbeSummary, State, Status, SubProbe, SubProbeState, SubProbeStatus, TargetCounts};
use probe_core::{ParamKind, ParamSpec, ScopeUse};
use probe_core::params::TextRule;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

/// What the view does not know: what other parts of the daemon hold for the feature.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    pub(super) targets: TargetCounts,
    pub(super) series: u64,
}

impl Beside {
    pub(super) fn of(parts: &Parts, view: &FeatureView) -> Self {
        let feature = view.descriptor.name;
        Self { targets: parts.targets.counts(feature), series: parts.metrics.series(feature) }
    }
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

pub(super) fn state(name: StateName) -> State {
    match name {
        StateName::Stopped => State::Stopped,
        StateName::Starting => State::Starting,
        StateName::Running => State::Running,
        StateName::Degraded => State::Degraded,
        StateName::Failed => State::Failed,
        StateName::Stopping => State::Stopping,
        StateName::Unavailable => State::Unavailable,
    }
}

/// How the feature fares.
pub(super) fn status(view: &FeatureView, beside: Beside) -> Status {
    let gauges = &view.gauges;
    let sub_probes = view.sub_probes.iter().map(|sub| SubProbeStatus {
        name: sub.name.to_owned(),
        state: if sub.running { SubProbeState::Running } else { SubProbeState::Unavailable },
        missing: sub.missing.clone(),
    });
    Status {
        state: state(view.state),
        since: rfc3339(view.since),
        error: view.error.clone(),
        attempts: (view.attempts > 0).then_some(view.attempts),
        retry_at: view.retry_at.map(rfc3339),
        restarts: view.restarts,
        sub_probes: sub_probes.collect(),
        targets: beside.targets,
        lost: BTreeMap::from([("queue".to_owned(), gauges.dropped.load(Ordering::Relaxed))]),
        series: beside.series,
        cost: Cost {
            cpu_ns: gauges.cpu_ns.load(Ordering::Relaxed),
            memory_bytes: gauges.memory_bytes.load(Ordering::Relaxed),
            samples: gauges.samples.load(Ordering::Relaxed),
            batches_in_flight: gauges.in_flight(),
        },
    }
}

/// The probe document. A feature that was never configured shows what an empty PUT would make of it.
pub(super) fn probe(view: &FeatureView, beside: Beside) -> Probe {
    let never = FeatureConfig { state: Wanted::Stopped, ..FeatureConfig::default() };
    Probe {
        feature: view.descriptor.name.to_owned(),
        generation: view.generation,
        config: native_document(view.config.as_ref().unwrap_or(&never)),
        status: status(view, beside),
    }
}

/// The feature as listed.
pub(super) fn summary(view: &FeatureView, beside: Beside) -> ProbeSummary {
    let descriptor = view.descriptor;
    let scopes: &[&str] = match descriptor.scope {
        ScopeUse::None => &[],
        ScopeUse::Processes => &["processes"],
        ScopeUse::Containers => &["containers"],
        ScopeUse::ProcessesAndContainers => &["processes", "containers"],
    };
    let sub_probes = descriptor.sub_probes.iter().map(|sub| {
        let tried = view.sub_probes.iter().find(|tried| tried.name == sub.name);
        let unbuilt = descriptor.build.is_none();
        SubProbe {
            name: sub.name.to_owned(),
            summary: sub.summary.to_owned(),
            default: sub.default,
            needs_scope: sub.needs_scope,
            available: if unbuilt { Some(false) } else { tried.map(|tried| tried.running) },
            missing: match tried {
                _ if unbuilt => vec!["not supported in the current version".to_owned()],
                Some(tried) => tried.missing.clone(),
                None => Vec::new(),
            },
        }
    });
    ProbeSummary {
        feature: descriptor.name.to_owned(),
        summary: descriptor.summary.to_owned(),
        generation: view.generation,
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        sub_probes: sub_probes.collect(),
        params: descriptor.params.iter().map(|spec| param(spec)).collect(),
        status: status(view, beside),
    }
}

fn param(spec: &ParamSpec) -> Param {
    let mut out = Param {
        name: spec.key.to_owned(),
        summary: spec.doc.to_owned(),
        kind: ParamType::Strings,
        unit: spec.unit.to_owned(),
        default: serde_json::json!([]),
        min: None,
        max: None,
        zero_is_off: false,
        max_bytes: None,
        allowed: Vec::new(),
        live: spec.live,
    };
    let words = |allowed: &[&str]| allowed.iter().map(|&word| word.to_owned()).collect();
    match spec.kind {
        ParamKind::Int { default, min, max, zero_is_off, .. } => {
            (out.kind, out.default) = (ParamType::Integer, default.into());
            (out.min, out.max, out.zero_is_off) = (Some(min), Some(max), zero_is_off);
        }
        ParamKind::Text { default, max_len, rule } => {
            (out.kind, out.default) = (ParamType::String, default.into());
            out.max_bytes = Some(max_len as u64);
            match rule {
                TextRule::OneOf(allowed) => out.allowed = words(allowed),
                TextRule::Path | TextRule::HostPort => {}
            }
        }
        ParamKind::Devices => {}
        ParamKind::Words { allowed } => out.allowed = words(allowed),
        ParamKind::Pairs { max_len, .. } => {
            (out.kind, out.max_bytes) = (ParamType::Pairs, Some(max_len as u64));
        }
    }
    out
}
