//! Where finished documents go. A metric sink is two halves: an `offer` that never blocks, and a thread of its own
//! that writes. A sink of events and metadata is a thread that reads the spool, or the log that is written at once.
//! Leaves to `expose`, `events` and `metadata` what a document looks like, and to `delivery` which sinks there are.

mod event_log;
#[cfg(feature = "kafka")]
pub mod kafka;
mod metric_log;
pub mod rotate;
pub mod webhook;
mod writer;

pub use event_log::EventLog;
pub use metric_log::{MetricDocument, MetricLog};
pub use writer::{FileWriter, SinkCounts};
