//! The values of the last completed period, derived from the cumulative ones. Exists for a table only once
//! somebody asked for the per-period view.

use super::layout::Layout;
use super::rows::{Cells, Rows};
use probe_core::Baseline;

/// Beside each row of a table: its reading at the last close, and what its last period amounted to.
#[derive(Debug)]
pub(crate) struct Periods {
    before: Cells,
    done: Cells,
    read_ms: Vec<u64>,
}

impl Periods {
    /// Starts with the rows that are there: the period that now runs counts from their present readings.
    /// A polled probe reads at the end of a period only, so for it that is the whole period.
    pub(crate) fn new<X>(layout: &Layout, rows: &Rows<X>) -> Self {
        let width = layout.width();
        let mut periods = Self { before: Cells::new(width), done: Cells::new(width), read_ms: Vec::new() };
        for at in 0..rows.len() {
            periods.push();
            layout.seed(rows.cells.row(at), periods.before.row_mut(at), Baseline::FirstReading);
        }
        periods
    }

    /// A row was added.
    pub(crate) fn push(&mut self) {
        self.before.push();
        self.done.push();
        self.read_ms.push(0);
    }

    /// A row was removed, and the last one took its place.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        self.before.swap_remove(at);
        self.done.swap_remove(at);
        self.read_ms.swap_remove(at);
    }

    /// A row was reported. What it counts for the first time gets its start. A first reading that itself
    /// ends the period is no start of it: such a value is absent until the next period has ended.
    pub(crate) fn reported(
        &mut self,
        layout: &Layout,
        at: usize,
        row: &[u64],
        from: Baseline,
        closing: bool,
    ) {
        let before = self.before.row_mut(at);
        if layout.has_new_sums(row, before) && !(closing && from == Baseline::FirstReading) {
            layout.seed(row, before, from);
        }
    }

    /// A period ended. A row that was not reported in it has no values.
    pub(crate) fn close(&mut self, layout: &Layout, at: usize, row: &[u64], read_ms: Option<u64>) {
        match read_ms {
            Some(read_ms) => {
                layout.difference(row, self.before.row(at), self.done.row_mut(at));
                layout.advance(row, self.before.row_mut(at));
                self.read_ms[at] = read_ms;
            }
            None => self.done.row_mut(at).fill(0),
        }
    }

    /// The row's values over the last completed period, and when they were read (Unix time, ms).
    pub(crate) fn row(&self, at: usize) -> (&[u64], u64) {
        (self.done.row(at), self.read_ms[at])
    }

    pub(crate) fn shrink(&mut self) {
        self.before.shrink();
        self.done.shrink();
        self.read_ms.shrink_to(self.read_ms.len() * 2);
    }
}
