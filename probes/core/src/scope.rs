//! Which processes a probe observes: the resolved form, as the scope engine hands it out.

use crate::ProcKey;
use std::collections::HashSet;
use std::sync::Arc;

/// A set of processes.
pub type ProcSet = HashSet<ProcKey>;

/// What an operator's selectors resolve to at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scope {
    /// No selector was ever given: the whole host, but for tables that only make sense for chosen
    /// processes (`SubProbe::needs_scope`), which stay idle.
    #[default]
    Unset,
    /// The whole host, asked for in so many words (an empty blacklist).
    All,
    /// These processes and no others; empty means that nothing matches now.
    Only(Arc<ProcSet>),
    /// Every process but these.
    Except(Arc<ProcSet>),
}

impl Scope {
    /// Whether `process` is observed.
    pub fn contains(&self, process: &ProcKey) -> bool {
        match self {
            Self::Unset | Self::All => true,
            Self::Only(set) => set.contains(process),
            Self::Except(set) => !set.contains(process),
        }
    }
}
