//! Which rows are abnormal now: each report period the feature's triggers are judged against its rows, and what begins,
//! goes on and ends becomes events.
//!
//! Owns the memory of earlier values and of the conditions that hold. Decides and does nothing else: the time, the
//! parameters and the rows are given, and what is to be told goes to the caller's function. `judge` compares one value,
//! `suppress` knows what was told lately.

use super::allowance::Allowance;
use super::counts::Counts;
use super::entity::entity_id;
use super::judge::{Verdict, is_armed, is_growth, judge};
use super::source::Source;
use super::suppress::Suppression;
use hashbrown::{DefaultHashBuilder, HashTable};
use probe_core::{Baseline, Batch, Descriptor, Label, Params, RowRef, Subject, Table, Trigger, When, params};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::{Duration, Instant, SystemTime};

/// Rows of all features that are watched: those of tables with an armed counter, and those with a condition that holds.
/// Further ones are left out and counted until there is room.
pub(super) const MAX_ROWS: usize = 65_536;

/// A condition ends after so many calm periods in a row.
const CALM_PERIODS: u8 = 2;

/// A row is taken to have ended after so many periods without a report, as in the store.
const MISSED_PERIODS: u64 = 3;

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// A condition holds.
    Holds {
        /// What was read, in the threshold's unit.
        value: f64,
        /// What it is compared with.
        threshold: f64,
    },
    /// It has ended.
    Ended,
    /// Something happened once.
    Told,
}

/// An event before it has words.
#[derive(Clone, Debug)]
pub struct Event {
    /// The feature.
    pub feature: &'static str,
    /// What it is about.
    pub trigger: &'static Trigger,
    /// What happened.
    pub what: What,
    /// Who it happened to.
    pub subject: Subject,
    /// Labels of the trigger's table, keys first.
    pub labels: Box<[Label]>,
    /// What the text's other places take.
    pub args: Vec<(&'static str, Label)>,
    /// When it was measured.
    pub at: SystemTime,
    /// Of the row.
    pub entity_id: Box<str>,
    /// So many of the same were not told before it.
    pub suppressed: u64,
}

/// Takes an event; `false` if there is no room for it.
pub type Tell<'a> = dyn FnMut(Event) -> bool + 'a;

/// A batch and its circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The feature.
    pub descriptor: &'static Descriptor,
    /// The run of the feature that made it.
    pub run: u64,
    /// The feature's parameters now.
    pub params: &'a Params,
    /// Events a second that it may tell.
    pub events_per_s: Option<u64>,
    /// For the windows of suppression.
    pub now: Instant,
}

/// All features.
#[derive(Debug)]
pub struct Engine {
    machine: String,
    suppression: Suppression,
    counts: Counts,
    hasher: DefaultHashBuilder,
    features: HashMap<&'static str, Feature>,
    /// Of the features that have told something; one that runs again gets no other.
    allowances: HashMap<&'static str, Allowance>,
    rows: usize,
    max_rows: usize,
}

#[derive(Debug)]
struct Feature {
    run: u64,
    period: u64,
    tables: Vec<Watched>,
    /// Rows found no room in the period before this one: a row that is new to us may be an old one.
    was_full: bool,
    full: bool,
}

/// A table with triggers.
#[derive(Debug)]
struct Watched {
    table: &'static Table,
    triggers: Box<[(&'static Trigger, Source)]>,
    rows: HashTable<Row>,
    /// Its rows were seen before, so that one which is new to us is new.
    primed: bool,
}

#[derive(Debug)]
struct Row {
    hash: u64,
    subject: Subject,
    keys: Box<[Label]>,
    /// The period that saw it last.
    seen: u64,
    /// One for each trigger of the table.
    states: Box<[State]>,
}

#[derive(Debug, Default)]
struct State {
    before: Option<u64>,
    holds: Option<Holds>,
}

/// A condition that holds.
#[derive(Debug)]
struct Holds {
    labels: Box<[Label]>,
    calm: u8,
    /// Somebody was told of it, and is told of its end.
    told: bool,
}

/// What [`Watched::row`] works with.
struct Out<'a> {
    feature: &'static str,
    machine: &'a str,
    at: SystemTime,
    now: Instant,
    suppression: &'a mut Suppression,
    /// What may be told, and how much a second; none: everything.
    allowance: Option<(&'a mut Allowance, u64)>,
    counts: &'a Counts,
    tell: &'a mut Tell<'a>,
}

impl Out<'_> {
    /// An event that suppression has a say in; whether it was taken.
    fn tell(
        &mut self,
        trigger: &'static Trigger,
        what: What,
        subject: Subject,
        labels: &[Label],
        args: &[(&'static str, Label)],
        at: SystemTime,
    ) -> bool {
        let entity_id = entity_id(self.machine, trigger.table, labels);
        let Some(suppressed) = self.suppression.ask(&entity_id, trigger.metric, self.now) else {
            self.counts.with(self.feature, |counts| counts.suppressed += 1);
            return false;
        };
        if self.allowance.as_mut().is_some_and(|(allowance, per_s)| !allowance.is_left(*per_s, self.now)) {
            self.counts.with(self.feature, |counts| counts.over_budget += 1);
            return false;
        }
        let told = self.hand_over(trigger, what, subject, labels, args, at, (entity_id, suppressed));
        if told {
            self.suppression.tell(self.now);
            if let Some((allowance, _)) = &mut self.allowance {
                allowance.take();
            }
        }
        told
    }

    #[allow(clippy::too_many_arguments)] // they are an event's parts
    fn hand_over(
        &mut self,
        trigger: &'static Trigger,
        what: What,
        subject: Subject,
        labels: &[Label],
        args: &[(&'static str, Label)],
        at: SystemTime,
        (entity_id, suppressed): (String, u64),
    ) -> bool {
        let told = (self.tell)(Event {
            feature: self.feature,
            trigger,
            what,
            subject,
            labels: labels.into(),
            args: args.to_vec(),
            at,
            entity_id: entity_id.into(),
            suppressed,
        });
        if !told {
            self.counts.with(self.feature, |counts| counts.queue_full += 1);
        }
        told
    }

    /// The end of a condition that somebody was told of.
    fn ended(&mut self, trigger: &'static Trigger, subject: Subject, holds: &Holds) {
        if holds.told {
            let id = entity_id(self.machine, trigger.table, &holds.labels);
            self.hand_over(trigger, What::Ended, subject, &holds.labels, &[], self.at, (id, 0));
        }
    }
}

impl Engine {
    /// Nothing is watched. `machine` begins each entity id.
    pub fn new(machine: String, timeout: Duration, counts: Counts) -> Self {
        Self {
            machine,
            suppression: Suppression::new(timeout),
            counts,
            hasher: DefaultHashBuilder::default(),
            features: HashMap::new(),
            allowances: HashMap::new(),
            rows: 0,
            max_rows: MAX_ROWS,
        }
    }

    /// Takes a batch that the store has taken.
    pub fn take(&mut self, with: Circumstances<'_>, batch: &Batch, tell: &mut Tell<'_>) {
        let Circumstances { descriptor, run, params, events_per_s, now } = with;
        let name = descriptor.name;
        if params.int(&params::REPORT_EVENT) == 0 || descriptor.triggers.is_empty() {
            return self.forget(name, batch.collected_at, now, tell);
        }
        if self.features.get(name).is_some_and(|feature| feature.run != run) {
            self.forget(name, batch.collected_at, now, tell);
        }
        let first = !self.features.contains_key(name);
        let feature = self.features.entry(name).or_insert_with(|| Feature::new(descriptor, run));
        let mut out = Out {
            feature: name,
            machine: &self.machine,
            at: batch.collected_at,
            now,
            suppression: &mut self.suppression,
            allowance: events_per_s.map(|per_s| {
                let new = || Allowance::new(per_s, now);
                (self.allowances.entry(name).or_insert_with(new), per_s)
            }),
            counts: &self.counts,
            tell: &mut |event| tell(event),
        };
        for told in batch.occurrences() {
            // The trigger says how it is judged, so a probe cannot get round the operator's switches.
            if told.trigger.when == When::Told {
                out.tell(told.trigger, What::Told, told.subject, &told.labels, &told.args, told.at);
            }
        }
        let closing = batch.close.is_some();
        feature.begin(first && !closing, closing);
        let limit = self.max_rows;
        feature.rows(batch, params, &self.hasher, (&mut self.rows, limit), &mut out);
        if closing {
            feature.end_period(batch.completed(), &mut self.rows, &mut out);
        }
        let conditions = feature.conditions();
        self.counts.with(name, |counts| counts.conditions = conditions);
    }

    /// Nothing of `feature` is watched any more; what held has ended.
    pub fn forget(&mut self, feature: &'static str, at: SystemTime, now: Instant, tell: &mut Tell<'_>) {
        let Some(mut known) = self.features.remove(feature) else { return };
        let mut out = Out {
            feature,
            machine: &self.machine,
            at,
            now,
            suppression: &mut self.suppression,
            // Ends of what was told, and no more than that.
            allowance: None,
            counts: &self.counts,
            tell: &mut |event| tell(event),
        };
        known.tables.iter_mut().for_each(|watched| watched.clear(&mut self.rows, &mut out));
        self.counts.with(feature, |counts| counts.conditions = 0);
    }

    /// The features of which something is watched.
    pub fn features(&self) -> Vec<&'static str> {
        self.features.keys().copied().collect()
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    #[cfg(test)]
    pub(super) fn limited(mut self, max_rows: usize) -> Self {
        self.max_rows = max_rows;
        self
    }
}

impl Feature {
    fn new(descriptor: &'static Descriptor, run: u64) -> Self {
        let mut tables: Vec<Watched> = Vec::new();
        for table in descriptor.tables {
            let of_table =
                |trigger: &&'static Trigger| is_same(trigger.table, table) && trigger.when != When::Told;
            let triggers: Box<[_]> = descriptor
                .triggers
                .iter()
                .filter(of_table)
                .map(|trigger| (trigger, Source::of(table, trigger.metric)))
                .collect();
            if !triggers.is_empty() {
                tables.push(Watched { table, triggers, rows: HashTable::new(), primed: false });
            }
        }
        Self { run, period: 0, tables, was_full: false, full: false }
    }

    /// `whole`: the batch is the first of its run, so nothing was there before what it has.
    fn begin(&mut self, whole: bool, closing: bool) {
        if whole {
            self.tables.iter_mut().for_each(|watched| watched.primed = true);
        }
        self.period += u64::from(closing);
    }

    fn rows(
        &mut self,
        batch: &Batch,
        params: &Params,
        hasher: &DefaultHashBuilder,
        (rows, limit): (&mut usize, usize),
        out: &mut Out<'_>,
    ) {
        let closing = batch.close.is_some();
        let mut armed: Vec<(bool, bool)> = Vec::with_capacity(self.tables.len());
        for watched in &mut self.tables {
            let mut on =
                watched.triggers.iter().filter(|(trigger, _)| is_armed(&trigger.when, params)).peekable();
            let any = on.peek().is_some();
            armed.push((any, on.any(|(trigger, _)| is_growth(&trigger.when))));
            if !any {
                watched.clear(rows, out);
                watched.primed = false;
            }
        }
        let mut at = 0;
        for row in batch.rows() {
            // Rows of one table follow each other.
            if !self.tables.get(at).is_some_and(|watched| is_same(watched.table, row.table)) {
                let found = self.tables.iter().position(|watched| is_same(watched.table, row.table));
                let Some(found) = found else { continue };
                at = found;
            }
            let (Some(watched), Some(&(true, growth))) = (self.tables.get_mut(at), armed.get(at)) else {
                continue;
            };
            let known_from_start = watched.primed && !self.was_full;
            let look = Look { params, growth, closing, known_from_start, period: self.period };
            if !watched.row(row, &look, hasher, (&mut *rows, limit), out) {
                self.full = true;
            }
        }
        if closing {
            for (watched, (_, growth)) in self.tables.iter_mut().zip(&armed) {
                watched.primed = *growth;
            }
        }
    }

    /// What was not seen has ended, or will have.
    fn end_period(&mut self, completed: &[&'static Table], rows: &mut usize, out: &mut Out<'_>) {
        let period = self.period;
        for watched in &mut self.tables {
            let complete = completed.iter().any(|table| is_same(table, watched.table));
            let patience = if complete { 1 } else { MISSED_PERIODS };
            let triggers = &watched.triggers;
            watched.rows.retain(|row| {
                let stays = period.saturating_sub(row.seen) < patience && row.is_needed(triggers);
                if !stays {
                    row.end(triggers, out);
                    *rows = rows.saturating_sub(1);
                }
                stays
            });
            if watched.rows.capacity() > 4 * watched.rows.len() + 64 {
                watched.rows.shrink_to(watched.rows.len() * 2, |row| row.hash);
            }
        }
        self.was_full = std::mem::take(&mut self.full);
    }

    fn conditions(&self) -> u64 {
        let rows = self.tables.iter().flat_map(|watched| &watched.rows);
        rows.flat_map(|row| &row.states).filter(|state| state.holds.is_some()).count() as u64
    }
}

/// How a row is looked at.
struct Look<'a> {
    params: &'a Params,
    /// A counter of the table is watched.
    growth: bool,
    closing: bool,
    /// A row that is not known was not there before.
    known_from_start: bool,
    period: u64,
}

impl Watched {
    /// Looks at a row; `false` if it could not be watched for want of room.
    fn row(
        &mut self,
        row: RowRef<'_>,
        look: &Look<'_>,
        hasher: &DefaultHashBuilder,
        (rows, limit): (&mut usize, usize),
        out: &mut Out<'_>,
    ) -> bool {
        let ends = look.closing || row.last;
        if !ends && !look.growth {
            return true;
        }
        let keys = row.labels.get(..self.table.keys.len()).unwrap_or_default();
        let hash = hasher.hash_one((row.subject, keys));
        let triggers = &self.triggers;
        let known = self.rows.find_mut(hash, |known| known.subject == row.subject && *known.keys == *keys);
        let known = match known {
            Some(known) => known,
            None => {
                // Without a counter to remember, only a row with something abnormal is.
                let beyond = |(trigger, source): &(&'static Trigger, Source)| {
                    let reading = source.level(row.values);
                    matches!(judge(&trigger.when, look.params, reading), Verdict::Beyond { .. })
                };
                if !look.growth && !triggers.iter().any(beyond) {
                    return true;
                }
                if *rows >= limit {
                    out.counts.with(out.feature, |counts| counts.row_limit += 1);
                    return false;
                }
                *rows += 1;
                let zero = row.baseline == Baseline::Zero && look.known_from_start;
                let state = |(_, source): &(&'static Trigger, Source)| State {
                    before: source.count(row.values).map(|count| if zero { 0 } else { count }),
                    holds: None,
                };
                let new = Row {
                    hash,
                    subject: row.subject,
                    keys: keys.into(),
                    seen: look.period,
                    states: triggers.iter().map(state).collect(),
                };
                self.rows.insert_unique(hash, new, |row| row.hash).into_mut()
            }
        };
        known.seen = look.period;
        if !ends {
            return true;
        }
        for (&(trigger, source), state) in triggers.iter().zip(&mut known.states) {
            let reading = if is_growth(&trigger.when) {
                state.growth(source.count(row.values))
            } else {
                source.level(row.values)
            };
            state.judged(trigger, judge(&trigger.when, look.params, reading), row, out);
        }
        if row.last {
            known.end(triggers, out);
            if let Ok(entry) =
                self.rows.find_entry(hash, |known| known.subject == row.subject && *known.keys == *keys)
            {
                entry.remove();
                *rows = rows.saturating_sub(1);
            }
        }
        true
    }

    /// Nothing is known; what held has ended.
    fn clear(&mut self, rows: &mut usize, out: &mut Out<'_>) {
        *rows = rows.saturating_sub(self.rows.len());
        let triggers = &self.triggers;
        self.rows.drain().for_each(|mut row| row.end(triggers, out));
    }
}

impl Row {
    fn end(&mut self, triggers: &[(&'static Trigger, Source)], out: &mut Out<'_>) {
        for (&(trigger, _), state) in triggers.iter().zip(&mut self.states) {
            if let Some(holds) = state.holds.take() {
                out.ended(trigger, self.subject, &holds);
            }
        }
    }

    /// Whether there is anything to remember.
    fn is_needed(&self, triggers: &[(&'static Trigger, Source)]) -> bool {
        let counts = || triggers.iter().any(|(trigger, _)| is_growth(&trigger.when));
        self.states.iter().any(|state| state.holds.is_some()) || counts()
    }
}

impl State {
    /// How much a counter grew since the last call. One that went backwards began anew, and all of it counts.
    #[allow(clippy::cast_precision_loss)] // growth within a period
    fn growth(&mut self, now: Option<u64>) -> Option<f64> {
        let now = now?;
        let before = self.before.replace(now)?;
        Some(if now >= before { now - before } else { now } as f64)
    }

    fn judged(&mut self, trigger: &'static Trigger, verdict: Verdict, row: RowRef<'_>, out: &mut Out<'_>) {
        match verdict {
            Verdict::Beyond { value, threshold } => {
                let what = What::Holds { value, threshold };
                let told = out.tell(trigger, what, row.subject, row.labels, &[], out.at);
                let holds = self.holds.get_or_insert_with(|| Holds {
                    labels: row.labels.into(),
                    calm: 0,
                    told: false,
                });
                holds.calm = 0;
                holds.told |= told;
            }
            Verdict::Near => {
                if let Some(holds) = &mut self.holds {
                    holds.calm = 0;
                }
            }
            Verdict::Calm => {
                let Some(holds) = &mut self.holds else { return };
                holds.calm += 1;
                if holds.calm >= CALM_PERIODS {
                    self.end(trigger, row.subject, out);
                }
            }
            Verdict::Off => self.end(trigger, row.subject, out),
        }
    }

    fn end(&mut self, trigger: &'static Trigger, subject: Subject, out: &mut Out<'_>) {
        if let Some(holds) = self.holds.take() {
            out.ended(trigger, subject, &holds);
        }
    }
}

/// Whether both are the same table; a constant may have more than one address.
fn is_same(a: &'static Table, b: &'static Table) -> bool {
    std::ptr::eq(a, b) || (a.name == b.name && a.entity == b.entity)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
