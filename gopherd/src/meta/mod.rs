//! What the daemon knows about the subjects of rows: the data behind the automatic labels.
//!
//! Owns reading and keeping it; leaves which label goes on which table, their order and their escaping to
//! the metric store.

mod container;
mod java;
mod process;

pub(crate) use container::{PodLabel, container_labels, pod_path};
#[cfg(any(test, feature = "testing"))]
pub(crate) use java::any_bytes as any_arguments;
pub use process::{MetaCache, ProcessLabels};
