//! `probe explain`: everything that is known of one feature, and what to do about it.

use super::host::{indented, wrapped};
use super::{state, state_cell};
use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use crate::ctl::table::{Cell, Column, whole};
use crate::ctl::units;
use gopher_api::{
    ParamDocument, ProbeDocument, ProbeItem, ProbeState, ScopeDocument, Selectors, SubProbeState, Targets,
};
use serde_json::Value;
use std::fmt::Write as _;

pub(in crate::ctl) fn explain(look: &Look, item: &ProbeItem, document: &ProbeDocument) -> String {
    let mut out = format!("{}\n", look.paint(Tone::Head, &inline(&item.feature)));
    out += &wrapped(look, &item.summary);
    out += "\n";
    out += &facts(look, item, document);
    let advice = advice(item, document);
    if !advice.is_empty() {
        heading(look, &mut out, "What to do");
        for Advice { sentence, command } in &advice {
            out += &wrapped(look, sentence);
            // On a line of its own, so that it can be taken as it is.
            command.iter().for_each(|command| out += &format!("    {}\n", inline(command)));
        }
    }
    if !item.sub_probes.is_empty() {
        heading(look, &mut out, "Sub-probes (cmd.probe)");
        out += &sub_probes(look, item, document);
    }
    if !item.params.is_empty() {
        heading(look, &mut out, "Parameters (params)");
        out += &params(look, item, document);
    }
    if !item.tables.is_empty() {
        heading(look, &mut out, "Tables");
        out += &tables(look, item);
    }
    if !item.events.is_empty() {
        heading(look, &mut out, "Events (with report_event 1; a threshold of 0 is off)");
        out += &events(look, item);
    }
    out
}

fn heading(look: &Look, out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{}", look.paint(Tone::Head, text));
}

/// How it fares, fact by fact.
fn facts(look: &Look, item: &ProbeItem, document: &ProbeDocument) -> String {
    const NAMES: usize = 11;
    let status = &document.status;
    let mut out = String::new();
    let mut fact = |name: &str, tone: Tone, value: &str| {
        let lines = indented(look, NAMES, value);
        let value = look.paint(tone, lines.trim());
        let _ = writeln!(out, "{name:NAMES$}{value}");
    };
    let (word, tone) = state(status.state);
    fact("state", tone, &format!("{word} since {}, generation {}", status.since, document.generation));
    if let Some(error) = &status.error {
        fact("error", Tone::Bad, error);
    }
    if let Some(attempts) = status.attempts {
        let retry = status.retry_at.as_ref().map(|at| format!(", tried again at {at}"));
        fact("attempts", Tone::Plain, &format!("{attempts} in a row{}", retry.unwrap_or_default()));
    }
    fact("scope", Tone::Plain, scope(item.scope));
    fact("observes", Tone::Plain, &observes(document, item.scope));
    if status.state == ProbeState::Unavailable {
        return out;
    }
    let (series, samples) = (units::count(status.series), units::count(status.samples));
    fact("series", Tone::Plain, &format!("{series}, {samples} samples so far"));
    let cpu = units::known(status.cost.cpu_ns, |ns| {
        humantime::format_duration(std::time::Duration::from_millis(ns / 1_000_000)).to_string()
    });
    let memory = units::known(status.cost.memory_bytes, units::bytes);
    let mut cost = format!("{cpu} CPU over all its runs, {memory} of memory");
    if let Some(maps) = status.cost.map_bytes {
        let share = units::known(status.cost.bpf_ns_per_s, |ns| units::percent(units::share(ns)));
        let _ = write!(cost, "; BPF programs {share} of a core, maps {}", units::bytes(maps));
    }
    fact("cost", Tone::Plain, &cost);
    for step in status.budget.iter().flat_map(|budget| &budget.steps) {
        fact("budget", Tone::Warn, &format!("it {} since {}: {}", step.what, step.since, step.reason));
    }
    let lost: Vec<String> =
        status.lost.iter().filter(|(_, n)| **n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    let (tone, lost) =
        if lost.is_empty() { (Tone::Plain, "nothing".to_owned()) } else { (Tone::Warn, lost.join(", ")) };
    fact("lost", tone, &lost);
    out
}

fn scope(scope: ScopeDocument) -> &'static str {
    match scope {
        ScopeDocument::None => "the whole host, always: selectors have no effect",
        ScopeDocument::Processes => "processes that snoopers select, or that blacklist leaves",
        ScopeDocument::Containers => "containers that snoopers select, or that blacklist leaves",
        ScopeDocument::ProcessesAndContainers => {
            "processes and containers that snoopers select, or that blacklist leaves"
        }
    }
}

fn selectors(of: &Selectors) -> usize {
    of.proc_id.len() + of.proc_name.len() + of.pod_id.len() + of.container_id.len() + of.container_name.len()
}

/// `1 selector`, `2 selectors`.
fn counted(of: &Selectors) -> String {
    match selectors(of) {
        1 => "1 selector".to_owned(),
        n => format!("{n} selectors"),
    }
}

fn observes(document: &ProbeDocument, scope: ScopeDocument) -> String {
    let config = &document.config;
    let Targets { processes, containers } = document.status.targets;
    let found = [(processes, "processes"), (containers, "containers")];
    let found = found.into_iter().filter_map(|(n, what)| n.map(|n| format!("{n} {what}")));
    let found = found.collect::<Vec<_>>().join(" and ");
    let found = if found.is_empty() { String::new() } else { format!(": {found} now") };
    match (&config.snoopers, &config.blacklist) {
        _ if scope == ScopeDocument::None => "the whole host".to_owned(),
        (Some(snoopers), _) if selectors(snoopers) > 0 => {
            format!("what {} of snoopers chose{found}", counted(snoopers))
        }
        (_, Some(blacklist)) if selectors(blacklist) > 0 => {
            format!("what {} of blacklist left{found}", counted(blacklist))
        }
        _ => "the whole host".to_owned(),
    }
}

/// What is to be known or done, and the command that does it.
#[derive(Debug)]
struct Advice {
    sentence: String,
    command: Option<String>,
}

/// Why it is not as it should be, and the way out of that. Pure, like all of this file.
fn advice(item: &ProbeItem, document: &ProbeDocument) -> Vec<Advice> {
    let feature = &item.feature;
    let mut out = Vec::new();
    let mut say = |sentence: String, command: Option<String>| out.push(Advice { sentence, command });
    match document.status.state {
        ProbeState::Unavailable => {
            say(
                "This version has not built it. Its configuration is checked and kept for one that has.".into(),
                None,
            );
            return out;
        }
        ProbeState::Stopped => say("Start it:".into(), Some(format!("gopher-ctl probe start {feature}"))),
        ProbeState::Failed => say(
            "Remove the cause above; journalctl -u gopherd may say more. The daemon tries again by itself, or now:"
                .into(),
            Some(format!("gopher-ctl probe start {feature}")),
        ),
        ProbeState::Starting | ProbeState::Stopping => {
            say("Wait: whoever asked is answered after at most 30 s, and it goes on if that is not enough.".into(), None);
        }
        ProbeState::Running | ProbeState::Degraded => {}
    }
    for sub in item.sub_probes.iter().filter(|sub| !sub.missing.is_empty()) {
        say(format!("{} cannot run here: {}.", sub.name, sub.missing.join("; ")), None);
    }
    if document.status.state == ProbeState::Degraded {
        let able = item.sub_probes.iter().filter(|sub| runs(document, &sub.name));
        let able: Vec<&str> = able.map(|sub| sub.name.as_str()).collect();
        let cmd = serde_json::json!({ "cmd": { "probe": able } });
        say(
            "Provide what is missing, or ask for the rest only:".into(),
            Some(format!("gopher-ctl probe set {feature} '{cmd}'")),
        );
    }
    let unscoped = document.config.blacklist.is_none()
        && document.config.snoopers.as_ref().is_none_or(|snoopers| selectors(snoopers) == 0);
    let idle = item.sub_probes.iter().filter(|sub| sub.needs_scope && unscoped);
    let idle: Vec<&str> = idle.map(|sub| sub.name.as_str()).collect();
    if !idle.is_empty() {
        say(
            format!(
                "Idle until snoopers select something: {}. All of the host is asked for by:",
                idle.join(", ")
            ),
            Some(format!("gopher-ctl probe set {feature} '{{\"blacklist\":{{}}}}'")),
        );
    }
    for sub in &item.sub_probes {
        let unset = |key: &&String| !document.config.params.contains_key(key.as_str());
        if let Some(key) = sub.needs_param.as_ref().filter(unset) {
            say(format!("Idle until the parameter {key} is set: {}.", sub.name), None);
        }
    }
    if document.status.lost.get("queue").is_some_and(|lost| *lost > 0) {
        say(
            "Batches were dropped because the daemon did not keep up: raise report_period or narrow the scope."
                .into(),
            None,
        );
    }
    out
}

fn runs(document: &ProbeDocument, name: &str) -> bool {
    document.status.sub_probes.iter().any(|sub| sub.name == name && sub.state == SubProbeState::Running)
}

fn sub_probes(look: &Look, item: &ProbeItem, document: &ProbeDocument) -> String {
    let columns = ["NAME", "STATE", "DEFAULT", "HERE", "SUMMARY"].map(Column::Text);
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let rows = item.sub_probes.iter().map(|sub| {
        let asked = document.status.sub_probes.iter().find(|asked| asked.name == sub.name);
        let state = match asked.map(|asked| asked.state) {
            None => Cell::new(units::UNKNOWN),
            Some(SubProbeState::Running) => state_cell(ProbeState::Running),
            Some(SubProbeState::Idle) => Cell::toned(Tone::Warn, "idle"),
            Some(SubProbeState::Unsupported) => Cell::toned(Tone::Bad, "unsupported"),
            Some(SubProbeState::Restrained) => Cell::toned(Tone::Warn, "restrained"),
        };
        let here = if sub.available { Cell::new("yes") } else { Cell::toned(Tone::Warn, "no") };
        vec![Cell::new(&sub.name), state, Cell::new(yes(sub.default)), here, Cell::new(&sub.summary)]
    });
    whole(look, &columns, rows.collect())
}

fn params(look: &Look, item: &ProbeItem, document: &ProbeDocument) -> String {
    let columns = ["KEY", "NOW", "DEFAULT", "VALID", "MEANING"].map(Column::Text);
    let rows = item.params.iter().map(|param| {
        let unit = |value: &Value| {
            let unit = if value.is_number() && !param.unit.is_empty() {
                format!(" {}", param.unit)
            } else {
                String::new()
            };
            format!("{value}{unit}")
        };
        let now = document.config.params.get(&param.key);
        vec![
            Cell::new(&param.key),
            now.map_or_else(|| Cell::new(units::UNKNOWN), |value| Cell::toned(Tone::Good, unit(value))),
            Cell::new(unit(&param.default)),
            Cell::new(valid(param)),
            Cell::new(if param.live {
                param.doc.clone()
            } else {
                format!("{} Only while stopped.", param.doc)
            }),
        ]
    });
    whole(look, &columns, rows.collect())
}

fn valid(param: &ParamDocument) -> String {
    let mut out = match (param.min, param.max) {
        (Some(min), Some(max)) => format!("{min}..{max}"),
        _ if !param.allowed.is_empty() => param.allowed.join("|"),
        _ => match param.max_bytes {
            Some(bytes) => format!("up to {bytes} bytes"),
            None => "names".to_owned(),
        },
    };
    if param.zero_is_off && param.min != Some(0) {
        out += ", 0 off";
    }
    if param.power_of_two {
        out += ", power of 2";
    }
    out
}

fn tables(look: &Look, item: &ProbeItem) -> String {
    let columns =
        [Column::Text("NAME"), Column::Text("SUB-PROBE"), Column::Number("METRICS"), Column::Text("LABELS")];
    let rows = item.tables.iter().map(|table| {
        let sub = if table.sub_probe.is_empty() { units::UNKNOWN } else { &table.sub_probe };
        let metrics = table.metrics.len().to_string();
        vec![Cell::new(&table.name), Cell::new(sub), Cell::new(metrics), Cell::new(table.labels.join(" "))]
    });
    whole(look, &columns, rows.collect())
}

fn events(look: &Look, item: &ProbeItem) -> String {
    let columns = [Column::Text("METRIC"), Column::Text("WHEN"), Column::Text("SEVERITY")];
    let rows = item.events.iter().map(|event| {
        vec![Cell::new(&event.metric), Cell::new(event.when.replace('`', "")), Cell::new(&event.severity)]
    });
    whole(look, &columns, rows.collect())
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
