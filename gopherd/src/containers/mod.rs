//! Containers and pods: which one a process belongs to, and what is known about it.
//!
//! Owns the identity that a cgroup path gives away (`identity`), the facts that the runtimes tell (`runtime`), and
//! the registry of both. Leaves to others: which processes a selector matches (`scope`), how a label is rendered
//! (`pipeline`), where the files of a process are (`probe-kit`).
//!
//! ```text
//!  /proc/<pid>/cgroup ─► identity ─┐
//!                                  ├─► Registry (shelf) ─► scope (selectors), pipeline (labels), targets
//!  sockets of runtimes ─► runtime ─┘      └─ News ─► scope
//! ```

mod clean;
mod container;
mod counts;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod identity;
mod registry;
mod runtime;
mod shelf;

pub use container::{Container, ContainerId, Pod, Runtime};
pub use counts::{Counts, Tally};
pub use registry::{News, OnNews, Place, Registry};
pub use runtime::{Protocol, Runtimes, Socket, SocketState, Target};
