//! How many series there may be, for each probe and in all. Counting and the decision; what becomes of a row
//! that is not let in is the table's business.
//!
//! A series is one sample line of the cumulative view: a present counter or gauge is one, a histogram one a
//! bucket plus `+Inf`, sum, count and maximum. The decision is made once for a row, when it is new: a known
//! row whose values become present later may exceed the limit by at most the width of its table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The limits, and the series of all probes.
#[derive(Debug)]
pub(crate) struct Limits {
    total_max: AtomicUsize,
    probe_max: AtomicUsize,
    total: AtomicUsize,
}

impl Limits {
    pub(crate) fn new(total_max: usize, probe_max: usize) -> Self {
        Self { total_max: total_max.into(), probe_max: probe_max.into(), total: AtomicUsize::new(0) }
    }

    /// Changes the limits. Rows that are there already stay.
    pub(crate) fn set(&self, total_max: usize, probe_max: usize) {
        self.total_max.store(total_max, Relaxed);
        self.probe_max.store(probe_max, Relaxed);
    }

    /// Series of all probes.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Relaxed)
    }
}

/// So many times the series that a probe may show are remembered as parts of its overflow rows. They cost a
/// tenth of a shown one: the last reading, and no text.
const REMEMBERED: usize = 4;

/// The share of one probe.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Arc<Limits>,
    /// Of this probe alone; 0 is that of all.
    own_max: AtomicUsize,
    shown: AtomicUsize,
    folded: AtomicUsize,
    limited: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { limits, own_max: 0.into(), shown: 0.into(), folded: 0.into(), limited: 0.into() }
    }

    /// Changes the limit of this probe alone, which is at least 1. Rows that are there already stay.
    pub(crate) fn set(&self, own_max: Option<usize>) {
        self.own_max.store(own_max.unwrap_or(0), Relaxed);
    }

    /// Most series of this probe.
    pub(crate) fn max(&self) -> usize {
        match self.own_max.load(Relaxed) {
            0 => self.limits.probe_max.load(Relaxed),
            own => own,
        }
    }

    /// Whether a new row of `series` may be shown.
    pub(crate) fn admits(&self, series: u32) -> bool {
        let more = series as usize;
        self.shown() + more <= self.max() && self.limits.total() + more <= self.limits.total_max.load(Relaxed)
    }

    /// Whether a row of `series` may be remembered for its share in the overflow row.
    pub(crate) fn admits_folded(&self, series: u32) -> bool {
        let max = self.max().saturating_mul(REMEMBERED);
        self.folded.load(Relaxed) + series as usize <= max
    }

    /// A shown row had `before` series and has `after`.
    pub(crate) fn change(&self, before: u32, after: u32) {
        for count in [&self.shown, &self.limits.total] {
            count.fetch_add(after as usize, Relaxed);
            count.fetch_sub(before as usize, Relaxed);
        }
    }

    /// A remembered row had `before` series and has `after`.
    pub(crate) fn change_folded(&self, before: u32, after: u32) {
        self.folded.fetch_add(after as usize, Relaxed);
        self.folded.fetch_sub(before as usize, Relaxed);
    }

    /// `series` were not let in.
    pub(crate) fn count_limited(&self, series: u32) {
        self.limited.fetch_add(u64::from(series), Relaxed);
    }

    /// Series shown now.
    pub(crate) fn shown(&self) -> usize {
        self.shown.load(Relaxed)
    }

    /// Series that were not let in, ever.
    pub(crate) fn limited(&self) -> u64 {
        self.limited.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_must_fit_into_its_probes_share_and_into_the_whole() {
        let limits = Arc::new(Limits::new(10, 8));
        let (a, b) = (Budget::new(Arc::clone(&limits)), Budget::new(Arc::clone(&limits)));
        a.change(0, 7);
        assert!(a.admits(1) && !a.admits(2), "share of 8");
        assert!(b.admits(3) && !b.admits(4), "whole of 10");
        a.change(7, 0);
        assert!(b.admits(8));
        assert_eq!((a.shown(), limits.total()), (0, 0));
        limits.set(10, 2);
        assert!(!b.admits(8), "a smaller share holds for new rows");
        b.set(Some(8));
        assert!(b.admits(8) && !b.admits(9) && !a.admits(3), "a share of its own");
        b.set(None);
        assert!(b.admits(2) && !b.admits(3));
    }
}
