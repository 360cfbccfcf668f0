//! Figures about the store itself, for the self metrics and the status documents.

use super::{Feature, lock, read};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one feature has in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureStats {
    /// Its name.
    pub feature: &'static str,
    /// Series shown now.
    pub series: usize,
    /// Rows shown now.
    pub rows: usize,
    /// Rows that are a part of an overflow row now.
    pub folded_rows: usize,
    /// Series that the limits kept out, ever: each once while it is remembered in an overflow row.
    pub limited_total: u64,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series shown now, of all features.
    pub series: usize,
    /// By feature, in the order of their names.
    pub features: Vec<FeatureStats>,
}

impl Feature {
    /// Series of the tables of each sub-probe, those of overflow rows included.
    pub(super) fn series_by_sub_probe(&self) -> BTreeMap<&'static str, u64> {
        let mut series = BTreeMap::new();
        for table in &lock(&self.gate).tables {
            let table = read(table);
            let its: u64 = table.rows().slots().iter().map(|slot| u64::from(slot.series)).sum();
            *series.entry(table.table.sub_probe).or_default() += its;
        }
        series
    }

    pub(super) fn stats(self: &Arc<Self>) -> FeatureStats {
        let gate = lock(&self.gate);
        let (rows, folded_rows) = gate.tables.iter().fold((0, 0), |(rows, folded), table| {
            let table = read(table);
            (rows + table.rows().len(), folded + table.folded())
        });
        FeatureStats {
            feature: self.name,
            series: self.budget.shown(),
            rows,
            folded_rows,
            limited_total: self.budget.limited(),
        }
    }
}
