//! The families about events and their live stream.

use super::{gauge, raise, register};
use crate::events::Shown;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};

/// Events by probe, and who follows them.
#[derive(Debug)]
pub(super) struct EventMetrics {
    told: IntCounterVec,
    bytes: IntCounterVec,
    suppressed: IntCounterVec,
    conditions: IntGaugeVec,
    kept: IntGauge,
    followers: IntGauge,
    cut_off: IntCounter,
    refused: IntCounter,
}

impl EventMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let counters = |name: &str, help: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &["probe"]))
        };
        Ok(Self {
            told: counters("gopherd_events_total", "Events that were accepted for delivery.")?,
            bytes: counters(
                "gopherd_event_bytes_total",
                "Bytes of the documents of events that were accepted for delivery.",
            )?,
            suppressed: counters(
                "gopherd_events_suppressed_total",
                "Events that were not told because the same one was, within event.timeout.",
            )?,
            conditions: register(
                registry,
                IntGaugeVec::new(
                    Opts::new("gopherd_event_conditions", "Conditions that hold now and are events."),
                    &["probe"],
                ),
            )?,
            kept: register(
                registry,
                IntGauge::new(
                    "gopherd_events_kept",
                    "Events that the live stream has for who asks for a page.",
                ),
            )?,
            followers: register(
                registry,
                IntGauge::new(
                    "gopherd_event_followers",
                    "Clients that follow the live stream of events now.",
                ),
            )?,
            cut_off: register(
                registry,
                IntCounter::new(
                    "gopherd_event_followers_cut_off_total",
                    "Clients of the live stream that were cut off because they read too slowly.",
                ),
            )?,
            refused: register(
                registry,
                IntCounter::new(
                    "gopherd_event_followers_refused_total",
                    "Clients of the live stream that were refused because as many follow as may.",
                ),
            )?,
        })
    }

    pub(super) fn read(&self, events: &Shown) {
        for (feature, counts) in events.counts.read() {
            raise(&self.told.with_label_values(&[feature]), counts.events);
            raise(&self.bytes.with_label_values(&[feature]), counts.bytes);
            raise(&self.suppressed.with_label_values(&[feature]), counts.suppressed);
            self.conditions.with_label_values(&[feature]).set(gauge(counts.conditions));
        }
        let figures = events.live.figures();
        self.kept.set(gauge(figures.kept));
        self.followers.set(gauge(figures.followers));
        raise(&self.cut_off, figures.cut_off);
        raise(&self.refused, figures.refused);
    }
}
