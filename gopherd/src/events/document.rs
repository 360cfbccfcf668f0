//! An event as its document: what is decided gets words, labels, a time of its own and its JSON text.
//!
//! Owns the document's content. Its members and their order are `gopher_api`'s, the words a trigger's.

use super::engine::{Event, What};
use super::entity::shown_id;
use super::text::{MAX_BODY, asctime, cut, fill, number};
use crate::delivery::{Message, Stream};
use crate::store::Fragment;
use chrono::Local;
use gopher_api::{EventAttributes, EventDocument, EventLabels, EventResource};
use lru::LruCache;
use probe_core::{Label, Severity, Subject};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

/// Event ids that are remembered, so that a later one is not equal.
const RECENT: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// How documents are written.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// First part of metric names.
    pub prefix: String,
    /// The machine id's label.
    pub machine: String,
    /// `event.legacy_metrics_key`.
    pub legacy_metrics_key: bool,
    /// Whether texts are Chinese.
    pub chinese: bool,
    /// `event.recovery`: whether the end of a condition goes to the channels too.
    pub recovery: bool,
}

/// Makes documents of events, in the order in which they are told.
#[derive(Debug)]
pub struct Writer {
    style: Style,
    /// Hashes of recent event ids. One that is taken for another costs a later event a millisecond and nothing else.
    recent: LruCache<u64, ()>,
    hasher: RandomState,
    /// The second that `clock_text` is about.
    clock_s: u64,
    clock_text: String,
    metric: String,
    event_id: String,
    body: String,
    ip: String,
    pid: String,
}

impl Writer {
    /// Writes in `style`.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            recent: LruCache::new(RECENT),
            hasher: RandomState::new(),
            clock_s: u64::MAX,
            clock_text: String::new(),
            metric: String::new(),
            event_id: String::new(),
            body: String::new(),
            ip: String::new(),
            pid: String::new(),
        }
    }

    /// The message of `event`; `about` are the labels of its subject, if it is known.
    pub fn message(&mut self, event: &Event, about: Option<&Fragment>) -> Message {
        let at_ms = self.number(event);
        let severity = severity(event);
        self.words(event, at_ms, severity);
        self.metric.clear();
        let (table, metric) = (event.trigger.table, event.trigger.metric);
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.metric, "{}_{}_{metric}", self.style.prefix, table.entity);
        let places = Places { event, about };
        self.ip.clear();
        fill(event.trigger.ip, &mut self.ip, |name, out| places.fill(name, out));
        self.pid.clear();
        match event.subject {
            Subject::Process(key) => {
                let _ = write!(self.pid, "{}", key.tgid);
            }
            _ => self.pid.push_str(places.label("tgid")),
        }
        let document = EventDocument {
            timestamp: at_ms,
            event_id: text(&self.event_id),
            attributes: EventAttributes {
                entity_id: text(&event.entity_id),
                event_id: text(&self.event_id),
                event_type: text(if event.what == What::Ended { "recovered" } else { "sys" }),
                suppressed: event.suppressed,
            },
            resource: EventResource {
                metric: text(&self.metric),
                metrics: self.style.legacy_metrics_key.then(|| text(&self.metric)),
                labels: EventLabels {
                    host: text(&self.style.machine),
                    pid: text(&self.pid),
                    comm: text(places.label("comm")),
                    ip: text(&self.ip),
                    container_id: text(places.label("container_id")),
                    pod: text(places.label("pod_id")),
                    device: text(places.label(event.trigger.device)),
                },
            },
            severity_text: text(severity.text()),
            severity_number: severity.number(),
            body: text(&self.body),
        };
        let mut json = Vec::with_capacity(1024);
        // Its keys are texts and memory takes what it is given, so it cannot fail.
        if let Err(error) = serde_json::to_writer(&mut json, &document) {
            tracing::error!(%error, "an event has no document");
        }
        Message {
            stream: Stream::Event,
            key: event.entity_id.clone(),
            document: json.into(),
            at_ms,
            live_only: event.what == What::Ended && !self.style.recovery,
        }
    }

    /// Makes `event_id`, and returns the time in it: the event's, or as many ms later as it takes to be no other's.
    fn number(&mut self, event: &Event) -> u64 {
        let since = event.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        loop {
            let hash = self.hasher.hash_one((at_ms, &event.entity_id));
            if self.recent.put(hash, ()).is_none() {
                break;
            }
            at_ms = at_ms.saturating_add(1);
        }
        self.event_id.clear();
        let _ = write!(self.event_id, "{at_ms}_{}", event.entity_id);
        at_ms
    }

    /// Makes `body`.
    fn words(&mut self, event: &Event, at_ms: u64, severity: Severity) {
        if self.clock_s != at_ms / 1000 {
            self.clock_s = at_ms / 1000;
            self.clock_text.clear();
            asctime(at_ms, &Local, &mut self.clock_text);
        }
        let body = &mut self.body;
        body.clear();
        let _ = write!(body, "{} {} Entity(", self.clock_text, severity.text());
        shown_id(event.trigger.table, &event.labels, body);
        body.push_str(") ");
        let text = &event.trigger.text;
        let chinese = self.style.chinese;
        let template = match event.what {
            What::Ended if chinese => "{entity} 的 {metric} 已恢复正常。",
            What::Ended => "{metric} of {entity} is back to normal.",
            What::Holds { .. } | What::Told if chinese => text.zh,
            What::Holds { .. } | What::Told => text.en,
        };
        let places = Places { event, about: None };
        fill(template, body, |name, out| places.fill(name, out));
        cut(body, MAX_BODY);
    }
}

fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// The event's severity; an end is no reason to worry.
pub(super) fn severity(event: &Event) -> Severity {
    if event.what == What::Ended { Severity::Info } else { event.trigger.severity }
}

/// What a text's places take.
struct Places<'a> {
    event: &'a Event,
    about: Option<&'a Fragment>,
}

impl<'a> Places<'a> {
    /// A label of the row, else of its subject; empty if neither has it.
    fn label(&self, name: &str) -> &'a str {
        let table = self.event.trigger.table;
        let names = table.keys.iter().chain(table.labels).copied();
        let own = names.zip(self.event.labels.iter().map(Label::as_str)).find(|(own, _)| *own == name);
        let about = || {
            let pairs = self.about?.pairs();
            pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        own.map(|(_, value)| value).or_else(about).unwrap_or_default()
    }

    fn fill(&self, name: &str, out: &mut String) -> bool {
        let table = self.event.trigger.table;
        let trigger = self.event.trigger;
        match (name, self.event.what) {
            ("value", What::Holds { value, .. }) => number(value, out),
            ("threshold", What::Holds { threshold, .. }) => number(threshold, out),
            ("metric", _) => out.push_str(trigger.metric),
            ("entity", _) => out.push_str(table.entity),
            _ => {
                let argument = self.event.args.iter().find(|(argument, _)| *argument == name);
                match argument {
                    Some((_, value)) => out.push_str(value),
                    None if table.keys.iter().chain(table.labels).any(|known| *known == name) => {
                        out.push_str(self.label(name));
                    }
                    None => return false,
                }
            }
        }
        true
    }
}

/// What is known of an event's subject when it is told.
pub(super) type About = Option<Arc<Fragment>>;

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
