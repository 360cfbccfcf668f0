//! Harnesses for probe tests: a fake /proc and /sys, a [`Poll`] driven by hand, and
//! a probe on a thread ([`Observed`]).

mod observed;

pub use observed::{Alone, Observed, PATIENCE};

use probe_core::{Batch, Env, Order, Poll, SubProbes, Subject, Tick, Value};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A directory tree that stands in for the host; removed when dropped.
#[derive(Debug)]
pub struct FakeHost(tempfile::TempDir);

impl FakeHost {
    /// An empty tree.
    #[allow(clippy::new_without_default, clippy::missing_panics_doc, clippy::expect_used)]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Writes `path` (such as `proc/stat`), making the directories above it.
    #[allow(clippy::missing_panics_doc, clippy::expect_used)]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("directories");
        }
        std::fs::write(path, content).expect("file written");
        self
    }

    /// Where `path` lies.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The tree as a probe's environment.
    pub fn env(&self) -> Env {
        Env::under(self.0.path())
    }
}

/// Runs `body` as the daemon's threads run: with no capability in effect but those that it raises itself.
#[allow(clippy::missing_panics_doc, clippy::expect_used)]
pub fn as_in_the_daemon<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let lowered = || {
        let sets = capabilities(None).expect("asked");
        let none = CapabilitySets { effective: CapabilitySet::empty(), ..sets };
        set_capabilities(None, none).expect("less is always allowed");
        body()
    };
    // A thread of its own: what is lowered here would stay down for the tests after this one.
    std::thread::scope(|scope| scope.spawn(lowered).join()).expect("no panic")
}

/// One row in a form that is easy to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRow {
    /// Table name.
    pub table: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// Label names and values, keys first.
    pub labels: Vec<(&'static str, String)>,
    /// Names and values of what is present.
    pub values: Vec<(&'static str, Value)>,
}

impl SeenRow {
    /// The value of `column`; `None` if it is absent.
    #[allow(clippy::cast_precision_loss)]
    pub fn get(&self, column: &str) -> Option<f64> {
        let (_, value) = self.values.iter().find(|(name, _)| *name == column)?;
        match value {
            Value::Counter(v) => Some(*v as f64),
            Value::Gauge(v) => Some(*v),
            Value::Histogram(h) => Some(h.sum()),
            Value::Absent => None,
        }
    }

    /// The value of `label`.
    pub fn label(&self, label: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| *name == label).map(|(_, value)| value.as_str())
    }
}

/// The rows of a batch.
pub fn seen(batch: &Batch) -> Vec<SeenRow> {
    batch
        .rows()
        .map(|row| SeenRow {
            table: row.table.name,
            subject: row.subject,
            labels: row
                .table
                .keys
                .iter()
                .chain(row.table.labels)
                .copied()
                .zip(row.labels.iter().map(ToString::to_string))
                .collect(),
            values: row
                .table
                .columns
                .iter()
                .map(|column| column.name)
                .zip(row.values.iter().cloned())
                .filter(|(_, value)| *value != Value::Absent)
                .collect(),
        })
        .collect()
}

/// An order for `sub_probes` over the default scope with default parameters.
pub fn order(sub_probes: &[&'static str]) -> Order {
    Order { sub_probes: sub_probes.iter().copied().collect::<SubProbes>(), ..Order::default() }
}

/// The tick number `index`, `elapsed` after the one before it.
pub fn tick(index: u64, elapsed: Duration) -> Tick {
    Tick { index, elapsed: (index > 0).then_some(elapsed), missed: 0 }
}

/// Polls once and returns the batch.
#[allow(clippy::missing_panics_doc, clippy::expect_used)]
pub fn poll(probe: &mut dyn Poll, tick: Tick) -> Batch {
    let mut batch = Batch::new(SystemTime::now());
    batch.close = tick.close();
    probe.poll(tick, &mut batch).expect("the poll succeeds");
    batch
}
