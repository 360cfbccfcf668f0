//! The scope engine: which processes each feature's selectors match, now and as processes come and go.
//!
//! Owns the process table, the matching and the thread that looks at /proc again; leaves to others what
//! selectors mean as JSON (`feature`) and what a probe does with its scope.
//!
//! ```text
//!  set(feature, selection) ─► watch ─ table ─ facts ─► /proc
//!          │                    │  └─ rules (pure)
//!          ▼                    ▼ every interval, only while a selection needs it
//!        Scope             on_change(feature, Scope), from the thread "scope", no lock held
//! ```

mod engine;
mod explain;
mod facts;
#[cfg(test)]
mod fake;
mod rules;
mod table;
mod watch;

pub use engine::{OnChange, RESCAN_INTERVAL, ScopeEngine, Target, Targets};
pub use explain::Explanation;
pub(crate) use facts::{Reader, joined};
pub use watch::UserLabel;
