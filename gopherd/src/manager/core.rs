//! The manager's task: carries out what `admit` decides, and lets changes begin, wait, end or be undone.

use super::admit::{Action, Event, Phase, Stale, admit};
use super::operation::{Answer, Await, Before, Change, Changed, Fault, InProgress, Origin, Part, Waiting};
use super::spawn::{FromThread, Ground, ThreadEvent, spawn};
use super::state::State;
use super::view::{FeatureView, Views};
use super::{Limits, Request, World, backoff, stopping};
use crate::feature::{Context, FeatureConfig, Path, Plan, Problem, ProblemKind, Wanted, plan};
use probe_core::{Descriptor, Env, Order, Outcome, ProbeError, Scope};
use probe_kit::link::{Delivery, Gauges};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

struct Entry {
    descriptor: &'static Descriptor,
    config: Option<FeatureConfig>,
    state: State,
    /// The change in progress that this feature is part of.
    busy: Option<u64>,
    /// What it was last told, so that a new scope alone can be sent.
    order: Order,
    view: FeatureView,
    gauges: Arc<Gauges>,
}

struct Shutdown {
    deadline: Instant,
    reply: oneshot::Sender<Vec<&'static str>>,
}

pub(super) struct Core {
    entries: Vec<Entry>,
    ground: Ground,
    from_threads: mpsc::Receiver<ThreadEvent>,
    world: Box<dyn World>,
    limits: Limits,
    views: Views,
    changes: watch::Sender<u64>,
    in_progress: HashMap<u64, InProgress>,
    waiting: VecDeque<Waiting>,
    shutdown: Option<Shutdown>,
    last_id: u64,
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
                    busy: None,
                    order: Order::default(),
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
        retries.chain(deadlines).chain(self.shutdown.as_ref().map(|s| s.deadline)).min()
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Change(change, reply) => self.on_change(change, reply),
            Request::Rescope(feature, scope) => {
                if let Some(index) = self.index(feature) {
                    self.rescope(index, scope);
                }
            }
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

    fn index(&self, feature: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.descriptor.name == feature)
    }

    fn on_change(&mut self, change: Change, reply: oneshot::Sender<Answer>) {
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
    fn begin_waiting(&mut self) {
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

    fn begin(&mut self, waiting: Waiting) {
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
            let changed = plans.into_iter().map(|(index, plan)| Changed {
                feature: self.entries[index].descriptor.name,
                generation: self.entries[index].view.generation,
                warnings: plan.warnings,
                unfinished: false,
            });
            let _ = reply.send(Ok(changed.collect()));
            return;
        }
        self.last_id += 1;
        let id = self.last_id;
        let deadline = Instant::now() + self.limits.start_deadline;
        let parts = plans.into_iter().map(|(index, plan)| self.begin_part(index, plan)).collect::<Vec<_>>();
        for part in &parts {
            self.entries[part.feature].busy = Some(id);
        }
        self.in_progress.insert(id, InProgress { parts, origin: change.origin, deadline, reply });
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

    fn awaits(&mut self, index: usize) -> Option<Await> {
        let id = self.entries[index].busy?;
        self.in_progress.get_mut(&id)?.part(index).map(|part| part.awaits)
    }

    /// Stores the new configuration and sets the feature in motion.
    fn begin_part(&mut self, index: usize, plan: Plan) -> Part {
        let entry = &mut self.entries[index];
        let phase = entry.state.phase();
        let before = Before {
            config: entry.config.take(),
            generation: entry.view.generation,
            wanted: !matches!(phase, Phase::Stopped | Phase::Stopping { restart: false }),
            healthy: matches!(phase, Phase::Starting | Phase::Running),
        };
        let sub_probes = |config: &Option<FeatureConfig>| {
            config.as_ref().map(|config| config.active_sub_probes(entry.descriptor)).unwrap_or_default()
        };
        let sub_probes_differ = sub_probes(&before.config) != sub_probes(&plan.config);
        let buildable = entry.descriptor.build.is_some();
        entry.config = plan.config;
        if entry.config != before.config {
            entry.view.generation += 1;
        }
        let wanted = buildable && entry.config.as_ref().is_some_and(|config| config.state == Wanted::Running);
        let changed = entry.config != before.config;
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

    /// Carries out what the policy says about `event`. `error` is that of a thread that has ended.
    fn perform(&mut self, index: usize, event: Event, error: Option<ProbeError>) -> Result<Action, Stale> {
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

    fn take_state(&mut self, index: usize) -> State {
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
        Order {
            sub_probes: config.active_sub_probes(entry.descriptor),
            scope: self.world.watch(entry.descriptor.name, &config.selection),
            params: Arc::new(config.params.clone()),
        }
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
        entry.view.restarts += u64::from(retry);
        let name = entry.descriptor.name;
        self.world.open(name, id);
        self.world.labels(name, entry.config.as_ref().map_or(&[], |config| &config.custom_labels));
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
        let labels = entry.config.as_ref().map_or(&[][..], |config| &config.custom_labels);
        self.world.labels(entry.descriptor.name, labels);
        if let Some(run) = entry.state.run() {
            run.control.order(order);
        }
    }

    fn rescope(&mut self, index: usize, scope: Scope) {
        let entry = &mut self.entries[index];
        if let State::Starting { run, .. } | State::Running { run, .. } = &entry.state {
            entry.order.scope = scope;
            run.control.order(entry.order.clone());
        }
    }

    fn on_thread(&mut self, event: ThreadEvent) {
        let ThreadEvent { feature: index, run, said } = event;
        if self.entries[index].state.run().is_none_or(|current| current.id != run) {
            return;
        }
        match said {
            FromThread::Report(outcome) => self.on_report(index, outcome),
            FromThread::Exited(result) => self.on_exit(index, result),
        }
        if let Some(id) = self.entries[index].busy {
            self.settle(id);
        }
    }

    fn on_report(&mut self, index: usize, outcome: Outcome) {
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
            _ => {}
        }
    }

    /// A start or change that somebody waits for did not work: undo the whole change, unless it came from
    /// probes.init, whose wishes are kept.
    fn part_failed(&mut self, index: usize, error: &ProbeError) {
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

    fn undo(&mut self, part: Part) {
        let index = part.feature;
        let entry = &mut self.entries[index];
        entry.busy = None;
        entry.config = part.before.config;
        entry.view.generation = part.before.generation;
        let phase = entry.state.phase();
        let event = match (part.before.wanted, phase) {
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
    fn settle(&mut self, id: u64) {
        if self.in_progress.get(&id).is_some_and(InProgress::done) {
            self.answer(id, false);
        }
    }

    fn answer(&mut self, id: u64, overdue: bool) {
        let Some(change) = self.in_progress.remove(&id) else { return };
        let mut changed = Vec::new();
        let mut any = false;
        for part in change.parts {
            let entry = &mut self.entries[part.feature];
            entry.busy = None;
            any |= entry.view.generation != part.before.generation;
            changed.push(Changed {
                feature: entry.descriptor.name,
                generation: entry.view.generation,
                warnings: part.warnings,
                unfinished: overdue && part.awaits != Await::Nothing,
            });
        }
        if any && change.origin == Origin::Request {
            self.changes.send_modify(|n| *n += 1);
        }
        let _ = change.reply.send(Ok(changed));
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
    }

    /// Whether a shutdown was asked for and is over: every thread has ended, or the deadline has come.
    fn finish_shutdown(&mut self, now: Instant) -> bool {
        let Some(shutdown) = &self.shutdown else { return false };
        let alive: Vec<&'static str> = self
            .entries
            .iter()
            .filter(|entry| entry.state.run().is_some())
            .map(|entry| entry.descriptor.name)
            .collect();
        if !alive.is_empty() && now < shutdown.deadline {
            return false;
        }
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.reply.send(alive);
        }
        true
    }

    fn publish(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.view.config.clone_from(&entry.config);
        entry.view.take_state(&entry.state);
        self.views.publish(index, entry.view.clone());
    }
}

fn refuse(waiting: Waiting, problem: &Problem, entries: &[Entry]) {
    let faults = waiting
        .features
        .iter()
        .map(|index| Fault { feature: entries[*index].descriptor.name, problem: problem.clone() });
    let faults = faults.collect();
    let _ = waiting.reply.send(Err(faults));
}

fn start_problem(error: &ProbeError) -> Problem {
    let kind = match error {
        ProbeError::Unsupported { missing } => ProblemKind::Unsupported(missing.clone()),
        ProbeError::Failed { .. } | ProbeError::Panicked(_) => ProblemKind::Failed,
    };
    Problem { kind, path: Path::default(), message: format!("failed to start probe: {error}") }
}
