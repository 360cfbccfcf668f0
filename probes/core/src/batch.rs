//! What a probe hands over at one time: rows of any of its tables, and what it had to leave out.

use crate::{Histogram, Label, Occurrence, Row, Subject, Table};
use std::time::{Duration, SystemTime};

/// The value of one column of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Not known: no sample is shown.
    #[default]
    Absent,
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(Box<Histogram>),
}

impl From<Option<u64>> for Value {
    fn from(v: Option<u64>) -> Self {
        v.map_or(Self::Absent, Self::Counter)
    }
}

impl From<Option<f64>> for Value {
    fn from(v: Option<f64>) -> Self {
        v.filter(|v| v.is_finite()).map_or(Self::Absent, Self::Gauge)
    }
}

impl From<Option<Histogram>> for Value {
    fn from(v: Option<Histogram>) -> Self {
        v.map_or(Self::Absent, |h| Self::Histogram(Box::new(h)))
    }
}

/// From where the first difference of a new row's counters is taken, for per-period outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The source counted before we looked: the first reading is the baseline.
    FirstReading,
    /// The source began at 0 since the previous report (a process or connection that is younger, or a
    /// counter of our own): the first reading is itself the first difference.
    Zero,
}

/// That a report period ended with this batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Close {
    /// How long the period really was.
    pub length: Duration,
}

#[derive(Debug)]
struct Head {
    table: &'static Table,
    subject: Subject,
    baseline: Baseline,
    last: bool,
    labels: u32,
    values: u32,
}

/// A row as it lies in a batch.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    /// Its table.
    pub table: &'static Table,
    /// What it is about.
    pub subject: Subject,
    /// See [`Baseline`].
    pub baseline: Baseline,
    /// The subject has ended: this is the row's last report.
    pub last: bool,
    /// Key labels, then the other labels, in the table's order.
    pub labels: &'a [Label],
    /// One value a column.
    pub values: &'a [Value],
}

/// Rows of one collection, in three flat vectors so that a row costs no allocation of its own.
#[derive(Debug)]
pub struct Batch {
    heads: Vec<Head>,
    labels: Vec<Label>,
    values: Vec<Value>,
    complete: Vec<&'static Table>,
    skipped: Vec<(&'static str, u64)>,
    occurrences: Vec<Occurrence>,
    charged: Vec<(&'static str, Duration)>,
    /// When the values were read.
    pub collected_at: SystemTime,
    /// Set on the batch that ends a report period.
    pub close: Option<Close>,
}

impl Batch {
    /// An empty batch whose values are being read now, at `collected_at`.
    pub fn new(collected_at: SystemTime) -> Self {
        Self {
            heads: Vec::new(),
            labels: Vec::new(),
            values: Vec::new(),
            complete: Vec::new(),
            skipped: Vec::new(),
            occurrences: Vec::new(),
            charged: Vec::new(),
            collected_at,
            close: None,
        }
    }

    /// Adds a row.
    pub fn push<R: Row>(&mut self, subject: Subject, baseline: Baseline, row: R) {
        self.add(subject, baseline, false, row);
    }

    /// Adds the last row of a subject that has ended; it is shown until the next period ends.
    pub fn push_last<R: Row>(&mut self, subject: Subject, baseline: Baseline, row: R) {
        self.add(subject, baseline, true, row);
    }

    #[allow(clippy::cast_possible_truncation)] // a batch is bounded far below 2^32 labels
    fn add<R: Row>(&mut self, subject: Subject, baseline: Baseline, last: bool, row: R) {
        let head = Head {
            table: R::TABLE,
            subject,
            baseline,
            last,
            labels: self.labels.len() as u32,
            values: self.values.len() as u32,
        };
        self.heads.push(head);
        row.write(&mut self.labels, &mut self.values);
    }

    /// Says that this batch has every row of `R`'s table: rows that are not in it have ended, and
    /// disappear now instead of after three missed periods.
    pub fn complete<R: Row>(&mut self) {
        self.complete.push(R::TABLE);
    }

    /// The tables of which this batch has every row.
    pub fn completed(&self) -> &[&'static Table] {
        &self.complete
    }

    /// Counts something that was left out (a /proc entry that died while it was read, a mount that does
    /// not answer); `reason` is a short constant for the label of `gopherd_lost_total`.
    pub fn skip(&mut self, reason: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        match self.skipped.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += count,
            None => self.skipped.push((reason, count)),
        }
    }

    /// What was left out, by reason.
    pub fn skipped(&self) -> &[(&'static str, u64)] {
        &self.skipped
    }

    /// Says that so much CPU time of this thread was spent for a sub-probe alone. What nobody is charged with is divided
    /// by whoever takes the batch, by the values of each sub-probe.
    pub fn charge(&mut self, sub_probe: &'static str, cpu: Duration) {
        match self.charged.iter_mut().find(|(name, _)| *name == sub_probe) {
            Some((_, sum)) => *sum += cpu,
            None => self.charged.push((sub_probe, cpu)),
        }
    }

    /// What sub-probes were charged with.
    pub fn charged(&self) -> &[(&'static str, Duration)] {
        &self.charged
    }

    /// Tells an event that is no property of a row. At most [`Batch::MOST_OCCURRENCES`] are taken; more are counted
    /// as left out.
    pub fn tell(&mut self, occurrence: Occurrence) {
        if self.occurrences.len() < Self::MOST_OCCURRENCES {
            self.occurrences.push(occurrence);
        } else {
            self.skip("occurrences", 1);
        }
    }

    /// As many occurrences does one batch carry.
    pub const MOST_OCCURRENCES: usize = 1024;

    /// What happened, in the order it was told.
    pub fn occurrences(&self) -> &[Occurrence] {
        &self.occurrences
    }

    /// The rows, in the order they were added.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RowRef<'_>> {
        self.heads.iter().map(|head| {
            let labels = head.labels as usize;
            let values = head.values as usize;
            RowRef {
                table: head.table,
                subject: head.subject,
                baseline: head.baseline,
                last: head.last,
                labels: &self.labels[labels..labels + head.table.keys.len() + head.table.labels.len()],
                values: &self.values[values..values + head.table.columns.len()],
            }
        })
    }

    /// Number of present values of the tables of each sub-probe; those of features without sub-probes are under an empty
    /// name.
    pub fn samples(&self) -> Vec<(&'static str, u64)> {
        let mut samples: Vec<(&'static str, u64)> = Vec::new();
        for row in self.rows() {
            let present = row.values.iter().filter(|value| !matches!(value, Value::Absent)).count() as u64;
            // Rows of a table lie together.
            match samples.iter_mut().rev().find(|(name, _)| *name == row.table.sub_probe) {
                Some((_, sum)) => *sum += present,
                None => samples.push((row.table.sub_probe, present)),
            }
        }
        samples
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
            && self.skipped.is_empty()
            && self.occurrences.is_empty()
            && self.complete.is_empty()
            && self.close.is_none()
    }
}
