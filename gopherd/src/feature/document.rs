//! A feature's configuration as JSON: what GET of the compatible door prints, what probes.init keeps, and the
//! native `config`. Each is accepted by the door it belongs to and gives the same configuration again.

use super::{Budget, FeatureConfig, Mode, ProcName, Selection, Wanted};
use probe_core::params::{self, REPORT_EVENT, REPORT_PERIOD, RES_LOWER_THR, RES_UPPER_THR};
use probe_core::{Descriptor, ParamKind, ParamSpec, ParamValue, Params};
use regex::Regex;
use serde_json::{Map, Value, json};

/// Parameters that GET prints for every feature (reference, section 7).
static ALWAYS_PRINTED: &[&ParamSpec] = &[&REPORT_PERIOD, &RES_LOWER_THR, &RES_UPPER_THR, &REPORT_EVENT];

/// What GET of the compatible door prints: `{}` for a feature that was never configured. A feature that is
/// not built is `stopped`, whatever was wished.
pub fn document(descriptor: &Descriptor, config: Option<&FeatureConfig>) -> Value {
    let Some(config) = config else { return json!({}) };
    let state = match config.state {
        _ if descriptor.build.is_none() => "stopped",
        Wanted::Running => "running",
        Wanted::Stopped => "stopped",
        Wanted::Unknown => "unknown",
    };
    let mut members = common(config);
    members.insert("params".to_owned(), shown_params(descriptor, &config.params));
    members.insert("state".to_owned(), state.into());
    sorted(members)
}

/// What a line of probes.init keeps: only what was set, and the wish as it is.
pub fn saved(config: &FeatureConfig) -> Value {
    let mut members = common(config);
    members.insert("params".to_owned(), set_params(&config.params));
    if config.state != Wanted::Unknown {
        members.insert("state".to_owned(), wish(config).into());
    }
    sorted(members)
}

/// The `config` of the native probe document.
pub fn native(config: &FeatureConfig) -> Value {
    let mut members = common(config);
    members.insert("params".to_owned(), set_params(&config.params));
    members.insert("budget".to_owned(), budget(&config.budget));
    members.insert("state".to_owned(), wish(config).into());
    sorted(members)
}

fn wish(config: &FeatureConfig) -> &'static str {
    if config.state == Wanted::Running { "running" } else { "stopped" }
}

fn common(config: &FeatureConfig) -> Map<String, Value> {
    let mut members = Map::new();
    let probe: Vec<&str> = config.sub_probes.iter().collect();
    members.insert("cmd".to_owned(), json!({ "probe": probe }));
    let key = match config.selection.mode {
        Mode::Include => "snoopers",
        Mode::Exclude => "blacklist",
    };
    members.insert(key.to_owned(), selection(config));
    members
}

/// All five selector lists, empty ones included; labels only if there are any.
fn selection(config: &FeatureConfig) -> Value {
    let Selection { selectors, .. } = &config.selection;
    let pids: Vec<u32> = selectors.proc_id.iter().map(|entry| entry.pid).collect();
    let mut members = Map::new();
    members.insert("container_id".to_owned(), json!(selectors.container_id));
    members.insert("container_name".to_owned(), json!(selectors.container_name));
    members.insert("pod_id".to_owned(), json!(selectors.pod_id));
    members.insert("proc_id".to_owned(), json!(pids));
    members.insert("proc_name".to_owned(), selectors.proc_name.iter().map(proc_name).collect());
    if !config.custom_labels.is_empty() {
        members.insert("custom_labels".to_owned(), object(config.custom_labels.iter()));
    }
    if !config.pod_labels.is_empty() {
        members.insert("pod_labels".to_owned(), json!(config.pod_labels));
    }
    sorted(members)
}

fn proc_name(entry: &ProcName) -> Value {
    let pattern = |regex: &Option<Regex>| regex.as_ref().map_or("", Regex::as_str).to_owned();
    let mut members = Map::new();
    members.insert("cmdline".to_owned(), pattern(&entry.cmdline).into());
    members.insert("comm".to_owned(), pattern(&entry.comm).into());
    if let Some(label) = &entry.label {
        members.insert("label".to_owned(), object(std::iter::once(label)));
    }
    sorted(members)
}

fn shown_params(descriptor: &Descriptor, values: &Params) -> Value {
    let printed = |spec: &&&ParamSpec| {
        let used = descriptor.param(spec.key).is_some() && spec.shown;
        used || values.get(spec).is_some() || ALWAYS_PRINTED.iter().any(|always| always.key == spec.key)
    };
    let value = |spec: &&ParamSpec| values.get(spec).cloned().unwrap_or_else(|| spec.default_value());
    let members = params::ALL.iter().filter(printed);
    sorted(members.map(|spec| (spec.key.to_owned(), param(spec, &value(spec)))).collect())
}

fn set_params(values: &Params) -> Value {
    let members = values.iter().filter_map(|(key, value)| Some((key, params::find(key)?, value)));
    sorted(members.map(|(key, spec, value)| (key.to_owned(), param(spec, value))).collect())
}

fn param(spec: &ParamSpec, value: &ParamValue) -> Value {
    match (value, spec.kind) {
        (ParamValue::Int(number), _) => json!(number),
        (ParamValue::Text(text), _) => json!(text),
        // One device is a text, as the reference prints it; none is the empty text.
        (ParamValue::Words(names), ParamKind::Devices) if names.len() < 2 => json!(names.concat()),
        (ParamValue::Words(words), _) => json!(words),
        (ParamValue::Pairs(pairs), _) => pairs.iter().map(|pair| object(std::iter::once(pair))).collect(),
    }
}

fn budget(budget: &Budget) -> Value {
    let limits = match budget {
        Budget::Off => return json!("off"),
        Budget::Limits(limits) => limits,
    };
    let members = [
        ("cpu", limits.cpu.map(Value::from)),
        ("events_per_s", limits.events_per_s.map(Value::from)),
        ("memory_bytes", limits.memory_bytes.map(Value::from)),
        ("series", limits.series.map(Value::from)),
    ];
    Value::Object(members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn object<'a>(pairs: impl Iterator<Item = &'a (String, String)>) -> Value {
    Value::Object(pairs.map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect())
}

/// Keys in alphabetical order, however the JSON library was built.
fn sorted(mut members: Map<String, Value>) -> Value {
    members.sort_keys();
    Value::Object(members)
}
