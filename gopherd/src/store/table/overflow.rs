//! The overflow row: what becomes of rows that the limits keep out. It grows by what each of them counted
//! since its last report, so it never goes back, whoever comes and goes.

use super::{Context, TableStore};
use crate::store::Ingested;
use crate::store::fragment::Fragment;
use crate::store::freshness::Life;
use crate::store::limit::Budget;
use crate::store::rows::Slot;
use probe_core::{Baseline, Label, RowRef, Subject};
use std::sync::Arc;

/// Value of the key labels of an overflow row; its label in a table without keys.
const OVERFLOW: &str = "overflow";

impl TableStore {
    /// Adds what the row counted since its last report to the overflow row. `self.incoming` holds its
    /// values. A row that cannot even be remembered is left out.
    pub(super) fn fold(
        &mut self,
        hash: u64,
        member: Option<usize>,
        series: u32,
        row: RowRef<'_>,
        cx: &Context<'_>,
        tally: &mut Ingested,
    ) {
        let member = match member {
            Some(member) => member,
            None => {
                cx.budget.count_limited(series);
                tally.limited += u64::from(series);
                if !cx.budget.admits_folded(series) {
                    return;
                }
                let labels = row.labels.into();
                let life = Life::reported(row.last);
                let slot =
                    Slot { subject: row.subject, labels, hash, life, seq: cx.seq, series: 0, extra: () };
                self.folded.push(slot, true)
            }
        };
        let before = self.folded.cells.row_mut(member);
        self.layout.seed(&self.incoming, before, row.baseline);
        self.layout.difference(&self.incoming, before, &mut self.part);
        self.layout.advance(&self.incoming, before);
        let slot = self.folded.slot_mut(member);
        cx.budget.change_folded(slot.series, series);
        (slot.series, slot.seq, slot.life) = (series, cx.seq, Life::reported(row.last));
        self.grow_overflow(cx);
    }

    /// Adds `self.part` to the overflow row.
    fn grow_overflow(&mut self, cx: &Context<'_>) {
        let Some(at) = self.overflow.or_else(|| self.make_overflow(cx)) else { return };
        let total = self.rows.cells.row_mut(at);
        self.layout.accumulate(total, &self.part);
        let series = self.layout.series(total);
        let slot = self.rows.slot_mut(at);
        cx.budget.change(slot.series, series);
        (slot.series, slot.seq, slot.extra.read_ms) = (series, cx.seq, cx.read_ms);
        if let Some(periods) = &mut self.periods {
            periods.reported(&self.layout, at, self.rows.cells.row(at), Baseline::Zero, cx.closing);
        }
    }

    fn make_overflow(&mut self, cx: &Context<'_>) -> Option<usize> {
        let keys = std::iter::repeat_n(Label::new_static(OVERFLOW), self.table.keys.len());
        let others = std::iter::repeat_n(Label::default(), self.table.labels.len());
        let labels: Box<[Label]> = keys.chain(others).collect();
        // A table without keys tells its overflow row apart by a label of its own.
        let mark = self.table.keys.is_empty().then_some((OVERFLOW, "true"));
        let fragment = Arc::new(Fragment::new(mark));
        let text_hash = self.render(&labels, &fragment);
        // A row that really is called so gives way: it would be one of the folded ones anyway.
        let _ = self.make_room(text_hash, None, cx, &mut Ingested::default());
        self.overflow = Some(self.push(0, Subject::Host, labels, fragment, text_hash, false));
        self.overflow
    }

    /// Remembers a folded row no longer.
    pub(super) fn forget(&mut self, member: usize, budget: &Budget) {
        let (slot, _) = self.folded.swap_remove(member);
        budget.change_folded(slot.series, 0);
    }
}
