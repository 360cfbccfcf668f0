//! The scope engine: which processes and containers each feature's selectors match, now and as they come and go.
//!
//! Owns the process table, the matching and the thread that looks at /proc again and follows the process tracker;
//! leaves to others what
//! selectors mean as JSON (`feature`), which containers there are (`containers`) and what a probe does with its
//! scope.
//!
//! ```text
//!  set(feature, selection) ─► watch ─ table ─ facts ─► /proc
//!          │                    │  └─ rules (pure) ─► containers::Registry
//!          ▼                    ▼ every interval, only while a selection needs it, and at news (bell, tracking)
//!       Resolved          on_change(feature, Resolved), from the thread "scope", no lock held
//! ```

mod bell;
mod engine;
mod explain;
mod facts;
#[cfg(test)]
mod fake;
mod foresight;
mod pace;
mod rules;
mod table;
mod targets;
mod tracking;
mod watch;

pub use engine::{OnChange, RESCAN_INTERVAL, ScopeEngine};
pub use explain::Explanation;
#[cfg(any(test, feature = "testing"))]
pub(crate) use facts::any_bytes as any_stat;
pub(crate) use facts::{Reader, joined};
pub use targets::{ContainerTargets, Target, Targets};
pub use tracking::{
    Attach, Feed, TrackerCounts, TrackerState, foreseen, kernel_tracker, no_tracker, telling,
};
pub use watch::UserLabel;
