//! `custom_labels` and `pod_labels`: what is added to each series of a feature. A label name is checked here,
//! once, because a bad or doubled one makes Prometheus refuse the whole scrape.

use super::names::label_name_fault;
use super::selectors::wrong;
use crate::feature::json::Node;
use crate::feature::text::shown;
use crate::feature::{FeatureConfig, Path, Problem};
use probe_core::Descriptor;
use std::collections::BTreeSet;

/// Most labels of either kind; the contract's number.
const MAX_LABELS: usize = 10;

/// Longest value in bytes; the contract's number.
const MAX_VALUE: usize = 1024;

/// Longest Kubernetes label key in bytes: a 253-byte prefix, a slash and a 63-byte name.
const MAX_POD_KEY: usize = 317;

/// The label name that a pod's label key becomes: characters that a name cannot have are underscores.
pub fn pod_label_name(key: &str) -> String {
    key.char_indices()
        .map(|(i, c)| {
            let valid = c == '_' || c.is_ascii_alphabetic() || (c.is_ascii_digit() && i > 0);
            if valid { c } else { '_' }
        })
        .collect()
}

/// `custom_labels`, in the order of their names.
pub(super) fn custom(
    descriptor: &Descriptor,
    node: &Node,
    path: &Path,
) -> Result<Vec<(String, String)>, Problem> {
    const KEY: &str = "custom_labels";
    let Node::Object(members) = node else {
        return Err(wrong(path.clone(), KEY, "must be an object of strings"));
    };
    if members.len() > MAX_LABELS {
        return Err(wrong(path.clone(), KEY, &format!("more than {MAX_LABELS} labels")));
    }
    let mut labels = members
        .iter()
        .map(|(name, value)| pair(descriptor, KEY, name, value, path))
        .collect::<Result<Vec<_>, _>>()?;
    labels.sort();
    Ok(labels)
}

/// A name and its value, a member of the object at `path`.
pub(super) fn pair(
    descriptor: &Descriptor,
    section: &str,
    name: &str,
    value: &Node,
    path: &Path,
) -> Result<(String, String), Problem> {
    let at = || path.key(&shown(name));
    if let Some(fault) = label_name_fault(name, taken(descriptor)) {
        return Err(wrong(at(), section, &format!("{} {fault}", shown(name))));
    }
    match value {
        Node::Text(text) if text.len() <= MAX_VALUE => Ok((name.to_owned(), text.clone())),
        Node::Text(_) => Err(wrong(at(), section, &format!("the value is longer than {MAX_VALUE} bytes"))),
        _ => Err(wrong(at(), section, "the value must be a string")),
    }
}

/// `pod_labels`, in the order given.
pub(super) fn pod(descriptor: &Descriptor, node: &Node, path: &Path) -> Result<Vec<String>, Problem> {
    const KEY: &str = "pod_labels";
    let Node::Array(items) = node else {
        return Err(wrong(path.clone(), KEY, "must be an array of strings"));
    };
    if items.len() > MAX_LABELS {
        return Err(wrong(path.clone(), KEY, &format!("more than {MAX_LABELS} labels")));
    }
    let key = |(i, item): (usize, &Node)| {
        let Node::Text(key) = item else {
            return Err(wrong(path.index(i), KEY, "must be a string"));
        };
        let formed = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
        if key.is_empty() || key.len() > MAX_POD_KEY || !key.chars().all(formed) {
            return Err(wrong(path.index(i), KEY, &format!("{} is no label key of a pod", shown(key))));
        }
        match label_name_fault(&pod_label_name(key), taken(descriptor)) {
            Some(fault) => Err(wrong(path.index(i), KEY, &format!("{} {fault}", pod_label_name(key)))),
            None => Ok(key.clone()),
        }
    };
    items.iter().enumerate().map(key).collect()
}

/// Refuses two labels of one name on one series. `path` is the section's.
pub(super) fn check_collisions(config: &FeatureConfig, path: &Path) -> Result<(), Problem> {
    let mut names: BTreeSet<String> = config.custom_labels.iter().map(|(name, _)| name.clone()).collect();
    for key in &config.pod_labels {
        let name = pod_label_name(key);
        if !names.insert(name.clone()) {
            let what = format!("{key} becomes the label {name}, which another label has already");
            return Err(wrong(path.key("pod_labels"), "pod_labels", &what));
        }
    }
    for (i, entry) in config.selection.selectors.proc_name.iter().enumerate() {
        if let Some((name, _)) = entry.label.as_ref().filter(|(name, _)| names.contains(name)) {
            let at = path.key("proc_name").index(i).key("label");
            return Err(wrong(at, "proc_name", &format!("the feature has a label {name} already")));
        }
    }
    Ok(())
}

/// The labels of the feature's own tables.
fn taken(descriptor: &Descriptor) -> impl Iterator<Item = &'static str> {
    descriptor.tables.iter().flat_map(|table| table.keys.iter().chain(table.labels)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_label_key_becomes_a_label_name() {
        assert_eq!(pod_label_name("app.kubernetes.io/name"), "app_kubernetes_io_name");
        assert_eq!(pod_label_name("pod-template-hash"), "pod_template_hash");
        assert_eq!(pod_label_name("1st"), "_st");
    }
}
