//! A histogram with fixed upper bounds, cumulative since its series began.

/// Observed values counted by upper bound. Bounds are the column's; counts here are per bucket, the
/// cumulative form that Prometheus wants is made when it is written, so it cannot be inconsistent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One count per bound of the column, then one for values above the last bound.
    buckets: Box<[u64]>,
    sum: f64,
    max: Option<f64>,
}

impl Histogram {
    /// An empty histogram for a column with `bounds` upper bounds.
    pub fn new(bounds: &[u64]) -> Self {
        Self { buckets: vec![0; bounds.len() + 1].into(), sum: 0.0, max: None }
    }

    /// A histogram whose per-bucket counts (the last one is "above every bound") were counted elsewhere,
    /// in the kernel for one. `max` is the largest value of the last completed period.
    pub fn from_buckets(buckets: Box<[u64]>, sum: f64, max: Option<f64>) -> Self {
        Self { buckets, sum, max }
    }

    /// Counts `value`. An upper bound is inclusive, as Prometheus defines `le`.
    #[allow(clippy::cast_precision_loss)] // bounds are far below 2^53 but for the catalogue's u64::MAX
    pub fn observe(&mut self, bounds: &[u64], value: f64) {
        let slot = bounds.partition_point(|bound| (*bound as f64) < value);
        if let Some(bucket) = self.buckets.get_mut(slot) {
            *bucket += 1;
        }
        self.sum += value;
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    /// Per-bucket counts; the last is for values above every bound.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Number of observed values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of the observed values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Largest value of the last completed period, if there was one.
    pub fn max(&self) -> Option<f64> {
        self.max
    }

    /// What was observed since `earlier`, a previous state of the same histogram. If any bucket went
    /// backwards the series began anew, and all of `self` counts.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let reset = self.buckets.len() != earlier.buckets.len()
            || self.buckets.iter().zip(&earlier.buckets).any(|(now, then)| now < then);
        if reset {
            return self.clone();
        }
        Histogram {
            buckets: self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now - then).collect(),
            sum: self.sum - earlier.sum,
            max: self.max,
        }
    }

    /// Adds the counts of `other`, which has the same bounds: what an overflow series does.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum += other.sum;
        self.max = match (self.max, other.max) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[u64] = &[10, 100];

    #[test]
    fn bounds_are_inclusive_and_the_last_bucket_takes_the_rest() {
        let mut h = Histogram::new(BOUNDS);
        for v in [0.0, 10.0, 10.5, 100.0, 101.0] {
            h.observe(BOUNDS, v);
        }
        assert_eq!(h.buckets(), [2, 2, 1]);
        assert_eq!((h.count(), h.sum(), h.max()), (5, 221.5, Some(101.0)));
    }

    #[test]
    fn since_a_reset_is_the_whole() {
        let mut before = Histogram::new(BOUNDS);
        before.observe(BOUNDS, 5.0);
        let mut after = before.clone();
        after.observe(BOUNDS, 50.0);
        assert_eq!(after.since(&before).buckets(), [0, 1, 0]);
        assert_eq!(before.since(&after).buckets(), before.buckets());
    }
}
