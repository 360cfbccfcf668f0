//! Containers and pods: which one a process belongs to, and what is known about it.
//!
//! Owns the identity that a cgroup path gives away (`identity`), the facts that the runtimes tell (`runtime`), and
//! the registry of both. Leaves to others: which processes a selector matches (`scope`), how a label is rendered
//! (`pipeline`), where the files of a process are (`probe-kit`).
//!
//! ```text
//!  /proc/<pid>/cgroup ─► identity ─┐
//!                                  ├─► Registry ─► scope (selectors), pipeline (labels), targets
//!  sockets of runtimes ─► runtime ─┘      └─ News ─► scope
//! ```

mod container;
mod identity;
mod registry;

pub use container::{Container, ContainerId, Pod, Runtime};
pub use registry::{News, OnNews, Place, Registry};
