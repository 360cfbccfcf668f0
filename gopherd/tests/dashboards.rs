//! The dashboards and alert rules that are shipped name no metric that does not exist. That their expressions are
//! valid, and what they return, a real Prometheus says in `tests/prometheus.rs`.

use probe_core::Kind;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below `folder` with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join(folder)).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    found.sort();
    assert!(!found.is_empty(), "{folder}");
    found
}

/// Every sample name of the built features.
fn of_features() -> BTreeSet<String> {
    let tables = probes::all().flat_map(|feature| feature.tables);
    let columns = tables.flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    columns
        .flat_map(|(table, column)| {
            let suffixes: &[&str] = if matches!(column.kind, Kind::Histogram(_)) {
                &["_bucket", "_sum", "_count", "_max"]
            } else {
                &[""]
            };
            suffixes.iter().map(move |suffix| format!("gala_gopher_{}_{}{suffix}", table.entity, column.name))
        })
        .collect()
}

/// The families that the daemon makes of itself: they are literals where they are made.
fn of_the_daemon() -> BTreeSet<String> {
    let literal = Regex::new(r#""((?:gopherd|process)_[a-z0-9_]+)""#).expect("valid");
    let mut paths = files("gopherd/src/selfmetrics", "rs");
    paths.push(workspace().join("gopherd/src/selfmetrics.rs"));
    let names = paths.iter().flat_map(|path| {
        let text = read(path);
        literal.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
    });
    names.flat_map(|name| [format!("{name}_bucket"), name]).collect()
}

/// What `text` names that is unknown.
fn unknown(text: &str) -> Vec<String> {
    let name = Regex::new(r"\b(?:gala_gopher|gopherd|process)_[A-Za-z0-9_]+\b").expect("valid");
    let known: BTreeSet<String> = of_features().into_iter().chain(of_the_daemon()).collect();
    let named = name.find_iter(text).map(|found| found.as_str().to_owned());
    named.filter(|name| !known.contains(name)).collect()
}

/// Every `expr` of a dashboard, and what fills its variables.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "definition" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn every_metric_of_the_dashboards_exists_and_no_panel_is_empty() {
    for path in files("etc/grafana", "json") {
        let dashboard: Value = serde_json::from_str(&read(&path)).expect("JSON");
        let mut found = Vec::new();
        expressions(&dashboard, &mut found);
        let panels = dashboard["panels"].as_array().expect("panels");
        assert!(panels.len() >= 6 && found.len() > panels.len(), "{}", path.display());
        for expression in found {
            assert_eq!(unknown(&expression), [""; 0], "{}: {expression}", path.display());
        }
    }
}

#[test]
fn every_metric_of_the_alert_rules_exists() {
    let text = read(&workspace().join("etc/prometheus/gopherd.rules.yml"));
    let expressions: String =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(unknown(&expressions), [""; 0]);
    assert!(text.matches("- alert:").count() > 10);
}

#[test]
fn a_name_that_does_not_exist_is_found_out() {
    assert_eq!(unknown("rate(gala_gopher_fs_NoSuch[5m]) > gopherd_series"), ["gala_gopher_fs_NoSuch"]);
    assert_eq!(unknown("gopherd_nothing_total"), ["gopherd_nothing_total"]);
}

#[test]
fn each_of_them_is_installed() {
    let tree = read(&workspace().join("packaging/tree.sh"));
    for wanted in ["etc/grafana/", "etc/prometheus/", "api/event.schema.json", "api/metadata.schema.json"] {
        assert!(tree.contains(wanted), "{wanted}");
    }
}
