//! The entry of the fuzz targets and of the property tests: any bytes through both doors of a feature that
//! has every kind of parameter and selector. Panics when a promise is broken, which is what a fuzzer looks for.

use super::{Context, Edit, FeatureConfig, PidLookup, Plan, Wanted, document, native_document, plan};
use probe_core::{Descriptor, Env, Probe, ProbeError, ProcKey, ScopeUse, Starting, SubProbe, params};
use std::collections::HashSet;

/// A probe that ends at once.
struct Nothing;

impl Probe for Nothing {
    fn run(self: Box<Self>, _: Starting) -> Result<(), ProbeError> {
        Ok(())
    }
}

fn nothing(_: &Env) -> Box<dyn Probe> {
    Box::new(Nothing)
}

static SPECIMEN: Descriptor = Descriptor {
    name: "specimen",
    summary: "Has every kind of member.",
    sub_probes: &[
        SubProbe { aliases: &["first"], ..SubProbe::new("one", "One.") },
        SubProbe { default: false, needs_scope: true, ..SubProbe::new("two", "Two.") },
    ],
    scope: ScopeUse::ProcessesAndContainers,
    params: params::ALL,
    tables: &[],
    triggers: &[],
    needs: &[],
    build: Some(nothing),
};

/// Every even pid has a process.
struct EvenPids;

impl PidLookup for EvenPids {
    fn process(&self, pid: u32) -> Option<ProcKey> {
        pid.is_multiple_of(2).then_some(ProcKey { tgid: pid, start_ticks: 1 })
    }
}

fn planned(edit: &Edit, current: Option<&FeatureConfig>) -> Option<Plan> {
    let cx = Context {
        descriptor: &SPECIMEN,
        current,
        running: false,
        pids: &EvenPids,
        max_rules: 1000,
        from_init: false,
    };
    plan(edit, &cx).ok()
}

/// `bytes` as the body of a PUT, with and without `json=`, and of a native PUT and PATCH. Returns what the
/// compatible door made of them on a feature that was never configured.
///
/// # Panics
/// When a configuration that was accepted is not what its own document gives back, without a warning.
#[doc(hidden)]
pub fn fuzz_compat(bytes: &[u8]) -> Option<FeatureConfig> {
    let first = Edit::compat(bytes, Some("application/json")).ok();
    let config = first.and_then(|edit| planned(&edit, None)).and_then(|plan| plan.config);
    if let Some(config) = &config {
        check_round_trip(config);
    }
    for edit in [Edit::replace(bytes), Edit::patch(bytes), Edit::compat_text(bytes)].into_iter().flatten() {
        let plan = planned(&edit, config.as_ref());
        plan.and_then(|plan| plan.config).iter().for_each(check_round_trip);
    }
    config
}

/// `bytes` as the body of an apply: each feature is named once, and each whole configuration holds as [`fuzz_compat`]
/// says.
///
/// # Panics
/// When that is not so.
#[doc(hidden)]
pub fn fuzz_apply(bytes: &[u8]) {
    let Ok(edits) = Edit::apply(bytes) else { return };
    let names: HashSet<&str> = edits.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), edits.len(), "a feature is there twice");
    for (_, edit) in &edits {
        planned(edit, None).and_then(|plan| plan.config).iter().for_each(check_round_trip);
    }
}

/// The documents of `config`, put through the door that each belongs to, give `config` again in silence.
fn check_round_trip(config: &FeatureConfig) {
    let silent = Some(Plan { config: Some(config.clone()), warnings: Vec::new() });
    let text = document(&SPECIMEN, Some(config)).to_string();
    let edit = Edit::compat_text(text.as_bytes()).ok();
    assert_eq!(edit.and_then(|edit| planned(&edit, Some(config))), silent, "{text}");

    let text = native_document(config).to_string();
    let edit = Edit::replace(text.as_bytes()).ok();
    // The native document knows no third state.
    let state = if config.state == Wanted::Unknown { Wanted::Stopped } else { config.state };
    let known = FeatureConfig { state, ..config.clone() };
    let silent = Some(Plan { config: Some(known.clone()), warnings: Vec::new() });
    assert_eq!(edit.and_then(|edit| planned(&edit, Some(&known))), silent, "{text}");
}
