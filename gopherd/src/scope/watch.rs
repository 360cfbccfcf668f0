//! The selections that are watched and what they resolve to, kept up to date by scans. Single-threaded and
//! without a clock: `engine` drives it. Only processes that changed are matched again, so that a thousand
//! rules cost nothing while nothing happens.

use super::facts::ProcFacts;
use super::rules::{self, Rule};
use super::table::{Delta, Depth, Listing, Table, Want};
use crate::feature::Selection;
use hashbrown::HashMap;
use probe_core::{Label, ProcKey, Scope};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A label given by the operator: name and value.
pub type UserLabel = Arc<(String, String)>;

/// A process that a selection matches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hit {
    /// Its name now.
    pub(super) comm: Label,
    /// The first selector that matches it.
    pub(super) rule: Rule,
    /// The label for its series.
    pub(super) label: Option<UserLabel>,
}

/// One feature's selection and what it resolves to.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// The selection.
    pub(super) selection: Arc<Selection>,
    /// What it resolves to.
    pub(super) scope: Scope,
    /// The processes that its selectors match.
    pub(super) hits: HashMap<ProcKey, Hit>,
    /// One for each `proc_name` entry, shared by all its hits.
    labels: Arc<[Option<UserLabel>]>,
}

/// What a scan did to a selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// It resolves to something else.
    pub(super) scope: bool,
    /// Something about its hits is different: members, names, rules.
    pub(super) hits: bool,
}

impl Watched {
    /// With no process matched yet.
    fn new(selection: &Selection) -> Self {
        let names = &selection.selectors.proc_name;
        Self {
            selection: Arc::new(selection.clone()),
            scope: rules::scope(selection, []),
            hits: HashMap::new(),
            labels: names.iter().map(|entry| entry.label.clone().map(Arc::new)).collect(),
        }
    }

    /// Matches every process.
    fn match_all(&mut self, table: &Table, own: Option<u32>) {
        self.hits = table.iter().filter_map(|facts| Some((facts.key, self.hit(facts, own)?))).collect();
        self.resolve();
    }

    fn hit(&self, facts: &ProcFacts, own: Option<u32>) -> Option<Hit> {
        let found = rules::matches(&self.selection.selectors, facts, own)?;
        let label = found.label.and_then(|index| self.labels.get(index)?.clone());
        Some(Hit { comm: facts.comm.clone(), rule: found.rule, label })
    }

    fn resolve(&mut self) {
        self.scope = rules::scope(&self.selection, self.hits.keys().copied());
    }

    fn apply(&mut self, delta: &Delta, table: &Table, own: Option<u32>) -> Effect {
        let mut effect = Effect::default();
        for key in &delta.gone {
            effect.scope |= self.hits.remove(key).is_some();
        }
        for facts in delta.changed.iter().filter_map(|pid| table.get(*pid)) {
            let hit = self.hit(facts, own);
            effect.scope |= hit.is_some() != self.hits.contains_key(&facts.key);
            let before = match hit.clone() {
                Some(hit) => self.hits.insert(facts.key, hit),
                None => self.hits.remove(&facts.key),
            };
            effect.hits |= before != hit;
        }
        effect.hits |= effect.scope;
        if effect.scope {
            self.resolve();
        }
        effect
    }
}

/// All watched selections over one table of processes.
#[derive(Debug)]
pub(super) struct Watch {
    table: Table,
    own: Option<u32>,
    features: BTreeMap<&'static str, Watched>,
    /// The last scan failed, so the next failure is no news.
    failing: bool,
}

impl Watch {
    /// Nothing watched yet, over the /proc at `root`; the daemon's pid there is `own`.
    pub(super) fn new(root: &Path, own: Option<u32>) -> Self {
        Self { table: Table::new(root), own, features: BTreeMap::new(), failing: false }
    }

    /// What is known about a feature.
    pub(super) fn get(&self, feature: &str) -> Option<&Watched> {
        self.features.get(feature)
    }

    /// Whether any selection has to be looked at again and again.
    pub(super) fn needs_scans(&self) -> bool {
        self.want().listing != Listing::Nothing
    }

    /// Processes that the last scan could not take in.
    pub(super) fn missed(&self) -> usize {
        self.table.missed()
    }

    /// Watches `selection` for `feature` instead of what it had, after a look at everything that it needs.
    /// Returns what that look did to the other features.
    pub(super) fn set(
        &mut self,
        feature: &'static str,
        selection: &Selection,
    ) -> Vec<(&'static str, Effect)> {
        self.features.insert(feature, Watched::new(selection));
        let mut effects = Vec::new();
        if rules::listing(&selection.selectors) != Listing::Nothing || !self.needs_scans() {
            effects = self.scan(Depth::Everything);
            effects.retain(|(name, _)| *name != feature);
        }
        if let Some(watched) = self.features.get_mut(feature) {
            watched.match_all(&self.table, self.own);
        }
        effects
    }

    /// Forgets `feature`; with the last one that needs them the processes are forgotten too.
    pub(super) fn remove(&mut self, feature: &str) {
        self.features.remove(feature);
        if !self.needs_scans() {
            self.scan(Depth::Due);
        }
    }

    /// Looks at /proc again and says which features that touched.
    pub(super) fn rescan(&mut self) -> Vec<(&'static str, Effect)> {
        self.scan(Depth::Due)
    }

    /// A /proc that cannot be listed leaves everything as it was.
    fn scan(&mut self, depth: Depth) -> Vec<(&'static str, Effect)> {
        let delta = match self.table.scan(&self.want(), depth) {
            Ok(delta) => delta,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "cannot list processes; scopes stay as they are");
                }
                return Vec::new();
            }
        };
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("processes can be listed again");
        }
        let (table, own) = (&self.table, self.own);
        let effects =
            self.features.iter_mut().map(|(name, watched)| (*name, watched.apply(&delta, table, own)));
        effects.filter(|(_, effect)| effect.hits).collect()
    }

    fn want(&self) -> Want {
        let mut want = Want::default();
        for watched in self.features.values() {
            let selectors = &watched.selection.selectors;
            want.listing = want.listing.with(rules::listing(selectors));
            want.cmdline |= rules::needs_cmdline(selectors);
        }
        want
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
