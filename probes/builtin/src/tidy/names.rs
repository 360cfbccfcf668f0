//! Names and texts of features, tables, labels and columns.

use crate::all;
use probe_core::{Kind, Table};
use std::collections::HashMap;

fn tables() -> impl Iterator<Item = &'static Table> {
    all().flat_map(|feature| feature.tables).copied()
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_sentence(text: &str) -> bool {
    text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase()) && !text.contains(['\n', '|'])
}

/// What the columns of `tables` are called outside, and a clash if two have the same name there: in one
/// entity, or in two whose names run together (`sli` + `node_x`, `sli_node` + `x`).
fn clash(tables: impl Iterator<Item = &'static Table>) -> Option<String> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for table in tables {
        for column in table.columns {
            let suffixes: &[&str] = match column.kind {
                Kind::Histogram(_) => &["", "_bucket", "_sum", "_count", "_max"],
                Kind::Counter | Kind::Gauge => &[""],
            };
            for suffix in suffixes {
                let name = format!("{}_{}{suffix}", table.entity, column.name);
                if let Some(other) = seen.insert(name.clone(), table.name) {
                    return Some(format!("{name} is in {other} and in {}", table.name));
                }
            }
        }
    }
    None
}

#[test]
fn every_name_can_be_a_metric_or_a_label() {
    for table in tables() {
        let columns = table.columns.iter().map(|column| column.name);
        for name in
            table.keys.iter().chain(table.labels).copied().chain(columns).chain([table.name, table.entity])
        {
            assert!(is_name(name), "{}: `{name}`", table.name);
        }
    }
    for feature in all() {
        for sub in feature.sub_probes {
            assert!(is_name(sub.name), "{}: `{}`", feature.name, sub.name);
        }
    }
}

#[test]
fn label_names_and_table_names_are_unique() {
    let mut names = HashMap::new();
    for table in tables() {
        assert!(names.insert(table.name, ()).is_none(), "table {} twice", table.name);
        let labels: Vec<_> = table.keys.iter().chain(table.labels).collect();
        for (i, label) in labels.iter().enumerate() {
            assert!(!labels[i + 1..].contains(label), "{}: label {label} twice", table.name);
        }
    }
}

#[test]
fn no_two_columns_have_the_same_name_outside() {
    assert_eq!(clash(tables()), None);
}

#[test]
fn a_histogram_clashes_with_a_field_that_has_one_of_its_derived_names() {
    probe_core::table! {
        struct A = "a", entity "x", sub_probe "" { keys { } labels { } histogram(&[1]) rtt: None = "A."; }
    }
    probe_core::table! {
        struct B = "b", entity "x", sub_probe "" { keys { } labels { } gauge rtt_max: None = "B."; }
    }
    use probe_core::Row as _;
    assert!(clash([A::TABLE, B::TABLE].into_iter()).is_some_and(|text| text.contains("x_rtt_max")));
    assert_eq!(clash([A::TABLE].into_iter()), None);
}

#[test]
fn every_text_is_a_sentence() {
    for feature in all() {
        assert!(is_sentence(feature.summary), "{}: {}", feature.name, feature.summary);
        for sub in feature.sub_probes {
            // A summary may begin with the name of a system call.
            assert!(sub.summary.ends_with('.'), "{} {}: {}", feature.name, sub.name, sub.summary);
        }
        for param in feature.params {
            assert!(param.doc.ends_with('.'), "{}: {}", param.key, param.doc);
        }
    }
    for table in tables() {
        for column in table.columns {
            assert!(is_sentence(column.help), "{} {}: {}", table.name, column.name, column.help);
        }
    }
}

#[test]
fn a_table_belongs_to_a_sub_probe_of_its_feature() {
    for feature in all() {
        for table in feature.tables {
            let declared = match table.sub_probe {
                // Of a feature without them, or filled by several.
                "" => feature.sub_probes.len() != 1,
                name => feature.sub_probes.iter().any(|sub| sub.name == name),
            };
            assert!(declared, "{}: sub-probe `{}`", table.name, table.sub_probe);
        }
    }
}

#[test]
fn a_feature_lists_each_parameter_and_each_sub_probe_once() {
    for feature in all() {
        for (i, param) in feature.params.iter().enumerate() {
            assert!(
                feature.params[i + 1..].iter().all(|other| other.key != param.key),
                "{}: {} twice",
                feature.name,
                param.key
            );
        }
        let names: Vec<_> =
            feature.sub_probes.iter().flat_map(|sub| sub.aliases.iter().chain([&sub.name])).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[i + 1..].contains(name), "{}: {name} twice", feature.name);
        }
    }
}
