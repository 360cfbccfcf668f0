//! What waits to be delivered and what became of it: the `gopherd_spool_*` families and `gopherd_delivered_total`. What
//! is lost, and errors, go into the families that every stage shares.

use super::{SelfMetrics, gauge, raise, register};
use crate::delivery::Delivery;
use crate::delivery::account::Loss;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};

/// The families.
#[derive(Debug)]
pub(super) struct DeliveryMetrics {
    bytes: IntGauge,
    max_bytes: IntGauge,
    oldest: IntGaugeVec,
    pending: IntGaugeVec,
    delivered: IntCounterVec,
}

impl DeliveryMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let one = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        let gauges =
            |name: &str, help: &str| register(registry, IntGaugeVec::new(Opts::new(name, help), &["sink"]));
        let delivered = Opts::new(
            "gopherd_delivered_total",
            "Events and metadata that the sink has taken; what was sent twice counts twice.",
        );
        Ok(Self {
            bytes: one("gopherd_spool_bytes", "Bytes of the spool on disk.")?,
            max_bytes: one("gopherd_spool_max_bytes", "Most bytes of the spool on disk.")?,
            oldest: gauges(
                "gopherd_spool_oldest_seconds",
                "Age of the oldest message that waits for the sink; 0 when none does.",
            )?,
            pending: gauges("gopherd_spool_pending_messages", "Messages that wait for the sink.")?,
            delivered: register(registry, IntCounterVec::new(delivered, &["sink"]))?,
        })
    }

    /// Brings all up to date. A sink that is no longer configured keeps its counters.
    pub(super) fn read(&self, delivery: &Delivery, own: &SelfMetrics) {
        let spool = delivery.spool();
        self.bytes.set(gauge(spool.bytes));
        self.max_bytes.set(gauge(spool.max_bytes));
        self.oldest.reset();
        self.pending.reset();
        for sink in &spool.sinks {
            self.oldest.with_label_values(&[&sink.sink]).set(gauge(sink.oldest_age_s.unwrap_or(0)));
            self.pending.with_label_values(&[&sink.sink]).set(gauge(sink.pending_records));
        }
        for (sink, account) in delivery.board().accounts() {
            raise(&own.sink_errors.with_label_values(&[&sink]), account.errors());
            if sink != "spool" {
                raise(&self.delivered.with_label_values(&[&sink]), account.delivered());
            }
            for loss in Loss::ALL {
                own.set_lost("delivery", &sink, loss.reason(), account.lost(loss));
            }
        }
    }
}
