//! The metric store: the latest row of every subject, limits and freshness, and both views of it.
//!
//! Owns what is shown and for how long. Leaves to others which labels a subject has ([`Labels`]), the
//! formats (`expose`), and what is done with what was dropped ([`Ingested`] tells).
//!
//! Locks: a feature's gate orders its batches, its start and its end; the catalogue lists the tables; each
//! table has its own. They are taken in this order, and none is held while anything is read or sent.

mod catalogue;
mod fragment;
mod freshness;
mod layout;
mod limit;
mod period;
mod plan;
mod rows;
mod stats;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use fragment::{Fragment, Labels};
pub use layout::Reading;
pub use plan::collisions;
pub use stats::{FeatureStats, Stats};

pub(crate) use catalogue::{Catalogue, Listed};
pub(crate) use plan::{Family, FamilyKind, Group, Member, PeriodNames, period_field};
pub(crate) use table::TableStore;

use catalogue::same_table;
use limit::{Budget, Limits};
use probe_core::{Batch, Table};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

/// What a store is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// First part of every metric name; valid in one.
    pub prefix: String,
    /// Value of the label that ends every label list.
    pub machine_id: String,
    /// Series of all probes together.
    pub max_series: usize,
    /// Series of one probe.
    pub max_series_per_probe: usize,
    /// A row disappears after so many periods without a report.
    pub missed_periods: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "gala_gopher".into(),
            machine_id: String::new(),
            max_series: 500_000,
            max_series_per_probe: 50_000,
            missed_periods: 3,
        }
    }
}

/// The host's own label.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Values taken.
    pub samples: u64,
    /// Rows dropped because their subject is not known: its process is gone.
    pub unknown_subject: u64,
    /// Rows that showed the same labels as another one of the batch. The later one is kept.
    pub duplicates: u64,
    /// Series of new rows that the limits kept out.
    pub limited: u64,
    /// The batch is of a run that has ended; nothing of it was taken.
    pub late: bool,
}

/// One feature's place in the store.
#[derive(Debug)]
struct Feature {
    name: &'static str,
    budget: Budget,
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    run: Option<u64>,
    seq: u64,
    heard: Option<Instant>,
    custom: Arc<Fragment>,
    /// Sub-probes whose rows are not taken.
    off: Vec<&'static str>,
    tables: Vec<Shared>,
}

type Shared = Arc<RwLock<TableStore>>;

/// The store. Share it in an `Arc`.
#[derive(Debug)]
pub struct Store {
    missed_periods: u8,
    machine: Arc<Machine>,
    limits: Arc<Limits>,
    wants_periods: AtomicBool,
    features: RwLock<HashMap<&'static str, Arc<Feature>>>,
    catalogue: RwLock<Catalogue>,
}

impl Store {
    /// An empty store.
    pub fn new(options: Options) -> Self {
        Self {
            missed_periods: options.missed_periods,
            machine: Arc::new(Machine { id: options.machine_id }),
            limits: Arc::new(Limits::new(options.max_series, options.max_series_per_probe)),
            wants_periods: AtomicBool::new(false),
            features: RwLock::default(),
            catalogue: RwLock::new(Catalogue::new(options.prefix)),
        }
    }

    /// Changes the limits. What is shown already stays.
    pub fn set_limits(&self, max_series: usize, max_series_per_probe: usize) {
        self.limits.set(max_series, max_series_per_probe);
    }

    /// `feature` may have so many series from now on; `None` is as many as any probe. Rows that are there already stay.
    pub fn allow(&self, feature: &'static str, series: Option<usize>) {
        self.feature(feature).budget.set(series);
    }

    /// A run of `feature` begins: batches of this run are taken from now on, and rows of an earlier one are
    /// gone.
    pub fn open(&self, feature: &'static str, run: u64) {
        self.begin(feature, Some(run));
    }

    /// The run of `feature` has ended: its rows disappear at once, and batches that are still under way
    /// will not be taken.
    pub fn retire(&self, feature: &'static str) {
        self.begin(feature, None);
    }

    fn begin(&self, feature: &'static str, run: Option<u64>) {
        let feature = self.feature(feature);
        let mut gate = lock(&feature.gate);
        gate.run = run;
        gate.heard = None;
        gate.tables.iter().for_each(|table| write(table).clear(&feature.budget));
    }

    /// The sub-probes of `feature` that are switched off: their rows disappear at once, and what is still
    /// under way from them is not taken.
    pub fn switch_off(&self, feature: &'static str, sub_probes: Vec<&'static str>) {
        let feature = self.feature(feature);
        let mut gate = lock(&feature.gate);
        for table in &gate.tables {
            let mut table = write(table);
            if sub_probes.contains(&table.table.sub_probe) {
                table.clear(&feature.budget);
            }
        }
        gate.off = sub_probes;
    }

    /// Labels that every series of `feature` gets, those that are there too.
    pub fn set_custom_labels(&self, feature: &'static str, labels: &[(String, String)]) {
        let custom = Arc::new(Fragment::new(labels.iter().map(|(name, value)| (name, value))));
        let feature = self.feature(feature);
        let mut gate = lock(&feature.gate);
        gate.custom = Arc::clone(&custom);
        gate.tables.iter().for_each(|table| write(table).set_custom(Arc::clone(&custom), &feature.budget));
    }

    /// Takes a batch of run `run` of `feature`.
    pub fn ingest(&self, feature: &'static str, run: u64, batch: &Batch, labels: &dyn Labels) -> Ingested {
        let mut tally = Ingested::default();
        let feature = self.feature(feature);
        let mut gate = lock(&feature.gate);
        if gate.run != Some(run) {
            return Ingested { late: true, ..tally };
        }
        gate.seq += 1;
        gate.heard = Some(Instant::now());
        let context = table::Context {
            labels,
            budget: &feature.budget,
            seq: gate.seq,
            read_ms: unix_ms(batch.collected_at),
            closing: batch.close.is_some(),
        };
        let mut rows = batch.rows().peekable();
        while let Some(first) = rows.next() {
            if gate.off.contains(&first.table.sub_probe) {
                continue;
            }
            let shared = self.table(&feature, &mut gate, first.table);
            let mut store = write(&shared);
            store.report(first, &context, &mut tally);
            while let Some(next) = rows.next_if(|next| same_table(next.table, first.table)) {
                store.report(next, &context, &mut tally);
            }
        }
        for shared in &gate.tables {
            let completed = batch.completed();
            if completed.is_empty() && !context.closing {
                break;
            }
            let mut store = write(shared);
            if completed.iter().any(|table| same_table(table, store.table)) {
                store.complete(gate.seq, &feature.budget);
            }
            if context.closing {
                store.close(gate.seq, self.missed_periods, &feature.budget);
            }
        }
        tally
    }

    /// Removes the rows of a feature that has not sent a batch for three of its periods and more: a probe
    /// that hangs ends no period either. Returns whether there were any.
    pub fn expire(&self, feature: &'static str, period: Duration, now: Instant) -> bool {
        let feature = self.feature(feature);
        let mut gate = lock(&feature.gate);
        // Half a period more, so that a third batch which is late comes first.
        let patience = period * u32::from(self.missed_periods) + period / 2;
        let silent = gate.heard.is_some_and(|heard| now.saturating_duration_since(heard) > patience);
        if silent {
            gate.heard = None;
            gate.tables.iter().for_each(|table| write(table).clear(&feature.budget));
        }
        silent
    }

    /// Switches the per-period view on. It costs the memory of two more copies of all values, so it is off
    /// until a channel or the first scrape asks for it; what it shows begins with the next period that
    /// ends. Counts are then those since now, which for a polled probe is since its last period ended.
    pub fn want_periods(&self) {
        if self.wants_periods.swap(true, Ordering::AcqRel) {
            return;
        }
        let features: Vec<_> = read(&self.features).values().map(Arc::clone).collect();
        for feature in features {
            let gate = lock(&feature.gate);
            gate.tables.iter().for_each(|table| write(table).want_periods());
        }
    }

    /// Figures about the store itself.
    pub fn stats(&self) -> Stats {
        let features: Vec<_> = read(&self.features).values().map(Arc::clone).collect();
        let mut features: Vec<_> = features.iter().map(|feature| feature.stats()).collect();
        features.sort_by_key(|feature| feature.feature);
        Stats { series: self.limits.total(), features }
    }

    /// Series of the tables of each sub-probe of `feature`, which looks at every row.
    pub fn series_by_sub_probe(&self, feature: &str) -> BTreeMap<&'static str, u64> {
        let feature = read(&self.features).get(feature).map(Arc::clone);
        feature.map(|feature| feature.series_by_sub_probe()).unwrap_or_default()
    }

    pub(crate) fn catalogue(&self) -> RwLockReadGuard<'_, Catalogue> {
        read(&self.catalogue)
    }

    fn feature(&self, name: &'static str) -> Arc<Feature> {
        if let Some(feature) = read(&self.features).get(name) {
            return Arc::clone(feature);
        }
        let new = || {
            let budget = Budget::new(Arc::clone(&self.limits));
            Arc::new(Feature { name, budget, gate: Mutex::default() })
        };
        Arc::clone(write(&self.features).entry(name).or_insert_with(new))
    }

    /// The rows of `table`; a table that is seen for the first time is listed.
    fn table(&self, feature: &Feature, gate: &mut Gate, table: &'static Table) -> Shared {
        let known = gate.tables.iter().find(|shared| same_table(read(shared).table, table));
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let custom = Arc::clone(&gate.custom);
        let mut store = TableStore::new(feature.name, table, Arc::clone(&self.machine), custom);
        // The gate is ours: the switch is either seen here, or finds the table in the gate's list.
        if self.wants_periods.load(Ordering::Acquire) {
            store.want_periods();
        }
        let shared = Arc::new(RwLock::new(store));
        gate.tables.push(Arc::clone(&shared));
        write(&self.catalogue).list(feature.name, table, Arc::clone(&shared));
        shared
    }
}

/// Milliseconds since 1970; 0 for a clock before that.
fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

// A panic elsewhere leaves no half-written state that would be worse than no metrics at all.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
