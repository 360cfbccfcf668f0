//! What the kernel is told of selections, so that it knows of a process that begins what the engine will decide: which
//! names are enough, and what the rules look at beyond. Pure. A name is learnt when a process has it, so the first of
//! that name waits for the engine; names that stand in an expression as they are are told before.

use super::rules::{self, finds};
use crate::feature::{Mode, ProcName, Selection, Selectors};
use hashbrown::{HashMap, HashSet};
use probe_core::Label;
use probe_kit::bpf::{Foresight, Looks, Name, name};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names that are learnt of one feature. Processes with later ones wait for the engine.
const MAX_NAMES: usize = 1024;

/// Names that are remembered as looked at. With more of them all are forgotten and looked at again.
const MAX_LOOKED_AT: usize = 4096;

/// What the kernel is to know, of each feature.
#[derive(Debug, Default)]
pub(super) struct Foresights {
    features: HashMap<&'static str, (Arc<Selection>, Foresight)>,
    /// Names that no feature learns anything from.
    looked_at: HashSet<Label>,
    /// Features of which the kernel knows something else.
    news: BTreeSet<&'static str>,
}

impl Foresights {
    /// The feature has this selection now.
    pub(super) fn set(&mut self, feature: &'static str, selection: &Arc<Selection>) {
        if self.features.get(feature).is_some_and(|(before, _)| before == selection) {
            return;
        }
        self.looked_at.clear();
        self.features.insert(feature, (Arc::clone(selection), foresee(selection)));
        self.news.insert(feature);
    }

    /// The feature has none any more.
    pub(super) fn remove(&mut self, feature: &'static str) {
        if self.features.remove(feature).is_some() {
            self.news.insert(feature);
        }
    }

    /// Some process is called so.
    pub(super) fn learn(&mut self, comm: &Label) {
        if self.looked_at.contains(comm) {
            return;
        }
        if self.looked_at.len() >= MAX_LOOKED_AT {
            self.looked_at.clear();
        }
        self.looked_at.insert(comm.clone());
        let Some(learnt) = name(comm) else { return };
        for (feature, (selection, foresight)) in &mut self.features {
            let room = foresight.names.len() < MAX_NAMES;
            if room && is_enough(&selection.selectors, comm) && foresight.names.insert(learnt) {
                self.news.insert(feature);
            }
        }
    }

    /// The kernel knows nothing of what it was told.
    pub(super) fn forgotten(&mut self) {
        self.news.extend(self.features.keys());
    }

    /// What the kernel is to know otherwise than before.
    pub(super) fn news(&mut self) -> Vec<(&'static str, Option<Foresight>)> {
        let known = |feature| self.features.get(feature).map(|(_, foresight)| foresight.clone());
        std::mem::take(&mut self.news).into_iter().map(|feature| (feature, known(feature))).collect()
    }
}

/// Whether a process is listed if it has this name, whatever its arguments and its place are.
fn is_enough(selectors: &Selectors, comm: &str) -> bool {
    let enough = |entry: &ProcName| entry.cmdline.is_none() && finds(entry.comm.as_ref(), Some(comm));
    selectors.proc_name.iter().any(enough)
}

/// What can be said without having seen a process.
fn foresee(selection: &Selection) -> Foresight {
    let selectors = &selection.selectors;
    let looks = match (selectors.proc_name.is_empty(), rules::has_container_rules(selectors)) {
        _ if !selectors.proc_id.is_empty() => Looks::Else,
        (true, false) => Looks::Else,
        (false, false) => Looks::Name,
        (true, true) => Looks::Place,
        (false, true) => Looks::Both,
    };
    let written = selectors.proc_name.iter().filter_map(|entry| entry.comm.as_ref());
    let names: BTreeSet<Name> = written
        .flat_map(|regex| words(regex.as_str()))
        .filter(|word| is_enough(selectors, word))
        .filter_map(|word| name(&word))
        .take(MAX_NAMES)
        .collect();
    Foresight { excludes: selection.mode == Mode::Exclude, names, looks }
}

/// The words of an expression, as `curl` and `wget2.0` of `^(curl|wget2\.0)$`. Whether it matches them is asked of it.
fn words(pattern: &str) -> Vec<String> {
    let plain = pattern.replace('\\', "");
    let is_word = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    plain.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
#[path = "foresight_tests.rs"]
mod tests;
