//! Where finished documents go. A sink is two halves: an `offer` that never blocks, and a thread of its own
//! that writes. Leaves to `expose` what a document looks like.

mod metric_log;
pub mod rotate;
mod writer;

pub use metric_log::{MetricDocument, MetricLog};
pub use writer::{FileWriter, SinkCounts};
