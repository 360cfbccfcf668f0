//! The daemon's side of a probe's [`Link`]: a mailbox that holds the latest order, an eventfd that wakes
//! the probe in the same poll as its own event source, and the probe's cost and losses as plain numbers.

use crate::charge::{divide, thread_cpu};
use probe_core::{Batch, Link, Order, Outcome, Signal};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A batch on its way to the pipeline.
#[derive(Debug)]
pub struct Delivery {
    /// The feature that made it.
    pub feature: &'static str,
    /// Its run number, so that a late batch of a stopped probe can be told from the next run's.
    pub run: u64,
    /// What it made.
    pub batch: Batch,
    /// Given back when the delivery has been handled.
    pub slot: Slot,
}

/// A place in the probe's share of the pipeline queue; dropping it frees the place.
#[derive(Debug)]
pub struct Slot(Arc<Gauges>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Batches of one probe that may wait for the pipeline. When they are all taken the newest batch is
/// dropped and counted: values are cumulative, so the next one makes up for it.
pub const IN_FLIGHT: u64 = 4;

/// What a probe costs and loses, readable from any thread while it runs and after.
#[derive(Debug, Default)]
pub struct Gauges {
    in_flight: AtomicU64,
    /// CPU time of the probe's thread, in nanoseconds; of all its runs.
    pub cpu_ns: AtomicU64,
    /// Memory held for data, by the probe's own account.
    pub memory_bytes: AtomicU64,
    /// Samples handed over.
    pub samples: AtomicU64,
    /// Batches dropped because the probe's share of the queue was full.
    pub dropped: AtomicU64,
    /// The part of `cpu_ns` that each sub-probe has, of all its runs; there are no more than its descriptor has.
    sub_probe_cpu: Mutex<BTreeMap<&'static str, Duration>>,
}

impl Gauges {
    /// Batches that wait for the pipeline now.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// CPU time of the probe's thread that was spent for each sub-probe, of all its runs: what it was charged with, and
    /// of the rest a part as large as that of its values. Together no more than `cpu_ns`.
    pub fn sub_probe_cpu(&self) -> BTreeMap<&'static str, Duration> {
        self.sub_probe_cpu.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, Default)]
struct Mail {
    order: Option<Order>,
    /// Somebody waits for the answer to the order, or to one that it has overwritten.
    answer: bool,
    /// Number of the last order that is answered; 0 is the one at the start.
    asked: u64,
    stop: bool,
}

/// The daemon's end: tells the probe what to do.
#[derive(Clone, Debug)]
pub struct Control {
    mail: Arc<Mutex<Mail>>,
    bell: Arc<OwnedFd>,
}

impl Control {
    /// Replaces the order; one that the probe has not looked at yet is overwritten. Returns its number: the
    /// answer is the first report with this number or a later one.
    pub fn order(&self, order: Order) -> u64 {
        let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        mail.order = Some(order);
        mail.answer = true;
        mail.asked += 1;
        let number = mail.asked;
        drop(mail);
        self.ring();
        number
    }

    /// Replaces the order by one that nobody waits for the answer to: processes come and go.
    pub fn rescope(&self, order: Order) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).order = Some(order);
        self.ring();
    }

    /// Tells the probe to end.
    pub fn stop(&self) {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.ring();
    }

    fn ring(&self) {
        // An eventfd write fails only when the counter is full, and then the bell has been rung already.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

/// Wakes a poll at a point in time. A poll's own timeout would not do: a process that is stopped or frozen
/// and goes on waits for what was left of it, though its time has long come.
#[derive(Debug)]
struct Timer(OwnedFd);

impl Timer {
    fn new() -> std::io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?))
    }

    /// Goes off after `left`, which is not 0.
    fn set(&self, left: Duration) {
        let it_value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        // Setting also takes back that it went off. It fails only for times that a Duration cannot be.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
    }
}

/// Called with the probe's outcome each time it reports one, and the number of the order that it is about.
pub type OnReport = Box<dyn FnMut(Outcome, u64) + Send>;

/// The probe's end.
pub struct KitLink {
    feature: &'static str,
    run: u64,
    control: Control,
    timer: Timer,
    outlet: SyncSender<Delivery>,
    gauges: Arc<Gauges>,
    cpu_before_ns: u64,
    /// CPU time of this thread that is divided among the sub-probes.
    divided: Duration,
    /// Number of the last order that the probe has seen.
    seen: u64,
    on_report: OnReport,
}

impl std::fmt::Debug for KitLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KitLink").field("feature", &self.feature).finish_non_exhaustive()
    }
}

impl KitLink {
    /// Makes both ends. `outlet` leads to the pipeline; `gauges` outlives the run, so that totals go on.
    pub fn new(
        feature: &'static str,
        run: u64,
        outlet: SyncSender<Delivery>,
        gauges: Arc<Gauges>,
        on_report: OnReport,
    ) -> std::io::Result<(Self, Control)> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = Control { mail: Arc::default(), bell: Arc::new(bell) };
        let cpu_before_ns = gauges.cpu_ns.load(Ordering::Relaxed);
        let link = Self {
            feature,
            run,
            control: control.clone(),
            timer: Timer::new()?,
            outlet,
            gauges,
            cpu_before_ns,
            divided: Duration::ZERO,
            seen: 0,
            on_report,
        };
        Ok((link, control))
    }

    fn account(&self) -> Duration {
        let cpu = thread_cpu();
        let ns = u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX);
        self.gauges.cpu_ns.store(self.cpu_before_ns.saturating_add(ns), Ordering::Relaxed);
        cpu
    }

    /// Divides what was spent since the last batch among the sub-probes of this one.
    fn charge(&mut self, cpu: Duration, batch: &Batch, samples: &[(&'static str, u64)]) {
        let parts = divide(cpu.saturating_sub(self.divided), batch.charged(), samples);
        // What is nobody's, such as a ring emptied between two readings, waits for the next batch with rows.
        if parts.is_empty() {
            return;
        }
        self.divided = cpu;
        let mut sums = self.gauges.sub_probe_cpu.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, part) in parts {
            *sums.entry(name).or_default() += part;
        }
    }

    fn mail(&mut self) -> Option<Signal> {
        let mut mail = self.control.mail.lock().unwrap_or_else(PoisonError::into_inner);
        if mail.stop {
            return Some(Signal::Stop);
        }
        let order = mail.order.take()?;
        self.seen = mail.asked;
        Some(Signal::Order { order, answer: std::mem::take(&mut mail.answer) })
    }
}

impl Drop for KitLink {
    fn drop(&mut self) {
        self.account();
    }
}

impl Link for KitLink {
    fn wait(&mut self, fd: Option<BorrowedFd<'_>>, until: Instant) -> Signal {
        self.account();
        loop {
            if let Some(signal) = self.mail() {
                return signal;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Signal::Deadline;
            }
            self.timer.set(left);
            let bell = PollFd::from_borrowed_fd(self.control.bell.as_fd(), PollFlags::IN);
            let timer = PollFd::from_borrowed_fd(self.timer.0.as_fd(), PollFlags::IN);
            let mut fds = match fd {
                Some(fd) => vec![bell, timer, PollFd::from_borrowed_fd(fd, PollFlags::IN)],
                None => vec![bell, timer],
            };
            // An interrupted or failed poll is the same as a spurious wake: look again.
            let _ = poll(&mut fds, None);
            let rung = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            let readable = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
            drop(fds);
            if rung {
                let _ = rustix::io::read(&*self.control.bell, &mut [0u8; 8]);
            } else if readable {
                return Signal::Readable;
            }
        }
    }

    fn send(&mut self, batch: Batch) {
        let cpu = self.account();
        let samples = batch.samples();
        self.charge(cpu, &batch, &samples);
        let samples = samples.iter().map(|(_, count)| count).sum();
        if self.gauges.in_flight.fetch_add(1, Ordering::AcqRel) >= IN_FLIGHT {
            self.gauges.in_flight.fetch_sub(1, Ordering::AcqRel);
            self.gauges.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let slot = Slot(Arc::clone(&self.gauges));
        match self.outlet.try_send(Delivery { feature: self.feature, run: self.run, batch, slot }) {
            Ok(()) => {
                self.gauges.samples.fetch_add(samples, Ordering::Relaxed);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.gauges.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn report(&mut self, outcome: Outcome) {
        (self.on_report)(outcome, self.seen);
    }

    fn memory(&mut self, bytes: u64) {
        self.gauges.memory_bytes.store(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::SystemTime;

    fn link(gauges: &Arc<Gauges>) -> (KitLink, Control, std::sync::mpsc::Receiver<Delivery>) {
        let (tx, rx) = sync_channel(16);
        let (link, control) =
            KitLink::new("x", 1, tx, Arc::clone(gauges), Box::new(|_, _| {})).expect("eventfd");
        (link, control, rx)
    }

    #[test]
    fn an_order_given_before_or_while_waiting_is_seen_and_stop_wins() {
        let (mut link, control, _rx) = link(&Arc::default());
        control.order(Order::default());
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(matches!(link.wait(None, far), Signal::Order { answer: true, .. }));
        let waker = {
            let control = control.clone();
            std::thread::Builder::new().spawn(move || control.stop()).expect("thread")
        };
        assert!(matches!(link.wait(None, far), Signal::Stop));
        waker.join().expect("joined");
        assert!(matches!(link.wait(None, Instant::now()), Signal::Stop), "stop stays");
    }

    #[test]
    fn an_overwritten_order_is_answered_with_the_one_that_took_its_place() {
        let (mut link, control, _rx) = link(&Arc::default());
        let first = control.order(Order::default());
        control.rescope(Order::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        link.on_report = Box::new(move |_, number| notes.lock().expect("notes").push(number));
        link.report(Outcome::default());
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(matches!(link.wait(None, far), Signal::Order { answer: true, .. }));
        link.report(Outcome::default());
        assert_eq!(*told.lock().expect("notes"), [0, first]);
    }

    #[test]
    fn a_deadline_in_the_past_is_due() {
        let (mut link, _control, _rx) = link(&Arc::default());
        assert!(matches!(link.wait(None, Instant::now()), Signal::Deadline));
    }

    #[test]
    fn a_full_share_drops_and_counts_and_a_handled_batch_frees_its_place() {
        let gauges = Arc::<Gauges>::default();
        let (mut link, _control, rx) = link(&gauges);
        for _ in 0..IN_FLIGHT + 2 {
            link.send(Batch::new(SystemTime::now()));
        }
        assert_eq!((gauges.dropped.load(Ordering::Relaxed), gauges.in_flight()), (2, IN_FLIGHT));
        drop(rx.recv().expect("a delivery"));
        assert_eq!(gauges.in_flight(), IN_FLIGHT - 1);
        link.send(Batch::new(SystemTime::now()));
        assert_eq!(gauges.dropped.load(Ordering::Relaxed), 2);
    }
}
