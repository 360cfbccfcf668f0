//! Which selector matches a process, and what a selection as a whole resolves to. Pure: no /proc, no clock.
//!
//! `proc_name` never matches the daemon itself nor its children (extension probes), so that a rule for
//! `python` does not observe the observer; `proc_id` may name any process, the daemon included.
//! Container and pod selectors match nothing in this version.

use super::facts::ProcFacts;
use super::table::Listing;
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
}

/// How a process is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The first selector that matches, `proc_id` before `proc_name`.
    pub(super) rule: Rule,
    /// The first matching `proc_name` entry that has a label.
    pub(super) label: Option<usize>,
}

/// How `selectors` match the process, if they do. `own` is the daemon's pid. A command line that was not
/// read matches no expression.
pub(super) fn matches(selectors: &Selectors, facts: &ProcFacts, own: Option<u32>) -> Option<Match> {
    let by_id = selectors.proc_id.iter().position(|id| id.process == Some(facts.key)).map(Rule::ProcId);
    if is_ours(facts, own) {
        return by_id.map(|rule| Match { rule, label: None });
    }
    let mut by_name = None;
    for (index, entry) in selectors.proc_name.iter().enumerate() {
        let wanted = entry.label.is_some() || (by_id.is_none() && by_name.is_none());
        if wanted && name_matches(entry, facts) {
            by_name = by_name.or(Some(Rule::ProcName(index)));
            if entry.label.is_some() {
                let rule = by_id.or(by_name)?;
                return Some(Match { rule, label: Some(index) });
            }
        }
    }
    by_id.or(by_name).map(|rule| Match { rule, label: None })
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

/// Which processes must be known to resolve `selectors`.
pub(super) fn listing(selectors: &Selectors) -> Listing {
    if !selectors.proc_name.is_empty() {
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
