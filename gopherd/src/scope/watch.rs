//! The selections that are watched and what they resolve to, kept up to date by scans. Single-threaded and
//! without a clock: `engine` drives it. Only processes that changed are matched again, so that a thousand
//! rules cost nothing while nothing happens.

use super::bell::Heard;
use super::facts::{ProcFacts, shown};
use super::foresight::Foresights;
use super::rules::{self, Rule};
use super::table::{Delta, Depth, Listing, Table, Want};
use crate::containers::{ContainerId, Registry};
use crate::feature::Selection;
use hashbrown::{HashMap, HashSet};
use probe_core::{Capability, ContainerKey, ContainerTarget, Label, ProcKey, Resolved};
use probe_kit::bpf::Foresight;
use probe_kit::privilege::raise;
use probe_kit::tracker::{Change, Event};
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
    /// The innermost container that it is in; `None` if it is in none or no rule needs to know.
    pub(super) container: Option<ContainerId>,
    /// A container or pod selector matches it.
    pub(super) by_container: bool,
}

/// One feature's selection and what it resolves to.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// The selection.
    pub(super) selection: Arc<Selection>,
    /// Somebody wants to know the containers in scope.
    wants_containers: bool,
    /// What it resolves to.
    pub(super) resolved: Resolved,
    /// The processes that its selectors match.
    pub(super) hits: HashMap<ProcKey, Hit>,
    /// The containers that its selectors match.
    pub(super) matched_containers: usize,
    /// The containers in scope, if they are wanted, by what probes call them.
    pub(super) containers: HashMap<ContainerKey, ContainerId>,
    /// The processes in these.
    inside: HashMap<ProcKey, ContainerId>,
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

/// What matching asks beside the process.
#[derive(Clone, Copy)]
struct Host<'a> {
    table: &'a Table,
    registry: &'a Registry,
    own: Option<u32>,
}

impl Watched {
    /// With no process matched yet.
    fn new(selection: &Selection, wants_containers: bool) -> Self {
        let names = &selection.selectors.proc_name;
        let scope = rules::scope(selection, []);
        Self {
            selection: Arc::new(selection.clone()),
            wants_containers,
            resolved: Resolved { scope, ..Resolved::default() },
            hits: HashMap::new(),
            matched_containers: 0,
            containers: HashMap::new(),
            inside: HashMap::new(),
            labels: names.iter().map(|entry| entry.label.clone().map(Arc::new)).collect(),
        }
    }

    /// What must be known to resolve it.
    fn want(&self) -> Want {
        let selectors = &self.selection.selectors;
        let listing = if self.wants_containers { Listing::All } else { rules::listing(selectors) };
        Want {
            listing,
            cmdline: rules::needs_cmdline(selectors),
            place: self.wants_containers || rules::has_container_rules(selectors),
        }
    }

    /// Matches every process.
    fn match_all(&mut self, host: Host<'_>) {
        self.hits.clear();
        self.inside.clear();
        for facts in host.table.iter() {
            let hit = self.hit(facts, host);
            self.enter(facts, hit.as_ref());
            self.hits.extend(hit.map(|hit| (facts.key, hit)));
        }
        self.resolve();
        self.resolve_containers();
    }

    fn hit(&self, facts: &ProcFacts, host: Host<'_>) -> Option<Hit> {
        let found = rules::matches(&self.selection.selectors, facts, host.own, host.registry)?;
        Some(Hit {
            comm: facts.comm.clone(),
            rule: found.rule,
            label: found.label.and_then(|index| self.labels.get(index)?.clone()),
            container: innermost(facts).cloned(),
            by_container: found.by_container,
        })
    }

    /// Notes in which container in scope the process is; whether that is another one than before.
    fn enter(&mut self, facts: &ProcFacts, hit: Option<&Hit>) -> bool {
        let by_container = hit.is_some_and(|hit| hit.by_container);
        let observed = self.wants_containers && rules::observes_container(&self.selection, by_container);
        let now = innermost(facts).filter(|_| observed);
        if self.inside.get(&facts.key) == now {
            return false;
        }
        match now {
            Some(id) => self.inside.insert(facts.key, id.clone()),
            None => self.inside.remove(&facts.key),
        };
        true
    }

    fn resolve(&mut self) {
        self.resolved.scope = rules::scope(&self.selection, self.hits.keys().copied());
    }

    /// Whether the containers in scope are others than before.
    fn resolve_containers(&mut self) -> bool {
        let matched = self.hits.values().filter(|hit| hit.by_container);
        self.matched_containers =
            matched.filter_map(|hit| hit.container.as_ref()).collect::<HashSet<_>>().len();
        let mut oldest: HashMap<&ContainerId, ProcKey> = HashMap::new();
        for (key, id) in &self.inside {
            let first = oldest.entry(id).or_insert(*key);
            if (key.start_ticks, key.tgid) < (first.start_ticks, first.tgid) {
                *first = *key;
            }
        }
        let target = |(id, process): (&&ContainerId, &ProcKey)| {
            Some((ContainerTarget { id: ContainerKey::new(id.as_str())?, process: *process }, (*id).clone()))
        };
        let mut found: Vec<_> = oldest.iter().filter_map(target).collect();
        found.sort_unstable();
        // Two ids with the same beginning are one container, as for the reference.
        found.dedup_by_key(|(target, _)| target.id);
        let changed = !found.iter().map(|(target, _)| target).eq(self.resolved.containers.iter());
        if changed {
            self.resolved.containers = found.iter().map(|(target, _)| *target).collect();
            self.containers = found.into_iter().map(|(target, id)| (target.id, id)).collect();
        }
        changed
    }

    fn apply(&mut self, delta: &Delta, host: Host<'_>) -> Effect {
        let mut effect = Effect::default();
        let mut moved = false;
        for key in &delta.gone {
            effect.scope |= self.hits.remove(key).is_some();
            moved |= self.inside.remove(key).is_some();
        }
        for facts in delta.changed.iter().filter_map(|pid| host.table.get(*pid)) {
            let hit = self.hit(facts, host);
            moved |= self.enter(facts, hit.as_ref());
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
        if moved || effect.hits {
            effect.scope |= self.resolve_containers();
            effect.hits |= effect.scope;
        }
        effect
    }
}

/// The innermost container of a process whose place was read.
fn innermost(facts: &ProcFacts) -> Option<&ContainerId> {
    facts.place.as_ref()?.first()
}

/// All watched selections over one table of processes.
#[derive(Debug)]
pub(super) struct Watch {
    table: Table,
    registry: Registry,
    own: Option<u32>,
    features: BTreeMap<&'static str, Watched>,
    foresights: Foresights,
    /// The last scan failed, so the next failure is no news.
    failing: bool,
    /// The process tracker tells everything that happens, and the table has seen what there was before.
    tracked: bool,
}

/// What a look did to each feature that it touched.
pub(super) type Effects = Vec<(&'static str, Effect)>;

impl Watch {
    /// Nothing watched yet, over the /proc at `root`; the daemon's pid there is `own`.
    pub(super) fn new(root: &Path, registry: Registry, own: Option<u32>) -> Self {
        let table = Table::new(root, registry.clone());
        let (features, foresights) = (BTreeMap::new(), Foresights::default());
        Self { table, registry, own, features, foresights, failing: false, tracked: false }
    }

    /// What is known about a feature.
    pub(super) fn get(&self, feature: &str) -> Option<&Watched> {
        self.features.get(feature)
    }

    /// Whether any selection has to be looked at again and again.
    pub(super) fn needs_scans(&self) -> bool {
        self.want().listing != Listing::Nothing
    }

    /// Whether some selection can be followed with the process tracker better than without: one that lists every
    /// process. Of bound processes only the end matters, and that is not urgent.
    pub(super) fn needs_tracker(&self) -> bool {
        self.want().listing == Listing::All
    }

    /// Processes that the last scan could not take in.
    pub(super) fn missed(&self) -> usize {
        self.table.missed()
    }

    /// Watches `selection` for `feature` instead of what it had, with the containers in scope if they are
    /// wanted, after a look at everything that it needs. Returns what that look did to the other features.
    pub(super) fn set(
        &mut self,
        feature: &'static str,
        selection: &Selection,
        wants_containers: bool,
    ) -> Effects {
        let watched = Watched::new(selection, wants_containers);
        let needs_look = watched.want().listing != Listing::Nothing;
        self.foresights.set(feature, &watched.selection);
        self.features.insert(feature, watched);
        let mut effects = Vec::new();
        if needs_look || !self.needs_scans() {
            // Whom the tracker tells everything knows every process; the rest is what nobody wanted before.
            effects = if self.tracked && self.needs_tracker() {
                self.apply_to_all(Table::fill)
            } else {
                self.scan(Depth::Everything)
            };
            effects.retain(|(name, _)| *name != feature);
        }
        let host = Host { table: &self.table, registry: &self.registry, own: self.own };
        if let Some(watched) = self.features.get_mut(feature) {
            watched.match_all(host);
        }
        self.table.iter().for_each(|facts| self.foresights.learn(&facts.comm));
        effects
    }

    /// Forgets `feature`; with the last one that needs them the processes are forgotten too.
    pub(super) fn remove(&mut self, feature: &'static str) {
        self.features.remove(feature);
        self.foresights.remove(feature);
        if !self.needs_scans() {
            self.scan(Depth::Due);
        }
    }

    /// Looks at /proc again and says which features that touched.
    pub(super) fn rescan(&mut self) -> Effects {
        self.scan(Depth::Due)
    }

    /// Looks at what the news are about. Without a selection that lists the processes they are no news.
    pub(super) fn hear(&mut self, heard: &Heard) -> Effects {
        let want = self.want();
        if heard.is_empty() || want.listing != Listing::All {
            return Vec::new();
        }
        let mut delta = Delta::default();
        if heard.too_much {
            let Some(found) = self.look(Depth::Everything) else { return Vec::new() };
            delta = found;
            delta.changed = self.table.iter().map(|facts| facts.key.tgid).collect();
        } else {
            heard.started.iter().for_each(|pid| self.table.look(*pid, &want, &mut delta));
            delta.changed.extend(self.table.inside(&heard.changed));
        }
        self.apply(&delta)
    }

    /// Takes in what the tracker told.
    pub(super) fn track(&mut self, events: &[Event]) -> Effects {
        let want = self.want();
        if want.listing != Listing::All {
            return Vec::new();
        }
        let _raised = (want.cmdline || want.place).then(|| raise(&[Capability::SysPtrace]));
        let mut delta = Delta::default();
        for event in events {
            // Also of those that have ended by now: the next of that name is the kernel's.
            if let Change::Exec { comm, .. } | Change::Fork { comm, .. } | Change::Comm(comm) = &event.change
            {
                self.foresights.learn(&shown(comm.clone()));
            }
            let lingers = self.features.values().any(|watched| watched.hits.contains_key(&event.process));
            self.table.track(event, lingers, &want, &mut delta);
        }
        self.apply(&delta)
    }

    /// The features that list a process that lives; `None` if it is not known, or has ended.
    pub(super) fn listing(&self, process: ProcKey) -> Option<Vec<&'static str>> {
        self.table.get(process.tgid).filter(|facts| facts.key == process)?;
        let listing = self.features.iter().filter(|(_, watched)| watched.hits.contains_key(&process));
        Some(listing.map(|(name, _)| *name).collect())
    }

    /// What the kernel is to know of selections otherwise than before.
    pub(super) fn foresights(&mut self) -> Vec<(&'static str, Option<Foresight>)> {
        self.foresights.news()
    }

    /// Looks at everything, because events were lost or there were none before. With `tracked` nothing is lost
    /// from here on and everything is told.
    pub(super) fn reconcile(&mut self, tracked: bool) -> Effects {
        self.tracked = tracked;
        self.scan(Depth::Everything)
    }

    /// Nobody tells what happens any more, nor knows anything.
    pub(super) fn untracked(&mut self) {
        self.tracked = false;
        self.foresights.forgotten();
    }

    /// What is due between two scans while the tracker tells everything.
    pub(super) fn turn(&mut self) -> Effects {
        self.apply_to_all(Table::turn)
    }

    fn apply_to_all(&mut self, look: impl FnOnce(&mut Table, &Want) -> Delta) -> Effects {
        let want = self.want();
        let delta = look(&mut self.table, &want);
        self.apply(&delta)
    }

    fn scan(&mut self, depth: Depth) -> Effects {
        self.look(depth).map(|delta| self.apply(&delta)).unwrap_or_default()
    }

    /// A /proc that cannot be listed leaves everything as it was.
    fn look(&mut self, depth: Depth) -> Option<Delta> {
        let delta = match self.table.scan(&self.want(), depth) {
            Ok(delta) => delta,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "cannot list processes; scopes stay as they are");
                }
                return None;
            }
        };
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("processes can be listed again");
        }
        Some(delta)
    }

    fn apply(&mut self, delta: &Delta) -> Effects {
        for facts in delta.changed.iter().filter_map(|pid| self.table.get(*pid)) {
            self.foresights.learn(&facts.comm);
        }
        let host = Host { table: &self.table, registry: &self.registry, own: self.own };
        let effects = self.features.iter_mut().map(|(name, watched)| (*name, watched.apply(delta, host)));
        effects.filter(|(_, effect)| effect.hits).collect()
    }

    fn want(&self) -> Want {
        let all = self.features.values().map(Watched::want);
        all.fold(Want::default(), |all, one| Want {
            listing: all.listing.with(one.listing),
            cmdline: all.cmdline || one.cmdline,
            place: all.place || one.place,
        })
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
