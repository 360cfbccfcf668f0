//! How the values of a table's row lie in 8-byte cells: words of presence bits, then one cell a counter or
//! gauge, and one a bucket plus sum and maximum for a histogram. All arithmetic on rows is here and pure.

use probe_core::{Baseline, Kind, Table, Value};

/// Where a column lies.
#[derive(Debug)]
struct Place {
    kind: Kind,
    /// Bit of the column's presence.
    bit: usize,
    /// First cell, counted from the start of the row.
    at: usize,
}

/// A value as it lies in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge; finite.
    Gauge(f64),
    /// Of a histogram: counts per bucket (the last is above every bound), sum, largest value.
    Histogram {
        /// Not cumulative.
        buckets: &'a [u64],
        /// Finite.
        sum: f64,
        /// Largest value of the last completed period.
        max: Option<f64>,
    },
}

impl Reading<'_> {
    /// How many series the cumulative view shows for it: a histogram counts its buckets, `+Inf`, sum,
    /// count and, if there is one, maximum.
    fn series(self) -> u32 {
        match self {
            Self::Histogram { buckets, max, .. } => {
                u32::try_from(buckets.len()).unwrap_or(u32::MAX) + 2 + u32::from(max.is_some())
            }
            _ => 1,
        }
    }
}

/// The layout of a table's rows.
#[derive(Debug)]
pub(crate) struct Layout {
    places: Box<[Place]>,
    /// Cells of a row.
    width: usize,
    /// Bits of the columns that are counted up: counters and histograms.
    sums: Box<[u64]>,
}

impl Layout {
    pub(crate) fn new(table: &Table) -> Self {
        // Two bits a column: its presence, and that of a histogram's maximum.
        let words = (table.columns.len() * 2).div_ceil(64);
        let (mut places, mut at, mut sums) = (Vec::new(), words, vec![0; words]);
        for (index, column) in table.columns.iter().enumerate() {
            let bit = index * 2;
            places.push(Place { kind: column.kind, bit, at });
            if column.kind != Kind::Gauge {
                set(&mut sums, bit);
            }
            at += match column.kind {
                Kind::Counter | Kind::Gauge => 1,
                Kind::Histogram(bounds) => bounds.len() + 3,
            };
        }
        Self { places: places.into(), width: at, sums: sums.into() }
    }

    /// Cells of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.places.len()
    }

    /// Replaces the row by `values`; returns how many values and how many series it has now. A value that
    /// does not fit its column (of another kind, not finite, with another number of buckets) is absent.
    pub(crate) fn write(&self, row: &mut [u64], values: &[Value]) -> (u32, u32) {
        let (mut samples, mut series) = (0, 0);
        row[..self.sums.len()].fill(0);
        for (place, value) in self.places.iter().zip(values) {
            match (value, place.kind) {
                (Value::Counter(v), Kind::Counter) => row[place.at] = *v,
                (Value::Gauge(v), Kind::Gauge) if v.is_finite() => row[place.at] = v.to_bits(),
                (Value::Histogram(h), Kind::Histogram(bounds))
                    if h.buckets().len() == bounds.len() + 1 && h.sum().is_finite() =>
                {
                    let sum = place.at + h.buckets().len();
                    row[place.at..sum].copy_from_slice(h.buckets());
                    row[sum] = h.sum().to_bits();
                    if let Some(max) = h.max().filter(|max| max.is_finite()) {
                        row[sum + 1] = max.to_bits();
                        set(row, place.bit + 1);
                        series += 1;
                    }
                    series += u32::try_from(bounds.len() + 2).unwrap_or(u32::MAX);
                }
                _ => continue,
            }
            set(row, place.bit);
            samples += 1;
            series += 1;
        }
        (samples, series)
    }

    /// The value of a column, if it is present. Inlined: a scrape asks it once a series, for one column row by row.
    #[inline]
    pub(crate) fn read<'a>(&self, row: &'a [u64], column: usize) -> Option<Reading<'a>> {
        let place = self.places.get(column)?;
        is_set(row, place.bit).then(|| match place.kind {
            Kind::Counter => Reading::Counter(row[place.at]),
            Kind::Gauge => Reading::Gauge(f64::from_bits(row[place.at])),
            Kind::Histogram(bounds) => {
                let sum = place.at + bounds.len() + 1;
                Reading::Histogram {
                    buckets: &row[place.at..sum],
                    sum: f64::from_bits(row[sum]),
                    max: is_set(row, place.bit + 1).then(|| f64::from_bits(row[sum + 1])),
                }
            }
        })
    }

    /// Number of series that the row shows.
    pub(crate) fn series(&self, row: &[u64]) -> u32 {
        (0..self.columns()).filter_map(|column| self.read(row, column)).map(Reading::series).sum()
    }

    /// Whether `row` has a counter or histogram that `before` lacks.
    pub(crate) fn has_new_sums(&self, row: &[u64], before: &[u64]) -> bool {
        self.sums.iter().zip(row).zip(before).any(|((sums, now), then)| now & !then & sums != 0)
    }

    /// Gives each counter and histogram of `row` that `before` lacks a start in `before`: its value if the
    /// source counted before we looked, 0 if it began at 0.
    pub(crate) fn seed(&self, row: &[u64], before: &mut [u64], baseline: Baseline) {
        for place in &self.places {
            let cells = place.at..place.at + place.sum_cells();
            if cells.is_empty() || !is_set(row, place.bit) || is_set(before, place.bit) {
                continue;
            }
            match baseline {
                Baseline::FirstReading => before[cells.clone()].copy_from_slice(&row[cells]),
                Baseline::Zero => before[cells].fill(0),
            }
            set(before, place.bit);
        }
    }

    /// Writes into `out` what was counted between `before` and `row`. A counter or histogram that `before`
    /// lacks is absent; one that went backwards began anew, and all of it counts. Gauges and maxima are
    /// those of `row`.
    pub(crate) fn difference(&self, row: &[u64], before: &[u64], out: &mut [u64]) {
        out.copy_from_slice(row);
        for place in self.places.iter().filter(|place| is_set(row, place.bit)) {
            let counts = place.at..place.at + place.count_cells();
            if counts.is_empty() {
                continue;
            }
            if !is_set(before, place.bit) {
                unset(out, place.bit);
                continue;
            }
            if row[counts.clone()].iter().zip(&before[counts.clone()]).any(|(now, then)| now < then) {
                continue;
            }
            for at in counts.clone() {
                out[at] -= before[at];
            }
            if let Kind::Histogram(_) = place.kind {
                let sum = f64::from_bits(row[counts.end]) - f64::from_bits(before[counts.end]);
                out[counts.end] = sum.to_bits();
            }
        }
    }

    /// Makes `before` the reading `row`, but for the columns that `row` lacks.
    pub(crate) fn advance(&self, row: &[u64], before: &mut [u64]) {
        for place in self.places.iter().filter(|place| is_set(row, place.bit)) {
            let cells = place.at..place.at + place.sum_cells();
            if !cells.is_empty() {
                before[cells.clone()].copy_from_slice(&row[cells]);
                set(before, place.bit);
            }
        }
    }

    /// Adds the counters and histograms of `part` to `total`. Gauges and maxima have no sum.
    pub(crate) fn accumulate(&self, total: &mut [u64], part: &[u64]) {
        for place in self.places.iter().filter(|place| is_set(part, place.bit)) {
            let counts = place.at..place.at + place.count_cells();
            if counts.is_empty() {
                continue;
            }
            if !is_set(total, place.bit) {
                total[place.at..place.at + place.sum_cells()].fill(0);
                set(total, place.bit);
            }
            for at in counts.clone() {
                total[at] = total[at].wrapping_add(part[at]);
            }
            if let Kind::Histogram(_) = place.kind {
                let sum = f64::from_bits(total[counts.end]) + f64::from_bits(part[counts.end]);
                total[counts.end] = sum.to_bits();
            }
        }
    }
}

impl Place {
    /// Cells that hold counts, from `at` on.
    fn count_cells(&self) -> usize {
        match self.kind {
            Kind::Gauge => 0,
            Kind::Counter => 1,
            Kind::Histogram(bounds) => bounds.len() + 1,
        }
    }

    /// Cells that grow, from `at` on: the counts, and a histogram's sum.
    fn sum_cells(&self) -> usize {
        self.count_cells() + usize::from(matches!(self.kind, Kind::Histogram(_)))
    }
}

fn set(row: &mut [u64], bit: usize) {
    row[bit / 64] |= 1 << (bit % 64);
}

fn unset(row: &mut [u64], bit: usize) {
    row[bit / 64] &= !(1 << (bit % 64));
}

fn is_set(row: &[u64], bit: usize) -> bool {
    row[bit / 64] & (1 << (bit % 64)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::Histogram;
    use proptest::prelude::*;

    const BOUNDS: &[u64] = &[10, 100];

    probe_core::table! {
        struct Mixed = "mixed", entity "mixed", sub_probe "" {
            keys {}
            labels {}
            counter c: Count = "A counter.";
            gauge g: Ratio = "A gauge.";
            histogram(BOUNDS) h: Nanoseconds = "A histogram.";
        }
    }

    fn layout() -> Layout {
        Layout::new(<Mixed as probe_core::Row>::TABLE)
    }

    fn row(c: Option<u64>, g: Option<f64>, h: Option<Histogram>) -> Vec<u64> {
        let layout = layout();
        let mut row = vec![0; layout.width()];
        layout.write(&mut row, &[c.into(), g.into(), h.into()]);
        row
    }

    fn buckets(counts: [u64; 3], sum: f64) -> Option<Histogram> {
        Some(Histogram::from_buckets(Box::new(counts), sum, Some(9.0)))
    }

    #[test]
    fn what_is_written_is_read_and_the_absent_stays_absent() {
        let layout = layout();
        let mut cells = vec![u64::MAX; layout.width()];
        let h = buckets([1, 2, 3], 70.0);
        assert_eq!(layout.write(&mut cells, &[Value::Counter(5), Value::Absent, h.into()]), (2, 7));
        assert_eq!(layout.series(&cells), 7);
        assert_eq!(layout.read(&cells, 0), Some(Reading::Counter(5)));
        assert_eq!(layout.read(&cells, 1), None);
        let expected = Reading::Histogram { buckets: &[1, 2, 3], sum: 70.0, max: Some(9.0) };
        assert_eq!(layout.read(&cells, 2), Some(expected));
    }

    #[test]
    fn a_value_that_does_not_fit_its_column_is_absent() {
        let layout = layout();
        let mut cells = vec![0; layout.width()];
        let narrow = Value::Histogram(Box::new(Histogram::new(&[1])));
        for values in [
            [Value::Gauge(1.0), Value::Counter(1), narrow],
            [Value::Absent, Value::Gauge(f64::NAN), Value::Absent],
            [Value::Absent, Value::Gauge(f64::INFINITY), Value::Absent],
        ] {
            assert_eq!(layout.write(&mut cells, &values), (0, 0));
        }
    }

    #[test]
    fn differences_of_counters_follow_growth_reset_and_absence() {
        let layout = layout();
        for (before, now, expected) in [
            (Some(3), Some(10), Some(7)),
            (Some(3), Some(3), Some(0)),
            (Some(10), Some(4), Some(4)),
            (None, Some(4), None),
            (Some(4), None, None),
        ] {
            let (before, now) = (row(before, None, None), row(now, None, None));
            let mut out = vec![0; layout.width()];
            layout.difference(&now, &before, &mut out);
            assert_eq!(layout.read(&out, 0), expected.map(Reading::Counter));
        }
    }

    #[test]
    fn a_histogram_of_which_one_bucket_went_back_began_anew() {
        let layout = layout();
        for (before, now, counts, sum) in [
            (([1, 1, 0], 20.0), ([1, 3, 0], 90.0), [0, 2, 0], 70.0),
            (([1, 1, 0], 20.0), ([2, 0, 0], 8.0), [2, 0, 0], 8.0),
        ] {
            let before = row(None, None, buckets(before.0, before.1));
            let now = row(None, None, buckets(now.0, now.1));
            let mut out = vec![0; layout.width()];
            layout.difference(&now, &before, &mut out);
            let expected = Reading::Histogram { buckets: &counts, sum, max: Some(9.0) };
            assert_eq!(layout.read(&out, 2), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn differences_add_up_to_the_last_reading(steps in prop::collection::vec((0u64..50, [0u64..9, 0..9, 0..9]), 1..20)) {
            let layout = layout();
            let (mut before, mut total) = (vec![0; layout.width()], vec![0; layout.width()]);
            let mut part = total.clone();
            let (mut c, mut counts) = (0, [0, 0, 0]);
            for (step, more) in steps {
                c += step;
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
                let now = row(Some(c), Some(1.0), buckets(counts, 0.0));
                layout.seed(&now, &mut before, Baseline::Zero);
                layout.difference(&now, &before, &mut part);
                layout.accumulate(&mut total, &part);
                layout.advance(&now, &mut before);
            }
            prop_assert_eq!(layout.read(&total, 0), Some(Reading::Counter(c)));
            prop_assert_eq!(layout.read(&total, 1), None, "gauges have no sum");
            prop_assert_eq!(layout.read(&total, 2), Some(Reading::Histogram { buckets: &counts, sum: 0.0, max: None }));
        }
    }
}
