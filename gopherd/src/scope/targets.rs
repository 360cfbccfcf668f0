//! What a feature's selectors match, for people: the processes with the rule of each, and the containers.

use super::explain;
use super::facts::Reader;
use super::watch::Watched;
use crate::containers::{Container, ContainerId, Registry};
use hashbrown::HashMap;
use probe_core::{Label, ProcKey};
use std::sync::Arc;

/// So many of each kind are listed; the total is always told.
const MAX_TARGETS: usize = 1000;

/// A process that a feature's selectors match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub key: ProcKey,
    /// Its name.
    pub comm: Label,
    /// The rule that matches it, as in `proc_name[0] (comm /^redis/)`.
    pub why: String,
    /// The innermost container that it is in.
    pub container: Option<ContainerId>,
}

/// A container that a feature's selectors match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerTargets {
    /// Which.
    pub id: ContainerId,
    /// What is known about it.
    pub known: Option<Arc<Container>>,
    /// Its processes that are matched, those in containers inside it left out.
    pub processes: usize,
}

/// What a feature's selectors match; with a blacklist these are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// How many processes there are.
    pub total: usize,
    /// The first thousand by pid.
    pub items: Vec<Target>,
    /// How many containers there are.
    pub total_containers: usize,
    /// The first thousand by id.
    pub containers: Vec<ContainerTargets>,
}

/// Lists what is matched. Where no rule needs to know the containers of the processes, they are read now.
pub(super) fn list(watched: &Watched, reader: &mut Reader, registry: &Registry) -> Targets {
    let mut hits: Vec<_> = watched.hits.iter().collect();
    hits.sort_unstable_by_key(|(key, _)| **key);
    let mut container = |pid| reader.place(pid, registry).ok()?.first().cloned();
    let items = hits.iter().take(MAX_TARGETS).map(|(key, hit)| Target {
        key: **key,
        comm: hit.comm.clone(),
        why: explain::name(&watched.selection.selectors, hit.rule),
        container: hit.container.clone().or_else(|| container(key.tgid)),
    });
    let items = items.collect();
    let mut counted: HashMap<&ContainerId, usize> = HashMap::new();
    for hit in watched.hits.values().filter(|hit| hit.by_container) {
        hit.container.iter().for_each(|id| *counted.entry(id).or_default() += 1);
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_unstable();
    Targets {
        total: watched.hits.len(),
        items,
        total_containers: counted.len(),
        containers: counted
            .into_iter()
            .take(MAX_TARGETS)
            .map(|(id, processes)| ContainerTargets { id: id.clone(), known: registry.get(id), processes })
            .collect(),
    }
}
