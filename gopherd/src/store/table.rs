//! The rows of one table of one feature: what is done when one is reported, when a period ends, and when
//! there are too many. Knows neither locks nor formats.

mod overflow;

use super::fragment::{Fragment, Labels, RowLabels};
use super::freshness::Life;
use super::layout::Layout;
use super::limit::Budget;
use super::period::Periods;
use super::rows::{Rows, Slot, SlotIndex};
use super::{Ingested, Machine};
use hashbrown::DefaultHashBuilder;
use probe_core::{Label, RowRef, Subject, Table};
use std::hash::BuildHasher;
use std::sync::Arc;

/// What a shown row has beside its values.
#[derive(Debug)]
pub(crate) struct Shown {
    fragment: Arc<Fragment>,
    text: Box<str>,
    text_hash: u64,
    read_ms: u64,
}

impl Slot<Shown> {
    /// `{name="value",…,machine_id="…"`, without the closing brace.
    pub(crate) fn text(&self) -> &str {
        &self.extra.text
    }
}

/// The circumstances of one batch.
pub(crate) struct Context<'a> {
    pub(crate) labels: &'a dyn Labels,
    pub(crate) budget: &'a Budget,
    /// Number of the batch; grows.
    pub(crate) seq: u64,
    /// When the values were read, Unix time in ms.
    pub(crate) read_ms: u64,
    /// The batch ends a period.
    pub(crate) closing: bool,
}

/// The rows of one table of one feature.
#[derive(Debug)]
pub(crate) struct TableStore {
    feature: &'static str,
    pub(crate) table: &'static Table,
    pub(crate) layout: Layout,
    machine: Arc<Machine>,
    hasher: DefaultHashBuilder,
    custom: Arc<Fragment>,
    rows: Rows<Shown>,
    /// Shown rows by their text, so that no two rows ever show the same one.
    texts: SlotIndex,
    /// Last readings of the rows that the overflow row stands for.
    folded: Rows<()>,
    overflow: Option<usize>,
    periods: Option<Periods>,
    closed_seq: u64,
    text: String,
    incoming: Vec<u64>,
    part: Vec<u64>,
}

impl TableStore {
    pub(crate) fn new(
        feature: &'static str,
        table: &'static Table,
        machine: Arc<Machine>,
        custom: Arc<Fragment>,
    ) -> Self {
        let layout = Layout::new(table);
        let (keys, width) = (table.keys.len(), layout.width());
        Self {
            feature,
            table,
            layout,
            machine,
            hasher: DefaultHashBuilder::default(),
            custom,
            rows: Rows::new(keys, width),
            texts: SlotIndex::default(),
            folded: Rows::new(keys, width),
            overflow: None,
            periods: None,
            closed_seq: 0,
            text: String::new(),
            incoming: vec![0; width],
            part: vec![0; width],
        }
    }

    pub(crate) fn rows(&self) -> &Rows<Shown> {
        &self.rows
    }

    pub(crate) fn folded(&self) -> usize {
        self.folded.len()
    }

    pub(crate) fn periods(&self) -> Option<&Periods> {
        self.periods.as_ref()
    }

    /// Names and values of a row's labels, in order.
    pub(crate) fn pairs(&self, at: usize) -> impl Iterator<Item = (&str, &str)> {
        let slot = self.rows.slot(at);
        let labels = RowLabels {
            table: self.table,
            own: &slot.labels,
            subject: &slot.extra.fragment,
            custom: &self.custom,
            machine_id: &self.machine.id,
        };
        labels.pairs()
    }

    /// From now on keeps the values of the last completed period.
    pub(crate) fn want_periods(&mut self) {
        if self.periods.is_none() {
            self.periods = Some(Periods::new(&self.layout, &self.rows));
        }
    }

    /// Takes a reported row.
    pub(crate) fn report(&mut self, row: RowRef<'_>, cx: &Context<'_>, tally: &mut Ingested) {
        let keys = row.labels.get(..self.table.keys.len()).unwrap_or_default();
        let hash = self.hasher.hash_one((row.subject, keys));
        let fragment = cx.labels.fragment(self.feature, self.table, row.subject);
        if let Some(at) = self.rows.find(hash, row.subject, keys) {
            // The last report of a process comes when its labels are forgotten already: they are kept here.
            let fragment = fragment.unwrap_or_else(|| Arc::clone(&self.rows.slot(at).extra.fragment));
            if let Some(at) = self.relabel(at, row.labels, fragment, cx, tally) {
                self.write(at, row, cx, tally);
            }
            return;
        }
        let (samples, series) = self.layout.write(&mut self.incoming, row.values);
        let member = self.folded.find(hash, row.subject, keys);
        match fragment {
            Some(fragment) if cx.budget.admits(series) => {
                if let Some(member) = member {
                    self.forget(member, cx.budget);
                }
                self.show(hash, row, fragment, cx, tally);
            }
            None if member.is_none() => tally.unknown_subject += 1,
            _ => {
                tally.samples += u64::from(samples);
                self.fold(hash, member, series, row, cx, tally);
            }
        }
    }

    fn write(&mut self, at: usize, row: RowRef<'_>, cx: &Context<'_>, tally: &mut Ingested) {
        let (samples, series) = self.layout.write(self.rows.cells.row_mut(at), row.values);
        tally.samples += u64::from(samples);
        let slot = self.rows.slot_mut(at);
        if slot.series != series {
            cx.budget.change(slot.series, series);
            slot.series = series;
        }
        slot.life = Life::reported(row.last);
        slot.seq = cx.seq;
        slot.extra.read_ms = cx.read_ms;
        if let Some(periods) = &mut self.periods {
            periods.reported(&self.layout, at, self.rows.cells.row(at), row.baseline, cx.closing);
        }
    }

    fn show(
        &mut self,
        hash: u64,
        row: RowRef<'_>,
        fragment: Arc<Fragment>,
        cx: &Context<'_>,
        tally: &mut Ingested,
    ) {
        let text_hash = self.render(row.labels, &fragment);
        if self.make_room(text_hash, None, cx, tally).is_err() {
            return;
        }
        let at = self.push(hash, row.subject, row.labels.into(), fragment, text_hash, true);
        self.write(at, row, cx, tally);
    }

    fn push(
        &mut self,
        hash: u64,
        subject: Subject,
        labels: Box<[Label]>,
        fragment: Arc<Fragment>,
        text_hash: u64,
        indexed: bool,
    ) -> usize {
        let extra = Shown { fragment, text: self.text.as_str().into(), text_hash, read_ms: 0 };
        let slot = Slot { subject, labels, hash, life: Life::Pinned, seq: 0, series: 0, extra };
        let at = self.rows.push(slot, indexed);
        let slots = self.rows.slots();
        self.texts.insert(text_hash, at, |at| slots[at].extra.text_hash);
        if let Some(periods) = &mut self.periods {
            periods.push();
        }
        at
    }

    /// Renders into `self.text`; returns its hash.
    fn render(&mut self, own: &[Label], subject: &Fragment) -> u64 {
        let machine_id = &self.machine.id;
        RowLabels { table: self.table, own, subject, custom: &self.custom, machine_id }
            .render(&mut self.text);
        self.hasher.hash_one(self.text.as_str())
    }

    /// Makes `self.text` free for the row `mine`: the newer report wins, since the usual other one is a
    /// process that died with the same pid. Two of one batch are a loss. Returns the row's number, which
    /// may have changed; an error if the text is the overflow row's.
    fn make_room(
        &mut self,
        text_hash: u64,
        mine: Option<usize>,
        cx: &Context<'_>,
        tally: &mut Ingested,
    ) -> Result<Option<usize>, ()> {
        let (slots, text) = (self.rows.slots(), self.text.as_str());
        let Some(other) = self.texts.find(text_hash, |at| &*slots[at].extra.text == text) else {
            return Ok(mine);
        };
        if Some(other) == mine {
            return Ok(mine);
        }
        let same_batch = self.rows.slot(other).seq == cx.seq;
        tally.duplicates += u64::from(same_batch);
        if self.overflow == Some(other) {
            tally.duplicates += u64::from(!same_batch);
            return Err(());
        }
        let moved = self.remove(other, cx.budget);
        Ok(if moved == mine && mine.is_some() { Some(other) } else { mine })
    }

    /// Brings the labels of a known row up to date; almost always there is nothing to do.
    fn relabel(
        &mut self,
        at: usize,
        own: &[Label],
        fragment: Arc<Fragment>,
        cx: &Context<'_>,
        tally: &mut Ingested,
    ) -> Option<usize> {
        let slot = self.rows.slot(at);
        let same_own = *slot.labels == *own;
        if same_own && (Arc::ptr_eq(&slot.extra.fragment, &fragment) || slot.extra.fragment == fragment) {
            self.rows.slot_mut(at).extra.fragment = fragment;
            return Some(at);
        }
        let text_hash = self.render(own, &fragment);
        let Ok(Some(at)) = self.make_room(text_hash, Some(at), cx, tally) else {
            self.remove(at, cx.budget);
            return None;
        };
        let slot = self.rows.slot_mut(at);
        let old_hash = std::mem::replace(&mut slot.extra.text_hash, text_hash);
        slot.extra.text = self.text.as_str().into();
        slot.extra.fragment = fragment;
        if !same_own {
            slot.labels = own.into();
        }
        let slots = self.rows.slots();
        self.texts.remove(old_hash, at);
        self.texts.insert(text_hash, at, |at| slots[at].extra.text_hash);
        Some(at)
    }

    /// Replaces the custom labels and renders every row anew.
    pub(crate) fn set_custom(&mut self, custom: Arc<Fragment>, budget: &Budget) {
        if self.custom == custom {
            return;
        }
        self.custom = custom;
        self.texts = SlotIndex::default();
        let mut at = 0;
        while at < self.rows.len() {
            let (own, fragment) = {
                let slot = self.rows.slot(at);
                (slot.labels.clone(), Arc::clone(&slot.extra.fragment))
            };
            let text_hash = self.render(&own, &fragment);
            let slots = self.rows.slots();
            if self.texts.find(text_hash, |at| *slots[at].extra.text == *self.text).is_some() {
                self.remove(at, budget);
                continue;
            }
            let slot = self.rows.slot_mut(at);
            slot.extra.text = self.text.as_str().into();
            slot.extra.text_hash = text_hash;
            let slots = self.rows.slots();
            self.texts.insert(text_hash, at, |at| slots[at].extra.text_hash);
            at += 1;
        }
    }

    /// Removes a row; returns the number under which the row that took its place was known.
    fn remove(&mut self, at: usize, budget: &Budget) -> Option<usize> {
        let (slot, moved) = self.rows.swap_remove(at);
        budget.change(slot.series, 0);
        self.texts.remove(slot.extra.text_hash, at);
        if self.overflow == Some(at) {
            self.overflow = None;
        }
        if let Some(from) = moved {
            let slots = self.rows.slots();
            self.texts.rename(slots[at].extra.text_hash, from, at);
            if self.overflow == Some(from) {
                self.overflow = Some(at);
            }
        }
        if let Some(periods) = &mut self.periods {
            periods.swap_remove(at);
        }
        moved
    }

    /// The batch `seq` has every row of the table: what it lacks has ended.
    pub(crate) fn complete(&mut self, seq: u64, budget: &Budget) {
        self.retain(budget, |slot_seq, life| (slot_seq == seq || life.survives_absence()).then_some(life));
    }

    /// A period ended: the rows of the period before that were not reported grow old, and the values of
    /// this one are kept if somebody wants them.
    pub(crate) fn close(&mut self, seq: u64, missed_periods: u8, budget: &Budget) {
        let closed = std::mem::replace(&mut self.closed_seq, seq);
        self.retain(budget, |slot_seq, life| life.after_close(slot_seq > closed, missed_periods));
        if let Some(periods) = &mut self.periods {
            for (at, slot) in self.rows.slots().iter().enumerate() {
                let read_ms = (slot.seq > closed).then_some(slot.extra.read_ms);
                periods.close(&self.layout, at, self.rows.cells.row(at), read_ms);
            }
            periods.shrink();
        }
        self.rows.shrink();
        self.folded.shrink();
    }

    fn retain(&mut self, budget: &Budget, keep: impl Fn(u64, Life) -> Option<Life>) {
        // From the end, so that the row that takes a removed one's place has been looked at.
        for at in (0..self.rows.len()).rev() {
            let slot = self.rows.slot_mut(at);
            match keep(slot.seq, slot.life) {
                Some(life) => slot.life = life,
                None => {
                    self.remove(at, budget);
                }
            }
        }
        for at in (0..self.folded.len()).rev() {
            let slot = self.folded.slot_mut(at);
            match keep(slot.seq, slot.life) {
                Some(life) => slot.life = life,
                None => self.forget(at, budget),
            }
        }
    }

    /// Removes every row.
    pub(crate) fn clear(&mut self, budget: &Budget) {
        self.retain(budget, |_, _| None);
        self.rows.shrink();
        self.folded.shrink();
    }
}
