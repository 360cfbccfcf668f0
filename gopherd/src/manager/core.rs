//! The manager's task: its loop, and what is done about each event of a feature's life as `admit` decides.

use super::admit::{Action, Event, Phase, Stale, admit};
use super::changes::refuse;
use super::operation::{Await, InProgress, Waiting};
use super::rehearse::Rehearsal;
use super::spawn::{FromThread, Ground, ThreadEvent, spawn};
use super::state::State;
use super::view::{FeatureView, Views};
use super::{Limits, Request, World, backoff, stopping};
use crate::budget::Restraint;
use crate::feature::{Budget, FeatureConfig};
use probe_core::{Descriptor, Env, Order, Outcome, ProbeError, Resolved};
use probe_kit::link::{Delivery, Gauges};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

pub(super) struct Entry {
    pub(super) descriptor: &'static Descriptor,
    pub(super) config: Option<FeatureConfig>,
    pub(super) state: State,
    /// What its budget takes away of the configuration.
    pub(super) restraint: Restraint,
    /// The change in progress that this feature is part of.
    pub(super) busy: Option<u64>,
    /// What it was last told, so that a new scope alone can be sent.
    pub(super) order: Order,
    /// Number of the last order that is answered by a report.
    pub(super) told: u64,
    pub(super) view: FeatureView,
    pub(super) gauges: Arc<Gauges>,
}

pub(super) struct Shutdown {
    deadline: Instant,
    reply: oneshot::Sender<Vec<&'static str>>,
}

pub(super) struct Core {
    pub(super) entries: Vec<Entry>,
    pub(super) ground: Ground,
    pub(super) from_threads: mpsc::Receiver<ThreadEvent>,
    pub(super) world: Box<dyn World>,
    pub(super) limits: Limits,
    pub(super) views: Views,
    pub(super) changes: watch::Sender<u64>,
    pub(super) in_progress: HashMap<u64, InProgress>,
    /// Dry runs that are not answered, by the number in `busy` of their features.
    pub(super) rehearsals: HashMap<u64, Rehearsal>,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) shutdown: Option<Shutdown>,
    pub(super) last_id: u64,
}

impl Core {
    pub(super) fn new(
        features: &[&'static Descriptor],
        env: Env,
        outlet: SyncSender<Delivery>,
        world: Box<dyn World>,
        limits: Limits,
    ) -> (Self, Views, watch::Receiver<u64>) {
        let (events, from_threads) = mpsc::channel(256);
        let entries: Vec<Entry> = features
            .iter()
            .map(|descriptor| {
                let gauges = Arc::<Gauges>::default();
                Entry {
                    descriptor,
                    config: None,
                    state: State::Stopped,
                    restraint: Restraint::default(),
                    busy: None,
                    order: Order::default(),
                    told: 0,
                    view: FeatureView::new(descriptor, Arc::clone(&gauges)),
                    gauges,
                }
            })
            .collect();
        let views = Views::new(entries.iter().map(|entry| entry.view.clone()));
        let (changes, receiver) = watch::channel(0);
        let core = Self {
            entries,
            ground: Ground { env, outlet, events },
            from_threads,
            world,
            limits,
            views: views.clone(),
            changes,
            in_progress: HashMap::new(),
            rehearsals: HashMap::new(),
            waiting: VecDeque::new(),
            shutdown: None,
            last_id: 0,
        };
        (core, views, receiver)
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            let due = self.next_due();
            let timer = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = self.from_threads.recv() => self.on_thread(event),
                request = inbox.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                () = timer => self.on_timer(Instant::now()),
            }
            self.begin_waiting();
            if self.finish_shutdown(Instant::now()) {
                return;
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let retries = self.entries.iter().filter_map(|entry| match entry.state {
            State::Failed { retry_at, .. } => retry_at,
            _ => None,
        });
        let deadlines = self.in_progress.values().map(|change| change.deadline);
        let rehearsals = self.rehearsals.values().map(|rehearsal| rehearsal.deadline);
        retries.chain(deadlines).chain(rehearsals).chain(self.shutdown.as_ref().map(|s| s.deadline)).min()
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Change(change, reply) => self.on_change(change, reply),
            Request::Rescope(feature, resolved) => {
                if let Some(index) = self.index(feature) {
                    self.rescope(index, resolved);
                }
            }
            Request::Restrain(asked) => self.restrain(asked),
            Request::Shutdown(within, reply) => {
                self.shutdown = Some(Shutdown { deadline: Instant::now() + within, reply });
                for waiting in std::mem::take(&mut self.waiting) {
                    refuse(waiting, &stopping(), &self.entries);
                }
                for index in 0..self.entries.len() {
                    let _ = self.perform(index, Event::Stop, None);
                }
            }
        }
    }

    pub(super) fn index(&self, feature: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.descriptor.name == feature)
    }

    /// Carries out what the policy says about `event`. `error` is that of a thread that has ended.
    pub(super) fn perform(
        &mut self,
        index: usize,
        event: Event,
        error: Option<ProbeError>,
    ) -> Result<Action, Stale> {
        let action = admit(self.entries[index].state.phase(), event)?;
        match action {
            Action::Nothing => {}
            Action::Spawn => self.spawn(index, event == Event::RetryDue),
            Action::TellStop => {
                if let State::Starting { run, .. } | State::Running { run, .. } = self.take_state(index) {
                    run.control.stop();
                    self.entries[index].state = State::Stopping { run, restart: false };
                }
            }
            Action::TellOrder => self.tell_order(index),
            // The outcome comes with the thread's message, which `on_thread` stores.
            Action::BecomeRunning => {}
            Action::Remember { restart: again } => {
                if let State::Stopping { restart, .. } = &mut self.entries[index].state {
                    *restart = again;
                }
            }
            Action::BecomeStopped => {
                let _ = self.take_state(index);
                self.ended(index);
            }
            Action::BecomeFailed => {
                let error = error.unwrap_or_else(|| ProbeError::failed("running", "it ended by itself"));
                self.fail(index, error);
            }
        }
        self.publish(index);
        Ok(action)
    }

    pub(super) fn take_state(&mut self, index: usize) -> State {
        std::mem::replace(&mut self.entries[index].state, State::Stopped)
    }

    /// The thread of the feature is gone: so are its series, its scope and its memory.
    fn ended(&mut self, index: usize) {
        let entry = &self.entries[index];
        entry.gauges.memory_bytes.store(0, Ordering::Relaxed);
        self.world.close(entry.descriptor.name);
        self.world.unwatch(entry.descriptor.name);
    }

    fn fail(&mut self, index: usize, error: ProbeError) {
        let now = Instant::now();
        let attempts = self.entries[index].state.attempts(now).saturating_add(1);
        self.ended(index);
        let retry_at = error.retryable().then(|| now + backoff::wait(attempts));
        let entry = &mut self.entries[index];
        tracing::warn!(probe = entry.descriptor.name, %error, attempts, "probe failed");
        entry.state = State::Failed { error, attempts, retry_at };
    }

    fn order(&self, index: usize) -> Order {
        let entry = &self.entries[index];
        let Some(config) = &entry.config else { return Order::default() };
        let (sub_probes, params) = (entry.active(config), entry.params(config));
        let unset = config.selection.is_unset();
        let wanted = entry.descriptor.wants_containers(&sub_probes, &config.params, unset);
        let resolved = self.world.watch(entry.descriptor.name, &config.selection, wanted);
        Order { sub_probes, scope: resolved.scope, containers: resolved.containers, params: Arc::new(params) }
    }

    fn spawn(&mut self, index: usize, retry: bool) {
        let now = Instant::now();
        let attempts = if retry { self.entries[index].state.attempts(now) } else { 0 };
        if let State::Stopping { .. } = self.take_state(index) {
            self.ended(index);
        }
        self.last_id += 1;
        let id = self.last_id;
        let order = self.order(index);
        let entry = &mut self.entries[index];
        entry.order = order.clone();
        entry.told = 0;
        entry.view.restarts += u64::from(retry);
        let name = entry.descriptor.name;
        self.world.open(name, id);
        self.tell_rules(index);
        let entry = &mut self.entries[index];
        self.world.switch_off(name, switched_off(entry.descriptor, &order));
        match spawn(&self.ground, entry.descriptor, index, id, order, &entry.gauges) {
            Ok(run) => entry.state = State::Starting { run, attempts },
            Err(error) => {
                entry.state = State::Failed { error: error.clone(), attempts, retry_at: None };
                self.fail(index, error);
            }
        }
    }

    fn tell_order(&mut self, index: usize) {
        let order = self.order(index);
        let entry = &mut self.entries[index];
        entry.order = order.clone();
        self.tell_rules(index);
        let entry = &mut self.entries[index];
        self.world.switch_off(entry.descriptor.name, switched_off(entry.descriptor, &order));
        if let Some(run) = entry.state.run() {
            entry.told = run.control.order(order);
        }
    }

    fn tell_rules(&self, index: usize) {
        let entry = &self.entries[index];
        let (custom, pod) = match &entry.config {
            Some(config) => (&config.custom_labels[..], &config.pod_labels[..]),
            None => (&[][..], &[][..]),
        };
        self.world.labels(entry.descriptor.name, custom, pod);
        let series = match entry.config.as_ref().map(|config| config.budget) {
            Some(Budget::Limits(limits)) => limits.series,
            Some(Budget::Off) | None => None,
        };
        self.world.allow(entry.descriptor.name, series);
    }

    fn rescope(&mut self, index: usize, resolved: Resolved) {
        let entry = &mut self.entries[index];
        if let State::Starting { run, .. } | State::Running { run, .. } = &entry.state {
            entry.order.scope = resolved.scope;
            entry.order.containers = resolved.containers;
            run.control.rescope(entry.order.clone());
        }
    }

    fn on_thread(&mut self, event: ThreadEvent) {
        let ThreadEvent { feature: index, run, said } = event;
        let stale = self.entries[index].state.run().is_none_or(|current| current.id != run);
        match said {
            FromThread::Rehearsed(result) => return self.rehearsed(run, index, result),
            FromThread::Report(..) | FromThread::Exited(_) if stale => return,
            FromThread::Report(outcome, number) => self.on_report(index, outcome, number),
            FromThread::Exited(result) => self.on_exit(index, result),
        }
        if let Some(id) = self.entries[index].busy {
            self.settle(id);
        }
    }

    fn on_report(&mut self, index: usize, outcome: Outcome, number: u64) {
        let phase = self.entries[index].state.phase();
        let event = if phase == Phase::Starting { Event::Attached } else { Event::Reported };
        if self.perform(index, event, None).is_err() {
            return;
        }
        let none_runs = outcome.none_runs();
        let missing = outcome.missing();
        let state = match self.take_state(index) {
            State::Starting { run, attempts } => {
                State::Running { run, outcome, attempts, since: Instant::now() }
            }
            State::Running { run, attempts, since, .. } => State::Running { run, outcome, attempts, since },
            other => other,
        };
        self.entries[index].state = state;
        self.publish(index);
        // A report on an order that another one has overtaken is not the answer.
        if number < self.entries[index].told {
            return;
        }
        let Some(id) = self.entries[index].busy else { return };
        let Some(part) = self.in_progress.get_mut(&id).and_then(|change| change.part(index)) else { return };
        if !matches!(part.awaits, Await::Attached | Await::Reported) {
            return;
        }
        if none_runs {
            self.part_failed(index, &ProbeError::Unsupported { missing });
        } else {
            part.awaits = Await::Nothing;
            part.warnings.extend(missing);
        }
    }

    fn on_exit(&mut self, index: usize, result: Result<(), ProbeError>) {
        if let Some(thread) = self.entries[index].state.run_mut().and_then(|run| run.thread.take()) {
            // The thread has sent its last message, so this does not wait; a panic was caught inside it.
            let _ = thread.join();
        }
        let error = result.err();
        let event = Event::Exited { error: error.is_some() };
        let action = self.perform(index, event, error.clone());
        match action {
            Ok(Action::BecomeFailed) => {
                let error = error.unwrap_or_else(|| ProbeError::failed("running", "it ended by itself"));
                if self.awaits(index).is_some_and(|awaits| awaits != Await::Nothing) {
                    self.part_failed(index, &error);
                }
            }
            Ok(Action::BecomeStopped) => {
                let Some(id) = self.entries[index].busy else { return };
                if let Some(part) = self.in_progress.get_mut(&id).and_then(|change| change.part(index)) {
                    part.awaits = Await::Nothing;
                }
            }
            // The start that waited for this end may fail before there is a thread.
            Ok(Action::Spawn) => {
                if let State::Failed { error, .. } = &self.entries[index].state {
                    let error = error.clone();
                    self.part_failed(index, &error);
                }
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, now: Instant) {
        for index in 0..self.entries.len() {
            let due = matches!(&self.entries[index].state,
                State::Failed { retry_at: Some(at), .. } if *at <= now);
            if due {
                let _ = self.perform(index, Event::RetryDue, None);
            }
        }
        let overdue: Vec<u64> =
            self.in_progress.iter().filter(|(_, change)| change.deadline <= now).map(|(id, _)| *id).collect();
        for id in overdue {
            self.answer(id, true);
        }
        let overdue = self.rehearsals.iter().filter(|(_, rehearsal)| rehearsal.deadline <= now);
        for id in overdue.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.rehearsal_overdue(id);
        }
    }

    /// Whether a shutdown was asked for and is over: every thread has ended, or the deadline has come.
    fn finish_shutdown(&mut self, now: Instant) -> bool {
        let Some(shutdown) = &self.shutdown else { return false };
        let alive: Vec<&'static str> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(index, entry)| {
                entry.state.run().is_some() || self.rehearsals.values().any(|r| r.holds(*index))
            })
            .map(|(_, entry)| entry.descriptor.name)
            .collect();
        if !alive.is_empty() && now < shutdown.deadline {
            return false;
        }
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.reply.send(alive);
        }
        true
    }

    pub(super) fn publish(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.view.config.clone_from(&entry.config);
        entry.view.restraint.clone_from(&entry.restraint);
        entry.view.take_state(&entry.state);
        self.views.publish(index, entry.view.clone());
    }
}

/// The sub-probes that `order` does not ask for.
fn switched_off(descriptor: &Descriptor, order: &Order) -> Vec<&'static str> {
    descriptor.sub_probes.iter().map(|sub| sub.name).filter(|name| !order.sub_probes.has(name)).collect()
}
