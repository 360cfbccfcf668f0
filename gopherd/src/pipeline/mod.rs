//! The thread between probes and store: each batch gets its labels and goes into the store and past the triggers of
//! events, and what ends a report period is told to the metric channels.
//!
//! Owns the queue's receiving end and the count of what did not get through. Leaves labels to
//! [`SubjectLabels`], values to the store and files to the channels.

mod labels;
mod pod_labels;

pub use labels::SubjectLabels;
pub use pod_labels::PodLabels;

use crate::events::Watch;
use crate::manager::Views;
use crate::selfmetrics::SelfMetrics;
use crate::store::{Labels, Store};
use crate::vital;
use probe_kit::link::Delivery;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches of all probes together that may wait. Each probe has its own, smaller share (`IN_FLIGHT`), so
/// this is only reached when very many probes report at once.
pub const QUEUE: usize = 256;

/// How often the store is asked for probes that have gone silent.
const SILENCE_CHECK: Duration = Duration::from_secs(5);

/// Told when a report period of a feature has ended and its values are in the store.
pub type OnPeriod = Box<dyn Fn(&'static str) + Send>;

/// The queue from the probes.
pub fn queue() -> (SyncSender<Delivery>, Receiver<Delivery>) {
    sync_channel(QUEUE)
}

/// What the thread works with.
pub struct Pipeline {
    /// Where batches come from.
    pub deliveries: Receiver<Delivery>,
    /// Where they go.
    pub store: Arc<Store>,
    /// Who knows what their subjects are called.
    pub labels: Box<dyn Labels + Send>,
    /// Counts what does not get through.
    pub own: Arc<SelfMetrics>,
    /// The features, for the report period of each.
    pub views: Views,
    /// Looks for what is abnormal.
    pub events: Watch,
    /// The metric channels.
    pub on_period: OnPeriod,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Starts the thread. It ends when every sender of the queue is gone and the queue is empty.
    pub fn start(self) -> io::Result<JoinHandle<()>> {
        vital::spawn("pipeline", move || self.run())
    }

    fn run(mut self) {
        let mut next_check = Instant::now() + SILENCE_CHECK;
        loop {
            match self.deliveries.recv_timeout(next_check.saturating_duration_since(Instant::now())) {
                Ok(delivery) => self.take(&delivery),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= next_check {
                next_check = now + SILENCE_CHECK;
                self.expire(now);
            }
        }
    }

    fn take(&mut self, delivery: &Delivery) {
        let Delivery { feature, run, batch, .. } = delivery;
        let ingested = self.store.ingest(feature, *run, batch, &*self.labels);
        self.own.count_batch(feature, batch, &ingested);
        if ingested.late {
            return;
        }
        self.events.batch(feature, *run, batch, &*self.labels);
        if batch.close.is_some() {
            (self.on_period)(feature);
        }
    }

    fn expire(&mut self, now: Instant) {
        self.events.sweep(&*self.labels);
        for view in self.views.all() {
            let Some(config) = &view.config else { continue };
            let period = view.restraint.period().unwrap_or_else(|| config.params.report_period());
            if self.store.expire(view.descriptor.name, period, now) {
                tracing::warn!(
                    probe = view.descriptor.name,
                    "no report for three periods; its series are gone"
                );
            }
        }
    }
}
