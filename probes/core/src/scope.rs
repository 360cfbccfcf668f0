//! Which processes and containers a probe observes: the resolved form, as the scope engine hands it out.

use crate::{ContainerKey, ProcKey};
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

/// A container in scope that has a living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerTarget {
    /// Which.
    pub id: ContainerKey,
    /// Its oldest process that is in no container inside it: `/proc/<pid>/root` and `/proc/<pid>/ns` are the
    /// container's. It may have ended meanwhile.
    pub process: ProcKey,
}

/// The containers in scope, by id. With selectors of containers or pods: those that they name, and those that
/// run inside these. With a blacklist: every container but those. Without any selector: every container.
pub type Containers = Arc<[ContainerTarget]>;

/// What a selection resolves to at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The processes.
    pub scope: Scope,
    /// The containers; empty while no sub-probe that runs wants to know them.
    pub containers: Containers,
}
