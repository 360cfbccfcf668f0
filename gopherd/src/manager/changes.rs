//! Changes: how one begins, waits for probes, is answered, or is undone as a whole.

use super::admit::{Action, Event, Phase};
use super::core::{Core, Entry};
use super::operation::{Answer, Await, Before, Change, Changed, Fault, InProgress, Origin, Part, Waiting};
use super::state::State;
use super::stopping;
use crate::access::audit;
use crate::budget::Restraint;
use crate::feature::{
    Context, FeatureConfig, Path, Plan, Problem, ProblemKind, Wanted, native_document, plan,
};
use probe_core::ProbeError;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

impl Core {
    pub(super) fn on_change(&mut self, change: Change, reply: oneshot::Sender<Answer>) {
        let features = change.items.iter().filter_map(|item| self.index(item.feature)).collect();
        let waiting = Waiting { change, features, reply };
        if self.shutdown.is_some() {
            refuse(waiting, &stopping(), &self.entries);
        } else if self.waiting.len() >= self.limits.max_waiting {
            let problem = Problem {
                kind: ProblemKind::Unavailable,
                path: Path::default(),
                message: "too many changes are waiting; try again".into(),
            };
            refuse(waiting, &problem, &self.entries);
        } else {
            self.waiting.push_back(waiting);
        }
    }

    /// Begins, in order, every waiting change none of whose features is busy or wanted by an earlier one.
    pub(super) fn begin_waiting(&mut self) {
        let mut taken: Vec<usize> =
            (0..self.entries.len()).filter(|i| self.entries[*i].busy.is_some()).collect();
        for waiting in std::mem::take(&mut self.waiting) {
            let free = waiting.features.iter().all(|feature| !taken.contains(feature));
            taken.extend(&waiting.features);
            if free {
                let features: Vec<usize> = waiting.features.iter().copied().collect();
                self.begin(waiting);
                taken.retain(|i| self.entries[*i].busy.is_some() || !features.contains(i));
            } else {
                self.waiting.push_back(waiting);
            }
        }
    }

    pub(super) fn begin(&mut self, waiting: Waiting) {
        let Waiting { change, reply, .. } = waiting;
        let mut plans: Vec<(usize, Plan)> = Vec::new();
        let mut faults = Vec::new();
        for item in &change.items {
            let Some(index) = self.index(item.feature) else { continue };
            let entry = &self.entries[index];
            if item.if_match.is_some_and(|wanted| wanted != entry.view.generation) {
                let problem = Problem {
                    kind: ProblemKind::Stale(entry.view.generation),
                    path: Path::default(),
                    message: format!("the generation is {} now", entry.view.generation),
                };
                faults.push(Fault { feature: item.feature, problem });
                continue;
            }
            let cx = Context {
                descriptor: entry.descriptor,
                current: entry.config.as_ref(),
                running: entry.state.run().is_some(),
                pids: &*self.world,
                max_rules: self.limits.max_scope_rules,
                from_init: change.origin == Origin::Init,
            };
            match plan(&item.edit, &cx) {
                Ok(plan) => plans.push((index, plan)),
                Err(problem) => faults.push(Fault { feature: item.feature, problem }),
            }
        }
        if !faults.is_empty() {
            // Whoever asked may have gone; then nobody waits for the answer.
            let _ = reply.send(Err(faults));
            return;
        }
        if change.dry_run {
            self.rehearse(plans, reply);
            return;
        }
        self.last_id += 1;
        let id = self.last_id;
        let deadline = Instant::now() + self.limits.start_deadline;
        let parts = plans.into_iter().map(|(index, plan)| self.begin_part(index, plan)).collect::<Vec<_>>();
        for part in &parts {
            self.entries[part.feature].busy = Some(id);
        }
        self.in_progress
            .insert(id, InProgress { parts, origin: change.origin, actor: change.actor, deadline, reply });
        // A start can fail before there is a thread; then the state says so already.
        for index in 0..self.entries.len() {
            if self.entries[index].busy != Some(id) {
                continue;
            }
            if let State::Failed { error, .. } = &self.entries[index].state {
                let error = error.clone();
                if self.awaits(index) == Some(Await::Attached) {
                    self.part_failed(index, &error);
                }
            }
        }
        self.settle(id);
    }

    pub(super) fn awaits(&mut self, index: usize) -> Option<Await> {
        let id = self.entries[index].busy?;
        self.in_progress.get_mut(&id)?.part(index).map(|part| part.awaits)
    }

    /// Stores the new configuration and sets the feature in motion.
    pub(super) fn begin_part(&mut self, index: usize, plan: Plan) -> Part {
        let entry = &mut self.entries[index];
        let phase = entry.state.phase();
        let before = Before {
            config: entry.config.take(),
            generation: entry.view.generation,
            // Whoever changes a feature has seen what it costs: it gets another chance.
            restraint: std::mem::take(&mut entry.restraint),
            wanted: !matches!(phase, Phase::Stopped | Phase::Stopping { restart: false }),
            healthy: matches!(phase, Phase::Starting | Phase::Running),
        };
        let active = |config: &Option<FeatureConfig>| {
            config.as_ref().map(|config| config.active_sub_probes(entry.descriptor)).unwrap_or_default()
        };
        let sub_probes_differ = entry.order.sub_probes != active(&plan.config);
        let buildable = entry.descriptor.build.is_some();
        entry.config = plan.config;
        if entry.config != before.config {
            entry.view.generation += 1;
        }
        let wanted = buildable && entry.config.as_ref().is_some_and(|config| config.state == Wanted::Running);
        let changed = entry.config != before.config || before.restraint != Restraint::default();
        let event = match (wanted, before.wanted) {
            // Whoever says "running" to a failed probe wants it tried now.
            (true, true) if phase == Phase::Failed => Some(Event::Start),
            (true, true) if changed => Some(Event::Change),
            (true, true) => None,
            (true, false) => Some(Event::Start),
            (false, _) => Some(Event::Stop),
        };
        let action = event.and_then(|event| self.perform(index, event, None).ok());
        let awaits = match action {
            Some(Action::Spawn | Action::Remember { restart: true }) => Await::Attached,
            Some(Action::TellStop | Action::Remember { restart: false }) => Await::Exited,
            Some(Action::TellOrder) if matches!(phase, Phase::Starting) => Await::Attached,
            Some(Action::TellOrder) if sub_probes_differ => Await::Reported,
            None if wanted && matches!(phase, Phase::Starting) => Await::Attached,
            _ => Await::Nothing,
        };
        self.publish(index);
        Part { feature: index, before, awaits, warnings: plan.warnings }
    }

    /// A start or change that somebody waits for did not work: undo the whole change, unless it came from
    /// probes.init, whose wishes are kept.
    pub(super) fn part_failed(&mut self, index: usize, error: &ProbeError) {
        let Some(id) = self.entries[index].busy else { return };
        let Some(change) = self.in_progress.get_mut(&id) else { return };
        let keep = change.origin == Origin::Init;
        let problem = start_problem(error);
        if keep {
            if let Some(part) = change.part(index) {
                part.awaits = Await::Nothing;
                part.warnings.push(problem.message);
            }
            return;
        }
        let Some(change) = self.in_progress.remove(&id) else { return };
        let fault = Fault { feature: self.entries[index].descriptor.name, problem };
        for part in change.parts {
            self.undo(part);
        }
        let _ = change.reply.send(Err(vec![fault]));
    }

    pub(super) fn undo(&mut self, part: Part) {
        let index = part.feature;
        let entry = &mut self.entries[index];
        entry.busy = None;
        entry.config = part.before.config;
        entry.view.generation = part.before.generation;
        entry.restraint = part.before.restraint;
        let phase = entry.state.phase();
        // What has begun to end is not started again.
        let wanted = part.before.wanted && self.shutdown.is_none();
        let event = match (wanted, phase) {
            (false, _) => Some(Event::Stop),
            (true, Phase::Failed) if !part.before.healthy => None,
            (true, Phase::Stopped | Phase::Failed | Phase::Stopping { .. }) => Some(Event::Start),
            (true, Phase::Starting | Phase::Running) => Some(Event::Change),
        };
        if let Some(event) = event {
            let _ = self.perform(index, event, None);
        }
        self.publish(index);
    }

    /// Answers the change if nothing of it is awaited any more.
    pub(super) fn settle(&mut self, id: u64) {
        if self.in_progress.get(&id).is_some_and(InProgress::done) {
            self.answer(id, false);
        }
    }

    pub(super) fn answer(&mut self, id: u64, overdue: bool) {
        let Some(change) = self.in_progress.remove(&id) else { return };
        let mut changed = Vec::new();
        let mut any = false;
        for part in change.parts {
            let entry = &mut self.entries[part.feature];
            entry.busy = None;
            let differs = entry.view.generation != part.before.generation;
            any |= differs;
            // A line of probes.init that is read again and says what holds already is nobody's doing.
            if differs || change.origin == Origin::Request {
                let (before, after) = (shown(&part.before.config), shown(&entry.config));
                let generation = Some(entry.view.generation);
                audit::record(&change.actor, entry.descriptor.name, &before, &after, generation);
            }
            changed.push(Changed {
                feature: entry.descriptor.name,
                generation: entry.view.generation,
                view: Arc::new(entry.view.clone()),
                warnings: part.warnings,
                map_bytes: None,
                unfinished: overdue && part.awaits != Await::Nothing,
            });
        }
        if any && change.origin == Origin::Request {
            self.changes.send_modify(|n| *n += 1);
        }
        let _ = change.reply.send(Ok(changed));
    }
}

/// A configuration as the log shows it.
fn shown(config: &Option<FeatureConfig>) -> Value {
    config.as_ref().map_or_else(|| json!({}), native_document)
}

pub(super) fn refuse(waiting: Waiting, problem: &Problem, entries: &[Entry]) {
    let faults = waiting
        .features
        .iter()
        .map(|index| Fault { feature: entries[*index].descriptor.name, problem: problem.clone() });
    let faults = faults.collect();
    let _ = waiting.reply.send(Err(faults));
}

pub(super) fn start_problem(error: &ProbeError) -> Problem {
    let kind = match error {
        ProbeError::Unsupported { missing } => ProblemKind::Unsupported(missing.clone()),
        ProbeError::Failed { .. } | ProbeError::Panicked(_) => ProblemKind::Failed,
    };
    Problem { kind, path: Path::default(), message: format!("failed to start probe: {error}") }
}
