//! Metadata: documents that say what the metrics of each table are called and told apart by, for consumers that learn
//! it from there.
//!
//! Owns the documents and when they are due: when a table appears because its feature or sub-probe has started, and all
//! of them every ten minutes. Leaves where they go to `delivery`.

mod document;

pub use document::{VERSION, write};

use crate::delivery::{Message, Stream};
use crate::manager::{FeatureView, StateName, Views};
use probe_core::Table;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// All are sent again after this time.
const AGAIN: Duration = Duration::from_secs(600);

/// When which document is due.
#[derive(Debug)]
pub struct Metadata {
    views: Views,
    /// The tables that are there, each with the time since when its feature is in its state.
    known: BTreeMap<(&'static str, &'static str), SystemTime>,
    /// When all were sent last.
    all: Option<Instant>,
}

impl Metadata {
    /// Of the features of `views`.
    pub fn new(views: Views) -> Self {
        Self { views, known: BTreeMap::new(), all: None }
    }

    /// The documents that are due at `now`, which is `wall` for people.
    pub fn due(&mut self, now: Instant, wall: SystemTime) -> Vec<Message> {
        let again = self.all.is_none_or(|all| now.saturating_duration_since(all) >= AGAIN);
        if again {
            self.all = Some(now);
        }
        let (mut there, mut due) = (BTreeMap::new(), Vec::new());
        for view in self.views.all() {
            for table in tables(&view) {
                let key = (view.descriptor.name, table.name);
                if again || self.known.get(&key) != Some(&view.since) {
                    due.push(table);
                }
                there.insert(key, view.since);
            }
        }
        self.known = there;
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let message = |table: &'static Table| Message {
            stream: Stream::Metadata,
            key: table.name.into(),
            document: write(table, at_ms).into(),
            at_ms,
            live_only: false,
        };
        due.into_iter().map(message).collect()
    }
}

/// The tables that a feature fills now.
fn tables(view: &FeatureView) -> impl Iterator<Item = &'static Table> + '_ {
    let runs = matches!(view.state, StateName::Running | StateName::Degraded);
    let filled = move |table: &&'static Table| {
        let by = table.sub_probe;
        runs && (by.is_empty() || view.sub_probes.iter().any(|sub| sub.name == by && sub.running))
    };
    view.descriptor.tables.iter().copied().filter(filled)
}

#[cfg(test)]
mod tests;
