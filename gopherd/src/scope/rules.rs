//! Which selector matches a process, and what a selection as a whole resolves to. Pure: no /proc, no clock.
//!
//! Only `proc_id` may name the daemon itself and its children (extension probes): a rule for `python`, or for
//! the container that gopherd runs in, must not observe the observer.
//!
//! A process is matched by a container selector when any of the containers that it is in is named. Names are
//! compared as gala-gopher compares them, by substring: `web` names `web-1` too.

use super::facts::ProcFacts;
use super::table::Listing;
use crate::containers::{Container, ContainerId, Registry};
use crate::feature::{Mode, ProcName, Selection, Selectors};
use probe_core::{ProcKey, Scope};
use regex::Regex;
use std::sync::Arc;

/// A selector, by its place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `proc_id`.
    ProcId(usize),
    /// `proc_name`.
    ProcName(usize),
    /// `pod_id`.
    PodId(usize),
    /// `container_id`.
    ContainerId(usize),
    /// `container_name`.
    ContainerName(usize),
}

/// How a process is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The first selector that matches, in the order of [`Rule`].
    pub(super) rule: Rule,
    /// The first matching `proc_name` entry that has a label.
    pub(super) label: Option<usize>,
    /// A container or pod selector matches, first or not.
    pub(super) by_container: bool,
}

/// How `selectors` match the process, if they do. `own` is the daemon's pid, `registry` knows what containers
/// are called. What was not read of the process matches nothing.
pub(super) fn matches(
    selectors: &Selectors,
    facts: &ProcFacts,
    own: Option<u32>,
    registry: &Registry,
) -> Option<Match> {
    let by_id = selectors.proc_id.iter().position(|id| id.process == Some(facts.key)).map(Rule::ProcId);
    if is_ours(facts, own) {
        return by_id.map(|rule| Match { rule, label: None, by_container: false });
    }
    let (by_name, label) = by_name(selectors, facts, by_id.is_none());
    let by_container = container_rule(selectors, facts.place.as_deref().unwrap_or_default(), registry);
    let rule = by_id.or(by_name).or(by_container)?;
    Some(Match { rule, label, by_container: by_container.is_some() })
}

/// The first matching `proc_name` entry, if it is `needed`, and the first with a label.
fn by_name(selectors: &Selectors, facts: &ProcFacts, needed: bool) -> (Option<Rule>, Option<usize>) {
    let mut first = None;
    for (index, entry) in selectors.proc_name.iter().enumerate() {
        let wanted = entry.label.is_some() || (needed && first.is_none());
        if wanted && name_matches(entry, facts) {
            first = first.or(Some(Rule::ProcName(index)));
            if entry.label.is_some() {
                return (first, Some(index));
            }
        }
    }
    (first, None)
}

/// The first container or pod selector that names one of the containers in `place`.
pub(super) fn container_rule(
    selectors: &Selectors,
    place: &[ContainerId],
    registry: &Registry,
) -> Option<Rule> {
    if place.is_empty() || !has_container_rules(selectors) {
        return None;
    }
    let needs_facts = !(selectors.pod_id.is_empty() && selectors.container_name.is_empty());
    let known: Vec<Arc<Container>> =
        if needs_facts { place.iter().filter_map(|id| registry.get(id)).collect() } else { Vec::new() };
    let pod = |uid: &String| known.iter().any(|container| has_uid(container, uid));
    let id = |short: &String| place.iter().any(|id| id.short() == short);
    let name = |text: &String| known.iter().any(|container| is_called(container, text));
    let rule = selectors.pod_id.iter().position(pod).map(Rule::PodId);
    let rule = rule.or_else(|| selectors.container_id.iter().position(id).map(Rule::ContainerId));
    rule.or_else(|| selectors.container_name.iter().position(name).map(Rule::ContainerName))
}

/// Whether the container belongs to the pod with this uid.
pub(super) fn has_uid(container: &Container, uid: &str) -> bool {
    container.pod.as_ref().is_some_and(|pod| pod.uid == uid)
}

/// Whether `text` is a part of the container's name.
pub(super) fn is_called(container: &Container, text: &str) -> bool {
    container.name.as_ref().is_some_and(|name| name.contains(text))
}

/// Whether any selector names containers or pods.
pub(super) fn has_container_rules(selectors: &Selectors) -> bool {
    !(selectors.pod_id.is_empty() && selectors.container_id.is_empty() && selectors.container_name.is_empty())
}

/// Whether each given expression of a `proc_name` entry is found.
fn name_matches(entry: &ProcName, facts: &ProcFacts) -> bool {
    finds(entry.comm.as_ref(), Some(&facts.comm)) && finds(entry.cmdline.as_ref(), facts.cmdline.as_deref())
}

/// Whether `wanted` is found in `text`; without an expression anything will do.
pub(super) fn finds(wanted: Option<&Regex>, text: Option<&str>) -> bool {
    wanted.is_none_or(|regex| text.is_some_and(|text| regex.is_match(text)))
}

/// Whether the process is the daemon or a child of it.
pub(super) fn is_ours(facts: &ProcFacts, own: Option<u32>) -> bool {
    own.is_some_and(|own| facts.key.tgid == own || facts.ppid == own)
}

/// What a selection resolves to when its selectors match `matched`.
pub(super) fn scope(selection: &Selection, matched: impl IntoIterator<Item = ProcKey>) -> Scope {
    match selection.mode {
        Mode::Include if selection.selectors.is_empty() => Scope::Unset,
        Mode::Exclude if selection.selectors.is_empty() => Scope::All,
        Mode::Include => Scope::Only(Arc::new(matched.into_iter().collect())),
        Mode::Exclude => Scope::Except(Arc::new(matched.into_iter().collect())),
    }
}

/// Whether a process's container is in scope as a container, when container selectors match it or not.
pub(super) fn observes_container(selection: &Selection, by_container: bool) -> bool {
    match selection.mode {
        Mode::Include => by_container || selection.selectors.is_empty(),
        Mode::Exclude => !by_container,
    }
}

/// Which processes must be known to resolve `selectors`.
pub(super) fn listing(selectors: &Selectors) -> Listing {
    if !selectors.proc_name.is_empty() || has_container_rules(selectors) {
        return Listing::All;
    }
    let pids = selectors.proc_id.iter().filter_map(|id| id.process).map(|key| key.tgid).collect();
    Listing::Nothing.with(Listing::Pids(pids))
}

/// Whether a rule looks at command lines.
pub(super) fn needs_cmdline(selectors: &Selectors) -> bool {
    selectors.proc_name.iter().any(|entry| entry.cmdline.is_some())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
