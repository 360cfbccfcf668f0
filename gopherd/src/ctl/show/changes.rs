//! What became of a change, and what a dry run would change, value by value.

use super::painted;
use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use gopher_api::{ApplyResult, ProbeConfig};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One line a feature of a transaction.
pub(in crate::ctl) fn applied(look: &Look, result: &ApplyResult) -> String {
    let mut out = String::new();
    for (feature, applied) in &result.probes {
        let (feature, state) = (inline(feature), painted(look, applied.state));
        let _ = writeln!(out, "{feature}: accepted; {state} (generation {})", applied.generation);
    }
    out
}

/// For each feature, what a dry run says would be another value than `before`.
pub(in crate::ctl) fn would_change(
    look: &Look,
    before: &BTreeMap<String, ProbeConfig>,
    result: &ApplyResult,
) -> String {
    let mut out = String::new();
    for (feature, applied) in &result.probes {
        let after = applied.config.as_ref();
        let lines = difference(before.get(feature), after);
        let what = if lines.is_empty() { "nothing would change" } else { "would be accepted" };
        let (feature, state) = (inline(feature), painted(look, applied.state));
        let _ = writeln!(out, "{feature}: {what}; {state} (generation {})", applied.generation);
        for (tone, line) in lines {
            let _ = writeln!(out, "  {}", look.paint(tone, &inline(&line)));
        }
    }
    out
}

/// A line for each value that is not the same.
fn difference(before: Option<&ProbeConfig>, after: Option<&ProbeConfig>) -> Vec<(Tone, String)> {
    let (before, after) = (leaves(before), leaves(after));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let line = |path: &String| match (before.get(path), after.get(path)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => Some((Tone::Warn, format!("~ {path}: {old} -> {new}"))),
        (Some(old), None) => Some((Tone::Bad, format!("- {path}: {old}"))),
        (None, Some(new)) => Some((Tone::Good, format!("+ {path}: {new}"))),
        (None, None) => None,
    };
    paths.into_iter().filter_map(line).collect()
}

/// Every value that is no object, by its JSON pointer. An array is one value: its places have no meaning of
/// their own. So is an empty object, which may say something by being there.
fn leaves(config: Option<&ProbeConfig>) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    // A document of these types always has a JSON form.
    let document = config.and_then(|config| serde_json::to_value(config).ok());
    let mut open: Vec<(String, Value)> = document.into_iter().map(|value| (String::new(), value)).collect();
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) if !members.is_empty() || path.is_empty() => {
                open.extend(members.into_iter().map(|(key, value)| {
                    (format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), value)
                }));
            }
            Value::Object(_) if path == "/params" || path == "/budget" => {}
            leaf => {
                leaves.insert(path, leaf);
            }
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ProbeConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_difference_names_each_value_that_comes_goes_or_changes() {
        let before =
            config(r#"{"params":{"report_period":5,"drops_thr":1},"blacklist":{},"state":"stopped"}"#);
        let after = config(r#"{"params":{"report_period":5,"a/b~":[1,2]},"state":"running"}"#);
        let lines: Vec<String> =
            difference(Some(&before), Some(&after)).into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines[0], "- /blacklist/container_id: []");
        assert_eq!(
            &lines[5..],
            ["+ /params/a~1b~0: [1,2]", "- /params/drops_thr: 1", "~ /state: \"stopped\" -> \"running\"",]
        );
        assert_eq!(difference(Some(&after), Some(&after)), []);
    }

    #[test]
    fn a_first_parameter_is_one_line() {
        let after = config(r#"{"params":{"report_period":5}}"#);
        let lines = difference(Some(&ProbeConfig::default()), Some(&after));
        assert_eq!(lines, [(Tone::Good, "+ /params/report_period: 5".to_owned())]);
    }
}
