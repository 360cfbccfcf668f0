//! `snoopers` and `blacklist`: the merge rules of section 2 of the control contract.
//!
//! A section with a selector key replaces every selector; with label keys only it changes those labels; an
//! empty one clears the selectors and keeps the labels.

use super::Reader;
use super::reader::object;
use super::{labels, selectors};
use crate::feature::json::Node;
use crate::feature::{FeatureConfig, Mode, Path, Problem, Selection, Selectors};

const SELECTORS: &[&str] = &["proc_id", "proc_name", "pod_id", "container_id", "container_name"];

pub(super) fn read(
    r: &mut Reader<'_>,
    node: &Node,
    path: &Path,
    mode: Mode,
    config: &mut FeatureConfig,
) -> Result<(), Problem> {
    let members = object(node, path)?;
    check_number(r, node, path)?;

    let descriptor = r.cx.descriptor;
    let mut given = Selectors::default();
    let (mut has_selector, mut has_label) = (false, false);
    for (key, value) in members {
        let at = path.key(key);
        match key.as_str() {
            "proc_id" => given.proc_id = selectors::proc_id(r, value, &at)?,
            "proc_name" => given.proc_name = selectors::proc_name(r, value, &at)?,
            "pod_id" => given.pod_id = selectors::pod_id(value, &at)?,
            "container_id" => given.container_id = selectors::container_id(value, &at)?,
            "container_name" => given.container_name = selectors::container_name(value, &at)?,
            "custom_labels" => config.custom_labels = labels::custom(descriptor, value, &at)?,
            "pod_labels" => config.pod_labels = labels::pod(descriptor, value, &at)?,
            _ => r.unknown_key(path, key)?,
        }
        has_selector |= SELECTORS.contains(&key.as_str());
        has_label |= matches!(key.as_str(), "custom_labels" | "pod_labels");
    }
    // A section of unknown keys alone changes nothing: a misspelt selector must not widen the scope. A
    // blacklist of labels alone has no selectors to keep when the mode was the other one.
    let switches = has_label && mode == Mode::Exclude && config.selection.mode == Mode::Include;
    if has_selector || members.is_empty() || switches {
        config.selection = Selection { mode, selectors: given };
    }
    labels::check_collisions(config, path)
}

/// Counts the entries before any expression is compiled.
fn check_number(r: &Reader<'_>, node: &Node, path: &Path) -> Result<(), Problem> {
    let entries: usize = SELECTORS
        .iter()
        .filter_map(|key| match node.get(key) {
            Some(Node::Array(items)) => Some(items.len()),
            _ => None,
        })
        .sum();
    if entries > r.cx.max_rules {
        let message = format!("{path} has {entries} rules, must be at most {}", r.cx.max_rules);
        return Err(Problem::invalid(path.clone(), message));
    }
    Ok(())
}
