//! What `SECURITY.md` and `docs/migrating-from-gala-gopher.md` say: each row of their tables names a test that
//! is there, metrics, keys and features have the names that the program has, and the lists between
//! `generated` and `end` are written here (with `CI` set they are only compared).

use gopherd::config::keys::{GONE, SECTIONS};
use gopherd::config::spec::Section;
use probe_core::Kind;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const GUIDE: &str = "docs/migrating-from-gala-gopher.md";
const SECURITY: &str = "SECURITY.md";
const HELD: &str = "held by";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A table: its header and its rows, cell by cell.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
}

fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match cells(line) {
            None => inside = false,
            Some(head) if !inside => {
                inside = true;
                tables.push(Table { head, rows: Vec::new() });
            }
            Some(row) if row.iter().all(|cell| cell.chars().all(|c| c == '-')) => {}
            Some(row) => {
                let table = tables.last_mut().expect("a header came before");
                assert_eq!(row.len(), table.head.len(), "cells of {line}");
                table.rows.push(row);
            }
        }
    }
    tables
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Why `reference`, as `path::name`, is no test.
fn fault(reference: &str) -> Option<String> {
    let Some((path, name)) = reference.split_once("::") else {
        return Some(format!("{reference} is no path::name"));
    };
    let Ok(text) = std::fs::read_to_string(workspace().join(path)) else {
        return Some(format!("{path} is not there"));
    };
    let of_test = text.split("fn ").skip(1).any(|rest| rest.split('(').next() == Some(name));
    (!of_test).then(|| format!("{path} has no test {name}"))
}

#[test]
fn each_row_names_a_test_that_is_there_or_says_that_there_is_none() {
    let mut faults = Vec::new();
    for document in [GUIDE, SECURITY] {
        for table in tables(&read(document)) {
            assert_eq!(table.head.last().map(String::as_str), Some(HELD), "{document}: {:?}", table.head);
            for row in &table.rows {
                let held = row.last().map_or("", String::as_str);
                let references = quoted(held);
                let told = references.is_empty() && ["this list", "not tested"].contains(&held);
                if references.is_empty() && !told {
                    faults.push(format!("{document}: nothing holds {row:?}"));
                }
                faults.extend(references.iter().filter_map(|reference| fault(reference)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_test_that_does_not_exist_is_found_out() {
    assert_eq!(fault("gopherd/tests/documents.rs::a_test_that_does_not_exist_is_found_out"), None);
    for wrong in ["gopherd/tests/documents.rs::no_such_test", "tests/no_such_file.rs::x", "tests/scope.rs"] {
        assert!(fault(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn each_claim_of_the_threat_model_is_held_by_a_test() {
    let tables = tables(&read(SECURITY));
    assert!(tables.len() >= 3);
    for row in tables.iter().flat_map(|table| &table.rows) {
        assert!(!quoted(row.last().expect("a cell")).is_empty(), "{row:?}");
    }
}

/// The names of all metrics of the built features.
fn metrics() -> BTreeSet<String> {
    let tables = probes::all().flat_map(|feature| feature.tables);
    tables
        .flat_map(|table| {
            table.columns.iter().map(|column| format!("gala_gopher_{}_{}", table.entity, column.name))
        })
        .collect()
}

#[test]
fn every_metric_that_the_guide_names_exists() {
    let (known, text) = (metrics(), read(GUIDE));
    let mut named = 0;
    for table in tables(&text).iter().filter(|table| table.head[0] == "metric") {
        for name in table.rows.iter().flat_map(|row| quoted(&row[0])) {
            assert!(known.contains(name), "{name} is no metric of a built feature");
            named += 1;
        }
    }
    assert!(named > 20, "{named} metrics are named");
}

/// Writes each list between the marks of its name, or panics saying that one was out of date.
fn ensure(lists: &[(&str, String)]) {
    let old = read(GUIDE);
    let mut text = old.clone();
    for (name, content) in lists {
        let begin = format!("<!-- generated: {name} -->\n");
        let (before, rest) = text.split_once(&begin).expect("the mark of the list");
        let (_, after) = rest.split_once("<!-- end -->").expect("the end of the list");
        text = format!("{before}{begin}{content}<!-- end -->{after}");
    }
    if old == text {
        return;
    }
    let command = "cargo test -p gopherd --test documents";
    assert!(std::env::var_os("CI").is_none(), "{GUIDE} is out of date; run `{command}` and commit it");
    std::fs::write(workspace().join(GUIDE), text).expect("the guide can be written");
    panic!("{GUIDE} was out of date and has been written anew; run `{command}` again and commit it");
}

fn rows(head: &str, rows: impl Iterator<Item = String>) -> String {
    let mut out = format!("{head}\n{}\n", "|---".repeat(head.matches('|').count() - 1) + "|");
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{row} this list |");
    }
    out
}

/// What became of gala-gopher's keys.
fn keys() -> String {
    let of_gala = |section: &'static Section, idle| {
        let keys = section.keys.iter().filter(move |key| !key.attrs.ours && key.attrs.idle == idle);
        keys.map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
    };
    let mut out = Vec::new();
    for section in SECTIONS.iter().filter(|section| !section.name.is_empty()) {
        for (idle, what) in [(false, "kept"), (true, "read, without effect")] {
            let keys = of_gala(section, idle);
            if !keys.is_empty() {
                out.push(format!("| `[{}]` {keys} | {what} |", section.name));
            }
        }
        out.extend(section.old.map(|old| format!("| `[{old}]` | historical name of `[{}]` |", section.name)));
        for (old, key) in section.keys.iter().flat_map(|key| key.attrs.old.iter().map(move |old| (old, key)))
        {
            out.push(format!("| `[{}]` `{old}` | historical name of `{}` |", section.name, key.name));
        }
    }
    out.extend(GONE.iter().map(|(section, key, reason)| match *key {
        "" => format!("| `[{section}]` | gone: {reason} |"),
        key => format!("| `[{section}]` `{key}` | gone: {reason} |"),
    }));
    rows("| key | in gopherd | held by |", out.into_iter())
}

fn variables() -> String {
    let sets = |section: &'static Section| {
        let keys = section.keys.iter().flat_map(|key| key.attrs.env.iter().map(move |name| (name, key)));
        keys.map(move |(name, key)| format!("| `{name}` | `{}.{}` |", section.name, key.name))
    };
    let init = std::iter::once("| `GOPHER_PROBES_INIT` | takes the place of the file |".to_owned());
    rows("| variable | sets | held by |", SECTIONS.iter().flat_map(sets).chain(init))
}

fn counters() -> String {
    let tables = probes::all().flat_map(|feature| feature.tables.iter().map(move |table| (feature, table)));
    let counters = tables.filter_map(|(feature, table)| {
        let counters = table.columns.iter().filter(|column| matches!(column.kind, Kind::Counter));
        let names: Vec<_> =
            counters.map(|column| format!("`gala_gopher_{}_{}`", table.entity, column.name)).collect();
        (!names.is_empty()).then(|| format!("| {} | `{}` | {} |", feature.name, table.name, names.join(", ")))
    });
    rows("| feature | table | counters | held by |", counters)
}

fn not_built() -> String {
    let missing = probes::all().filter(|feature| feature.build.is_none());
    let missing = missing.map(|feature| format!("| `{}` | {} |", feature.name, feature.summary));
    rows("| feature | what it will show | held by |", missing)
}

#[test]
fn the_lists_of_the_guide_are_those_of_the_program() {
    let lists =
        [("keys", keys()), ("variables", variables()), ("counters", counters()), ("features", not_built())];
    ensure(&lists);
}

#[test]
fn the_code_that_meets_requests_is_safe_rust() {
    for root in ["gopherd/src/lib.rs", "api/src/lib.rs", "probes/core/src/lib.rs"] {
        assert!(read(root).contains("#![forbid(unsafe_code)]"), "{root}");
    }
}
