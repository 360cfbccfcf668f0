//! Descriptor to Markdown: a probe's README and its part of the metric reference.

use crate::{Descriptor, Kind, ParamKind, ScopeUse, Table, Trigger};
use std::fmt::Write as _;

/// The README of a probe's folder.
pub fn readme(probe: &Descriptor) -> String {
    let mut out = format!(
        "<!-- Generated from the descriptor by `cargo test -p probes`; do not edit. -->\n# {}\n\n{}\n",
        probe.name, probe.summary
    );
    let _ = writeln!(out, "\nScope: {}.", scope(probe.scope));
    if !probe.sub_probes.is_empty() {
        out.push_str("\n| sub-probe | what it reads | runs by default |\n|---|---|---|\n");
        for sub in probe.sub_probes {
            let scope = sub.needs_scope.then(|| "a scope is given".to_owned());
            let param = sub.needs_param.map(|spec| format!("`{}` is set", spec.key));
            let needs = scope.into_iter().chain(param).collect::<Vec<_>>().join(" and ");
            let default = match (sub.default, needs.is_empty()) {
                (true, false) => format!("yes, idle until {needs}"),
                (true, true) => "yes".to_owned(),
                (false, _) => "no".to_owned(),
            };
            let _ = writeln!(out, "| `{}` | {} | {default} |", sub.name, sub.summary);
        }
    }
    out.push_str("\n| parameter | default | range | unit | meaning |\n|---|---|---|---|---|\n");
    for spec in probe.params {
        let (default, range) = range(&spec.kind);
        let _ = writeln!(out, "| `{}` | {default} | {range} | {} | {} |", spec.key, spec.unit, spec.doc);
    }
    if !probe.needs.is_empty() {
        out.push_str("\n| capability | sub-probes | needed to |\n|---|---|---|\n");
        for need in probe.needs {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                need.capability.name(),
                names(need.sub_probes),
                need.purpose
            );
        }
    }
    out.push('\n');
    out.push_str(&metrics(probe.tables, "##"));
    out.push_str(&events(probe.triggers, "##"));
    out
}

/// The events of a probe under a heading of `level`; nothing if it has none.
pub fn events(triggers: &[Trigger], level: &str) -> String {
    if triggers.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "{level} Events\n\nWith `report_event` 1. A threshold of 0 is off.\n\n\
         | metric | when | severity | text |\n|---|---|---|---|\n"
    );
    for trigger in triggers {
        let _ = writeln!(
            out,
            "| `gala_gopher_{}_{}` | {} | {} | {} |",
            trigger.table.entity,
            trigger.metric,
            trigger.condition(),
            trigger.severity.text(),
            trigger.text.en
        );
    }
    out.push('\n');
    out
}

/// The metric reference of `tables`, each under a heading of `level`.
pub fn metrics(tables: &[&Table], level: &str) -> String {
    let mut out = String::new();
    for table in tables {
        let _ = writeln!(out, "{level} Table `{}`\n", table.name);
        let _ = writeln!(
            out,
            "Keys: {}. Labels: {}. Sub-probe: {}.\n",
            names(table.keys),
            names(table.labels),
            if table.sub_probe.is_empty() { "-" } else { table.sub_probe }
        );
        out.push_str("| metric | type | unit | meaning |\n|---|---|---|---|\n");
        for column in table.columns {
            let kind = match column.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let _ = writeln!(
                out,
                "| `gala_gopher_{}_{}` | {kind} | {} | {} |",
                table.entity,
                column.name,
                column.unit.text(),
                column.help
            );
        }
        out.push('\n');
    }
    out
}

fn names(names: &[&str]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
    }
}

fn scope(scope: ScopeUse) -> &'static str {
    match scope {
        ScopeUse::None => "the whole host; selectors have no effect",
        ScopeUse::Processes => "processes",
        ScopeUse::Containers => "containers",
        ScopeUse::ProcessesAndContainers => "processes and containers",
    }
}

/// Default and range of a parameter, as texts.
pub fn range(kind: &ParamKind) -> (String, String) {
    match kind {
        ParamKind::Int { default, min, max, zero_is_off, .. } => {
            (default.to_string(), format!("{min} to {max}{}", if *zero_is_off { ", or 0" } else { "" }))
        }
        ParamKind::Text { default, max_len, .. } => {
            (format!("\"{default}\""), format!("at most {max_len} bytes"))
        }
        ParamKind::Devices => ("all".into(), "a device name or a list of them".into()),
        ParamKind::Words { allowed } => ("none".into(), allowed.join(", ")),
        ParamKind::Pairs { max, max_len } => {
            ("none".into(), format!("at most {max} pairs of {max_len} bytes"))
        }
    }
}
