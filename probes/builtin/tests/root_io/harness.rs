//! The probe on a thread of its own, told what to do and read as the daemon does it.

use probe_core::{Env, Kind, Occurrence, Order, ParamSpec, ParamValue, Params, Value, params};
use probe_kit::link::Delivery;
pub(crate) use probe_kit::testing::{Alone, PATIENCE};
use probe_kit::testing::{Observed, SeenRow, seen};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Every sub-probe.
pub(crate) const ALL: [&str; 4] = ["io_trace", "io_err", "io_count", "page_cache"];

/// A running probe.
pub(crate) struct Observer {
    probe: Observed,
    order: Order,
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
        Self::run(None, sub_probes, set)
    }

    /// All of it for who is alone.
    pub(crate) fn beside(alone: &Alone) -> Self {
        Self::run(Some(alone), &ALL, &[])
    }

    fn run(
        alone: Option<&Alone>,
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
        let build = probes::find("io").and_then(|feature| feature.build).expect("io is built");
        let probe = Observed::start("io", build(&Env::default()), order.clone(), alone);
        let mut observer = Self { probe, order, skipped: Vec::new(), told: Vec::new() };
        observer.delivered();
        observer
    }

    /// The next reading. What is told in between is noted.
    fn delivered(&mut self) -> Rows {
        self.delivered_since(SystemTime::UNIX_EPOCH)
    }

    /// The next reading that was begun at `asked` or later.
    fn delivered_since(&mut self, asked: SystemTime) -> Rows {
        loop {
            let delivery = self.probe.delivery();
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

    /// Has it read now, which ends a period: a sub-probe that is switched on is read at once, and again after a second,
    /// which is waited for, so that no period ends by itself. `io_count` has no program of its own, so no link comes and
    /// goes; its bytes are not to move meanwhile.
    pub(crate) fn read(&mut self) -> Rows {
        let whole = self.order.clone();
        let others = whole.sub_probes.iter().filter(|name| *name != "io_count").collect();
        self.probe.command(Order { sub_probes: others, ..whole.clone() });
        let asked = SystemTime::now();
        self.probe.command(whole);
        let rows = self.delivered_since(asked);
        self.delivered();
        rows
    }

    /// Runs these sub-probes instead, and has what is new among them read.
    pub(crate) fn switch(&mut self, sub_probes: &[&'static str]) {
        let new = sub_probes.iter().any(|name| !self.order.sub_probes.has(name));
        self.order.sub_probes = sub_probes.iter().copied().collect();
        let order = self.order.clone();
        self.probe.command(order);
        if new {
            self.delivered();
            self.delivered();
        }
    }

    /// Waits until `count` occurrences were told, without asking for a reading.
    pub(crate) fn told(&mut self, count: usize) {
        while self.told.len() < count {
            let delivery = self.probe.delivery();
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
    pub(crate) fn stop(self) {
        drop(self.probe);
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
        self.distribution(device, column).1.iter().sum()
    }

    /// The bounds of a distribution of `io_latency`, and what is in its buckets.
    #[track_caller]
    pub(crate) fn distribution(&self, device: &str, column: &str) -> (&'static [u64], Vec<u64>) {
        let tables = probes::find("io").map(|feature| feature.tables).unwrap_or_default();
        let columns = tables.iter().flat_map(|table| table.columns);
        let bounds = columns.filter(|known| known.name == column).find_map(|known| match known.kind {
            Kind::Histogram(bounds) => Some(bounds),
            _ => None,
        });
        let row = self.row("io_latency", device);
        match row.values.iter().find(|(name, _)| *name == column) {
            Some((_, Value::Histogram(histogram))) => {
                (bounds.expect("a distribution"), histogram.buckets().to_vec())
            }
            other => panic!("{column} is {other:?}"),
        }
    }
}
