//! Dry runs: what a feature that would be started needs of the kernel is loaded without being attached, on a thread of
//! its own, while nobody else can change the feature.

use super::admit::Phase;
use super::changes::start_problem;
use super::core::Core;
use super::operation::{Answer, Changed, Fault};
use super::spawn::rehearse;
use super::view::FeatureView;
use crate::feature::{Path, Plan, Problem, ProblemKind, Wanted};
use probe_core::{Order, ProbeError, Scope};
use probe_kit::rehearsal::Rehearsed;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A dry run whose features are rehearsed.
#[derive(Debug)]
pub(super) struct Rehearsal {
    changed: Vec<Changed>,
    faults: Vec<Fault>,
    /// The features whose threads have not ended.
    waits: HashSet<usize>,
    pub(super) deadline: Instant,
    reply: oneshot::Sender<Answer>,
}

impl Rehearsal {
    /// Whether `feature` is being rehearsed.
    pub(super) fn holds(&self, feature: usize) -> bool {
        self.waits.contains(&feature)
    }
}

impl Core {
    /// Answers a dry run when everything that it would start is rehearsed.
    pub(super) fn rehearse(&mut self, plans: Vec<(usize, Plan)>, reply: oneshot::Sender<Answer>) {
        let starts = plans.iter().filter_map(|(index, plan)| Some((*index, self.would_start(*index, plan)?)));
        let starts: Vec<(usize, Order)> = starts.collect();
        let changed = plans.into_iter().map(|(index, plan)| Changed {
            feature: self.entries[index].descriptor.name,
            generation: self.entries[index].view.generation,
            view: Arc::new(FeatureView { config: plan.config, ..self.entries[index].view.clone() }),
            warnings: plan.warnings,
            map_bytes: None,
            unfinished: false,
        });
        let rehearsal = Rehearsal {
            changed: changed.collect(),
            faults: Vec::new(),
            waits: starts.iter().map(|(index, _)| *index).collect(),
            deadline: Instant::now() + self.limits.start_deadline,
            reply,
        };
        self.last_id += 1;
        let id = self.last_id;
        self.rehearsals.insert(id, rehearsal);
        for (index, order) in starts {
            self.entries[index].busy = Some(id);
            if let Err(error) = rehearse(&self.ground, self.entries[index].descriptor, index, id, order) {
                self.rehearsed(id, index, Err(error));
            }
        }
        self.settle_rehearsal(id);
    }

    /// The order of the start that `plan` leads to; `None` if the feature would not be started, or runs already and has
    /// loaded everything.
    fn would_start(&self, index: usize, plan: &Plan) -> Option<Order> {
        let entry = &self.entries[index];
        let config = plan.config.as_ref().filter(|config| config.state == Wanted::Running)?;
        let idle = matches!(entry.state.phase(), Phase::Stopped | Phase::Failed | Phase::Stopping { .. });
        (entry.descriptor.build.is_some() && idle).then(|| Order {
            sub_probes: config.active_sub_probes(entry.descriptor),
            // Nothing is observed.
            scope: Scope::Only(Arc::default()),
            params: Arc::new(config.params.clone()),
            ..Order::default()
        })
    }

    /// The thread that rehearsed `index` for dry run `id` says how it went.
    pub(super) fn rehearsed(&mut self, id: u64, index: usize, result: Result<Rehearsed, ProbeError>) {
        // One that was answered as overdue has let go of the feature.
        let Some(rehearsal) = self.rehearsals.get_mut(&id) else { return };
        rehearsal.waits.remove(&index);
        let entry = &mut self.entries[index];
        entry.busy = None;
        let feature = entry.descriptor.name;
        match result {
            Ok(Rehearsed { outcome, map_bytes }) => {
                for changed in rehearsal.changed.iter_mut().filter(|changed| changed.feature == feature) {
                    changed.warnings.extend(outcome.missing());
                    changed.map_bytes = Some(map_bytes);
                }
            }
            Err(error) => rehearsal.faults.push(Fault { feature, problem: start_problem(&error) }),
        }
        self.settle_rehearsal(id);
    }

    fn settle_rehearsal(&mut self, id: u64) {
        if self.rehearsals.get(&id).is_none_or(|rehearsal| !rehearsal.waits.is_empty()) {
            return;
        }
        let Some(Rehearsal { changed, faults, reply, .. }) = self.rehearsals.remove(&id) else { return };
        // Whoever asked may have gone; then nobody waits for the answer.
        let _ = reply.send(if faults.is_empty() { Ok(changed) } else { Err(faults) });
    }

    /// Gives up on the features that dry run `id` still waits for.
    pub(super) fn rehearsal_overdue(&mut self, id: u64) {
        let Some(rehearsal) = self.rehearsals.get_mut(&id) else { return };
        for index in std::mem::take(&mut rehearsal.waits) {
            let entry = &mut self.entries[index];
            entry.busy = None;
            let message = "loading what it needs has not ended in time; nothing was changed".into();
            let problem = Problem { kind: ProblemKind::Unavailable, path: Path::default(), message };
            rehearsal.faults.push(Fault { feature: entry.descriptor.name, problem });
        }
        self.settle_rehearsal(id);
    }
}
