//! What an operator has configured for one feature, as checked types. Both doors, probes.init and
//! `gopher-ctl` are turned into it here, once; the manager, the scope engine and the pipeline build on it
//! and never look at JSON.
//!
//! ```text
//!  body ─► json ─► edit::plan ─► parts (one file a member) ─► FeatureConfig ─► document
//!                     │ compat: merge, warn      native: whole or patch, refuse
//! ```

pub mod body;
mod budget;
mod compat;
mod document;
mod edit;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
pub mod json;
mod native;
mod parts;
mod problem;
mod selection;
#[cfg(test)]
mod tests;
mod text;
mod warnings;

pub use budget::{Budget, Limits};
pub use document::{document, native as native_document, saved as saved_document};
pub use edit::{Context, Edit, PidLookup, Plan, plan};
#[cfg(any(test, feature = "testing"))]
pub use fuzz::{fuzz_apply, fuzz_compat};
pub use parts::pod_label_name;
pub use problem::{Path, Problem, ProblemKind, Step};
pub use selection::{Mode, ProcId, ProcName, Selection, Selectors};

use probe_core::{Descriptor, Params, SubProbes};

/// The run state that the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Configured, never started: `unknown` in the compatible document.
    #[default]
    Unknown,
    /// Shall run.
    Running,
    /// Shall not run.
    Stopped,
}

/// The configuration of one feature. A feature that was never configured has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureConfig {
    /// The sub-probes named by `cmd.probe`, in the descriptor's order; empty means the default ones.
    pub sub_probes: SubProbes,
    /// Selectors.
    pub selection: Selection,
    /// Labels added to each of the feature's series, in the order of their names.
    pub custom_labels: Vec<(String, String)>,
    /// Pod label keys whose values become labels.
    pub pod_labels: Vec<String>,
    /// Parameters that were set.
    pub params: Params,
    /// What it may cost.
    pub budget: Budget,
    /// The wanted run state.
    pub state: Wanted,
}

impl FeatureConfig {
    /// The sub-probes that shall run.
    pub fn active_sub_probes(&self, descriptor: &Descriptor) -> SubProbes {
        if self.sub_probes.is_empty() { descriptor.default_sub_probes() } else { self.sub_probes.clone() }
    }
}
