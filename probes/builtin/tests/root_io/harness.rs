//! The probe on a thread of its own, told what to do and read as the daemon does it.

use probe_core::{
    Env, Occurrence, Order, ParamSpec, ParamValue, Params, ProbeError, Starting, Value, params,
};
use probe_kit::link::{Control, Delivery, Gauges, KitLink};
use probe_kit::testing::{SeenRow, seen};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Every sub-probe.
pub(crate) const ALL: [&str; 4] = ["io_trace", "io_err", "io_count", "page_cache"];

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Held by every observer, and by the test that counts what is left when there is none.
static OBSERVERS: RwLock<()> = RwLock::new(());

/// That no other test observes.
pub(crate) struct Alone(#[allow(dead_code)] RwLockWriteGuard<'static, ()>); // held, not read

impl Alone {
    /// Waits for the others to end.
    pub(crate) fn claim() -> Self {
        Self(OBSERVERS.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running probe.
pub(crate) struct Observer {
    _among_others: Option<RwLockReadGuard<'static, ()>>,
    control: Control,
    reports: Receiver<u64>,
    deliveries: Receiver<Delivery>,
    order: Order,
    thread: Option<JoinHandle<Result<(), ProbeError>>>,
    /// What was left out, of all readings.
    pub(crate) skipped: Vec<(&'static str, u64)>,
    /// What was told, of all readings.
    pub(crate) told: Vec<Occurrence>,
}

impl Observer {
    /// Starts all of it and waits until it is attached and has read once.
    pub(crate) fn start() -> Self {
        Self::with(&ALL, &[(&params::REPORT_EVENT, ParamValue::Int(1))])
    }

    /// The same with these sub-probes and these parameters.
    pub(crate) fn with(sub_probes: &[&'static str], set: &[(&'static ParamSpec, ParamValue)]) -> Self {
        let among_others = OBSERVERS.read().unwrap_or_else(PoisonError::into_inner);
        Self::run(Some(among_others), sub_probes, set)
    }

    /// All of it for who is alone.
    pub(crate) fn beside(_: &Alone) -> Self {
        Self::run(None, &ALL, &[])
    }

    fn run(
        among_others: Option<RwLockReadGuard<'static, ()>>,
        sub_probes: &[&'static str],
        set: &[(&'static ParamSpec, ParamValue)],
    ) -> Self {
        let mut values = Params::default();
        // No reading but those that are asked for.
        values.set(&params::REPORT_PERIOD, ParamValue::Int(600));
        for (spec, value) in set {
            values.set(spec, value.clone());
        }
        let sub_probes = sub_probes.iter().copied().collect();
        let order = Order { sub_probes, params: Arc::new(values), ..Order::default() };
        let (outlet, deliveries) = sync_channel(64);
        let (told, reports) = channel();
        let on_report = Box::new(move |outcome: probe_core::Outcome, number| {
            let missing: Vec<_> = outcome.sub_probes.iter().filter(|sub| !sub.missing.is_empty()).collect();
            assert!(missing.is_empty(), "{missing:?}");
            for sub in &outcome.sub_probes {
                let verdict = if sub.lacks.is_empty() { "attached".into() } else { sub.lacks.join("; ") };
                eprintln!("VERDICT {}: {verdict}", sub.name);
            }
            let _ = told.send(number);
        });
        let (link, control) =
            KitLink::new("io", 1, outlet, Arc::<Gauges>::default(), on_report).expect("a link");
        let build = probes::find("io").and_then(|feature| feature.build).expect("io is built");
        let probe = build(&Env::default());
        let start = Starting::new(Box::new(link), order.clone());
        let thread = thread::Builder::new().spawn(move || probe.run(start)).expect("a thread");
        let (skipped, told) = (Vec::new(), Vec::new());
        let mut observer = Self {
            _among_others: among_others,
            control,
            reports,
            deliveries,
            order,
            thread: Some(thread),
            skipped,
            told,
        };
        observer.reported(0);
        observer.delivered();
        observer
    }

    fn reported(&mut self, number: u64) {
        loop {
            match self.reports.recv_timeout(PATIENCE) {
                Ok(answered) if answered >= number => return,
                Ok(_) => {}
                Err(_) => panic!("no report: {:?}", self.thread.take().map(JoinHandle::join)),
            }
        }
    }

    /// The next reading. What is told in between is noted.
    fn delivered(&mut self) -> Rows {
        self.delivered_since(SystemTime::UNIX_EPOCH)
    }

    /// The next reading that was begun at `asked` or later.
    fn delivered_since(&mut self, asked: SystemTime) -> Rows {
        loop {
            let Ok(delivery) = self.deliveries.recv_timeout(PATIENCE) else {
                panic!("no rows: {:?}", self.thread.take().map(JoinHandle::join));
            };
            let begun = delivery.batch.collected_at;
            match self.take(&delivery) {
                Some(rows) if begun >= asked => return rows,
                Some(_) => eprintln!("a reading that nobody asked for"),
                None => {}
            }
        }
    }

    fn take(&mut self, delivery: &Delivery) -> Option<Rows> {
        self.skipped.extend_from_slice(delivery.batch.skipped());
        self.told.extend_from_slice(delivery.batch.occurrences());
        // The first reading of all ends no period.
        delivery.batch.close.map(|_| Rows(seen(&delivery.batch)))
    }

    fn command(&mut self, order: Order) {
        let number = self.control.order(order);
        self.reported(number);
    }

    /// Has it read now, which ends a period: a sub-probe that is switched on is read at once, and again after a second,
    /// which is waited for, so that no period ends by itself. `io_count` has no program of its own, so no link comes and
    /// goes; its bytes are not to move meanwhile.
    pub(crate) fn read(&mut self) -> Rows {
        let whole = self.order.clone();
        let others = whole.sub_probes.iter().filter(|name| *name != "io_count").collect();
        self.command(Order { sub_probes: others, ..whole.clone() });
        let asked = SystemTime::now();
        self.command(whole);
        let rows = self.delivered_since(asked);
        self.delivered();
        rows
    }

    /// Runs these sub-probes instead, and has what is new among them read.
    pub(crate) fn switch(&mut self, sub_probes: &[&'static str]) {
        let new = sub_probes.iter().any(|name| !self.order.sub_probes.has(name));
        self.order.sub_probes = sub_probes.iter().copied().collect();
        let order = self.order.clone();
        self.command(order);
        if new {
            self.delivered();
            self.delivered();
        }
    }

    /// Waits until `count` occurrences were told, without asking for a reading.
    pub(crate) fn told(&mut self, count: usize) {
        while self.told.len() < count {
            let delivery = self.deliveries.recv_timeout(PATIENCE);
            let Ok(delivery) = delivery else { panic!("{} of {count} occurrences", self.told.len()) };
            self.take(&delivery);
        }
    }

    /// Reads until `look` finds what it looks for.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Rows) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let rows = self.read();
            if let Some(found) = look(&rows) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} does not come: {rows:#?}");
        }
    }

    /// What was left out for this reason.
    pub(crate) fn lost(&self, reason: &str) -> u64 {
        self.skipped.iter().filter(|(name, _)| *name == reason).map(|(_, count)| count).sum()
    }

    /// Stops it and waits for its end.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("no panic").expect("a regular end");
            }
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.end();
    }
}

/// One reading.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) Vec<SeenRow>);

impl Rows {
    /// The row of `device` in `table`.
    pub(crate) fn find(&self, table: &str, device: &str) -> Option<&SeenRow> {
        self.0.iter().find(|row| row.table == table && row.label("blk_name") == Some(device))
    }

    /// The same, which must be there.
    #[track_caller]
    pub(crate) fn row(&self, table: &str, device: &str) -> &SeenRow {
        self.find(table, device).unwrap_or_else(|| panic!("no {table} of {device}: {self:#?}"))
    }

    /// A value of it.
    #[track_caller]
    pub(crate) fn value(&self, table: &str, device: &str, column: &str) -> f64 {
        let row = self.row(table, device);
        row.get(column).unwrap_or_else(|| panic!("no {column}: {row:#?}"))
    }

    /// The number of values in a distribution of `io_latency`.
    #[track_caller]
    pub(crate) fn samples(&self, device: &str, column: &str) -> u64 {
        let row = self.row("io_latency", device);
        match row.values.iter().find(|(name, _)| *name == column) {
            Some((_, Value::Histogram(histogram))) => histogram.count(),
            other => panic!("{column} is {other:?}"),
        }
    }
}
