//! The thread `events`: writes documents, hands them over for delivery, and shows them in the live stream with the
//! numbers that they got. The only one that waits for a channel.

use super::counts::Counts;
use super::document::{Writer, severity};
use super::engine::Event;
use super::live::{Entry, Live};
use super::watch::Item;
use crate::delivery::{Accept, Message};
use crate::metadata::Metadata;
use actix_web::web::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// Events that are handed over together.
const TOGETHER: usize = 1024;

/// How often the tables of the features that run are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the thread works with.
pub(super) struct Teller {
    pub(super) inlet: Receiver<Item>,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) writer: Writer,
    pub(super) metadata: Metadata,
    pub(super) accept: Box<dyn Accept>,
    pub(super) live: Arc<Live>,
    pub(super) counts: Counts,
}

impl Teller {
    /// Until the pipeline has ended and nothing waits.
    pub(super) fn run(mut self) {
        let mut next_look = Instant::now();
        loop {
            match self.inlet.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(item) => self.tell(item),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= next_look {
                next_look = now + LOOK;
                let messages = self.metadata.due(now, SystemTime::now());
                if !messages.is_empty() {
                    self.accept.accept(&messages);
                }
            }
        }
    }

    /// `first` and what waits behind it.
    fn tell(&mut self, first: Item) {
        let mut messages: Vec<Message> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        let rest = std::iter::from_fn(|| self.inlet.try_recv().ok());
        for (event, about) in std::iter::once(first).chain(rest).take(TOGETHER) {
            messages.push(self.writer.message(&event, about.as_deref()));
            events.push(event);
        }
        let first = self.accept.accept(&messages);
        self.waiting.fetch_sub(events.len(), Ordering::AcqRel);
        let mut accepted = BTreeMap::<&'static str, (u64, u64)>::new();
        let mut entries = Vec::with_capacity(messages.len());
        for (seq, (message, event)) in (first..).zip(messages.into_iter().zip(&events)) {
            if !message.live_only {
                let (events, bytes) = accepted.entry(event.feature).or_default();
                *events += 1;
                *bytes += message.document.len() as u64;
            }
            entries.push(Entry {
                seq,
                feature: event.feature,
                entity: event.trigger.table.entity,
                entity_id: message.key,
                severity: severity(event).number(),
                at_ms: message.at_ms,
                document: Bytes::from(Vec::from(message.document)),
            });
        }
        self.live.publish(entries);
        for (feature, (events, bytes)) in accepted {
            self.counts.with(feature, |counts| {
                counts.events += events;
                counts.bytes += bytes;
            });
        }
    }
}
