//! The life of a probe, with its phases as types: [`Starting`] can say that it is attached, and only
//! then gets the [`Running`] handle that waits and emits. "Emitted before attached" and "ready said twice"
//! do not compile, and "ready never said" is a failed start.

use crate::{Batch, Close, Containers, Order, Outcome, Params, ProbeError, Scope, SubProbes};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A probe, before it runs. `run` is called once, on a thread of its own, and returns when the probe was
/// told to stop or cannot go on.
pub trait Probe: Send {
    /// Loads, attaches, says so through `start`, works until told to stop, and cleans up.
    fn run(self: Box<Self>, start: Starting) -> Result<(), ProbeError>;
}

/// What wakes a link's waiter.
#[derive(Debug)]
pub enum Signal {
    /// `until` has come.
    Deadline,
    /// The probe's own descriptor can be read.
    Readable,
    /// The operator's wish is this now.
    Order {
        /// The wish.
        order: Order,
        /// Somebody waits to hear what runs of it, also if that is the same as before.
        answer: bool,
    },
    /// The probe shall end.
    Stop,
}

/// The probe's connection to whoever runs it; implemented by the daemon's kit and by test harnesses.
pub trait Link: Send {
    /// Waits for the first of: a control message, `fd` readable, `until`. Also the place where the
    /// thread's CPU time is accounted.
    fn wait(&mut self, fd: Option<BorrowedFd<'_>>, until: Instant) -> Signal;
    /// Takes a batch without ever blocking; what cannot be taken is counted by the link.
    fn send(&mut self, batch: Batch);
    /// Publishes which sub-probes run; the first call is the answer to the start.
    fn report(&mut self, outcome: Outcome);
    /// Publishes how much memory the probe holds for its data, by its own account.
    fn memory(&mut self, bytes: u64);
}

/// A probe that has been told to start and is not attached yet.
pub struct Starting {
    link: Box<dyn Link>,
    order: Order,
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("order", &self.order).finish_non_exhaustive()
    }
}

impl Starting {
    /// Made by the runner.
    pub fn new(link: Box<dyn Link>, order: Order) -> Self {
        Self { link, order }
    }

    /// What is asked for.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Everything that can be attached is. If no sub-probe that was asked for runs, this is the
    /// [`ProbeError::Unsupported`] to return.
    pub fn attached(mut self, outcome: Outcome) -> Result<Running, ProbeError> {
        if outcome.none_runs() {
            return Err(ProbeError::Unsupported { missing: outcome.missing() });
        }
        self.link.report(outcome);
        let now = Instant::now();
        Ok(Running {
            link: self.link,
            order: self.order,
            pending: Pending::default(),
            last: None,
            next: now,
            ticks: 0,
            fresh: true,
        })
    }
}

/// A regular point in time at which a probe reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// 0 for the first, right after the start.
    pub index: u64,
    /// Time since the tick before; `None` for the first.
    pub elapsed: Option<Duration>,
    /// Ticks that were left out because the thread could not run in time.
    pub missed: u64,
}

impl Tick {
    /// What this tick means for a batch: it ends a period, unless it is the first.
    pub fn close(&self) -> Option<Close> {
        self.elapsed.map(|length| Close { length })
    }
}

/// Why [`Running::wait`] returned. Match it exhaustively: a probe that forgets to react to a new scope does
/// not compile.
#[derive(Debug)]
#[must_use]
pub enum Wake {
    /// Time to read.
    Tick(Tick),
    /// The descriptor that was waited for can be read.
    Readable,
    /// The set of sub-probes has changed, or somebody asks what runs of it; answer with [`Running::report`].
    SubProbes(SubProbes),
    /// The scope has changed.
    Scope(Scope),
    /// The containers in scope are others, or are reached through other processes.
    Containers(Containers),
    /// The parameters have changed.
    Params(Arc<Params>),
    /// Detach and return.
    Stop,
}

#[derive(Debug, Default)]
struct Pending {
    sub_probes: bool,
    scope: bool,
    containers: bool,
    params: bool,
}

/// After a start, of the probe or of one more sub-probe, the second reading comes this soon, so that the
/// first ratios do not wait a period.
const SECOND_READING: Duration = Duration::from_secs(1);

/// A probe that is attached.
pub struct Running {
    link: Box<dyn Link>,
    order: Order,
    pending: Pending,
    last: Option<Instant>,
    next: Instant,
    ticks: u64,
    /// The next reading is the first one of a sub-probe.
    fresh: bool,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("order", &self.order).finish_non_exhaustive()
    }
}

impl Running {
    /// What is asked for now.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Waits for the next thing to do; `fd` is the probe's own event source, if it has one.
    pub fn wait(&mut self, fd: Option<BorrowedFd<'_>>) -> Wake {
        loop {
            if std::mem::take(&mut self.pending.scope) {
                return Wake::Scope(self.order.scope.clone());
            }
            if std::mem::take(&mut self.pending.containers) {
                return Wake::Containers(Arc::clone(&self.order.containers));
            }
            if std::mem::take(&mut self.pending.params) {
                return Wake::Params(Arc::clone(&self.order.params));
            }
            // Last: its answer is what whoever asked waits for, and says that all the rest is in force.
            if std::mem::take(&mut self.pending.sub_probes) {
                return Wake::SubProbes(self.order.sub_probes.clone());
            }
            match self.link.wait(fd, self.next) {
                Signal::Deadline => return Wake::Tick(self.tick(Instant::now())),
                Signal::Readable => return Wake::Readable,
                Signal::Stop => return Wake::Stop,
                Signal::Order { order, answer } => self.take_order(order, answer),
            }
        }
    }

    fn take_order(&mut self, order: Order, answer: bool) {
        self.pending.sub_probes |= answer || order.sub_probes != self.order.sub_probes;
        self.pending.scope |= order.scope != self.order.scope;
        self.pending.containers |= order.containers != self.order.containers;
        self.pending.params |= order.params != self.order.params;
        if order.params.report_period() != self.order.params.report_period() && self.ticks > 1 && !self.fresh
        {
            let last = self.last.unwrap_or_else(Instant::now);
            self.next = last + order.params.report_period();
        }
        if order.sub_probes.iter().any(|name| !self.order.sub_probes.has(name)) {
            self.fresh = true;
            self.next = Instant::now();
        }
        self.order = order;
    }

    fn tick(&mut self, now: Instant) -> Tick {
        let fresh = std::mem::take(&mut self.fresh);
        let period = if fresh { SECOND_READING } else { self.order.params.report_period() };
        let planned = self.next;
        let late = now.saturating_duration_since(planned);
        let missed = u64::try_from(late.as_nanos() / period.as_nanos().max(1)).unwrap_or(u64::MAX);
        let tick = Tick {
            index: self.ticks,
            elapsed: self.last.map(|last| now.saturating_duration_since(last)),
            missed,
        };
        self.last = Some(now);
        self.next = if missed == 0 { planned + period } else { now + period };
        self.ticks += 1;
        tick
    }

    /// Hands a batch over; never blocks.
    pub fn emit(&mut self, batch: Batch) {
        if !batch.is_empty() {
            self.link.send(batch);
        }
    }

    /// Says which sub-probes run after [`Wake::SubProbes`].
    pub fn report(&mut self, outcome: Outcome) {
        self.link.report(outcome);
    }

    /// Says how much memory the probe holds for its data.
    pub fn memory(&mut self, bytes: u64) {
        self.link.memory(bytes);
    }
}

/// A probe that only reads at each tick: /proc readers and map drains. [`Polled`] makes a [`Probe`] of it.
pub trait Poll: Send {
    /// Gets ready for `order`, at the start and again whenever it changes, and says what runs. Must keep
    /// what an unchanged part of the order needs (counters, kept descriptors).
    fn apply(&mut self, order: &Order) -> Result<Outcome, ProbeError>;
    /// Reads once.
    fn poll(&mut self, tick: Tick, out: &mut Batch) -> Result<(), ProbeError>;
    /// Whether readings have shown something that [`Poll::apply`] did not say; it is asked again then.
    fn changed(&mut self) -> bool {
        false
    }
    /// Memory held for data, by the probe's own account.
    fn memory(&self) -> u64 {
        0
    }
}

/// A [`Poll`] as a [`Probe`].
#[derive(Debug)]
pub struct Polled<P>(pub P);

impl<P: Poll> Probe for Polled<P> {
    fn run(mut self: Box<Self>, start: Starting) -> Result<(), ProbeError> {
        let mut outcome = self.0.apply(start.order())?;
        let mut running = start.attached(outcome.clone())?;
        loop {
            let look_again = match running.wait(None) {
                Wake::Tick(tick) => {
                    let mut batch = Batch::new(SystemTime::now());
                    batch.close = tick.close();
                    batch.skip("late_tick", tick.missed);
                    self.0.poll(tick, &mut batch)?;
                    running.emit(batch);
                    running.memory(self.0.memory());
                    self.0.changed()
                }
                Wake::SubProbes(_) => {
                    outcome = self.0.apply(running.order())?;
                    running.report(outcome.clone());
                    false
                }
                Wake::Scope(_) | Wake::Containers(_) | Wake::Params(_) => true,
                Wake::Readable => false,
                Wake::Stop => return Ok(()),
            };
            // Nobody waits for an answer here, but what runs may be other than before.
            if look_again {
                let now = self.0.apply(running.order())?;
                if now != outcome {
                    outcome = now;
                    running.report(outcome.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParamValue, params};
    use std::collections::VecDeque;

    /// Answers `wait` from a script; stops when it is empty.
    struct Script(VecDeque<Signal>);

    impl Link for Script {
        fn wait(&mut self, _: Option<BorrowedFd<'_>>, _: Instant) -> Signal {
            self.0.pop_front().unwrap_or(Signal::Stop)
        }
        fn send(&mut self, _: Batch) {}
        fn report(&mut self, _: Outcome) {}
        fn memory(&mut self, _: u64) {}
    }

    fn running(script: Vec<Signal>) -> Running {
        let order = Order { sub_probes: ["a", "b"].into_iter().collect(), ..Order::default() };
        Starting::new(Box::new(Script(script.into())), order).attached(Outcome::default()).expect("runs")
    }

    #[test]
    fn one_order_wakes_once_for_each_part_that_changed() {
        let mut changed = Params::default();
        changed.set(&params::REPORT_PERIOD, ParamValue::Int(5));
        let process = crate::ProcKey { tgid: 1, start_ticks: 1 };
        let id = crate::ContainerKey::new("c").expect("an id");
        let order = Order {
            sub_probes: ["a"].into_iter().collect(),
            scope: Scope::All,
            containers: [crate::ContainerTarget { id, process }].into(),
            params: Arc::new(changed),
        };
        let again = Signal::Order { order: order.clone(), answer: false };
        let mut running = running(vec![Signal::Order { order, answer: false }, again]);
        assert!(matches!(running.wait(None), Wake::Scope(Scope::All)));
        assert!(matches!(running.wait(None), Wake::Containers(list) if list[0].id == id));
        assert!(matches!(running.wait(None), Wake::Params(p) if p.report_period().as_secs() == 5));
        assert!(matches!(running.wait(None), Wake::SubProbes(s) if !s.has("b")));
        assert!(matches!(running.wait(None), Wake::Stop));
    }

    #[test]
    fn whoever_asks_gets_an_answer_though_nothing_has_changed() {
        let order = Order { sub_probes: ["a", "b"].into_iter().collect(), ..Order::default() };
        let mut running = running(vec![Signal::Order { order, answer: true }]);
        assert!(matches!(running.wait(None), Wake::SubProbes(s) if s.has("a")));
    }

    #[test]
    fn the_second_reading_comes_after_a_second_and_later_ones_after_a_period() {
        let mut running = running(vec![]);
        let start = running.next;
        assert_eq!(running.tick(start).elapsed, None);
        assert_eq!(running.next, start + SECOND_READING);
        let second = running.tick(running.next);
        assert_eq!(second.elapsed, Some(SECOND_READING));
        assert_eq!(running.next, start + SECOND_READING + Duration::from_secs(60));
    }

    #[test]
    fn a_sub_probe_that_is_switched_on_is_read_at_once_and_again_after_a_second() {
        let order = |names: &[&'static str]| Order {
            sub_probes: names.iter().copied().collect(),
            ..Order::default()
        };
        let mut running = running(vec![]);
        let _ = running.tick(running.next);
        let _ = running.tick(running.next);
        let planned = running.next;
        running.take_order(order(&["a"]), true);
        assert_eq!(running.next, planned, "less to read is no reason to read now");
        running.take_order(order(&["a", "c"]), true);
        let at_once = running.next;
        assert!(at_once < planned && at_once <= Instant::now());
        let _ = running.tick(at_once);
        assert_eq!(running.next, at_once + SECOND_READING);
        let _ = running.tick(running.next);
        assert_eq!(running.next, at_once + SECOND_READING + Duration::from_secs(60));
    }

    #[test]
    fn late_ticks_are_left_out_and_counted() {
        let mut running = running(vec![]);
        let _ = running.tick(running.next);
        let _ = running.tick(running.next);
        let late = running.next + Duration::from_secs(150);
        assert_eq!(running.tick(late).missed, 2);
        assert_eq!(running.next, late + Duration::from_secs(60));
    }

    #[test]
    fn a_start_of_which_nothing_runs_is_unsupported_with_each_requirement() {
        let order = Order { sub_probes: ["a"].into_iter().collect(), ..Order::default() };
        let mut outcome = Outcome::all(&order.sub_probes);
        outcome.miss("a", "no BTF");
        let error =
            Starting::new(Box::new(Script(VecDeque::new())), order).attached(outcome).expect_err("none runs");
        assert_eq!(error, ProbeError::Unsupported { missing: vec!["a: no BTF".into()] });
    }
}
