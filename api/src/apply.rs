//! `POST /api/v1/probes:apply`: several features in one transaction.

use crate::{Cost, ProbeConfig, ProbeState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The wanted configuration of several features; the others are left alone.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// By feature, each whole.
    pub probes: BTreeMap<String, ProbeConfig>,
}

/// All of them took effect, or would have (`dry_run`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ApplyResult {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Grows with every accepted request that changes something.
    pub generation: u64,
    /// By feature.
    pub probes: BTreeMap<String, Applied>,
}

/// What became of one feature.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Applied {
    /// Of its configuration now.
    pub generation: u64,
    /// Where it is in its life.
    pub state: ProbeState,
    /// What was not done as written.
    pub warnings: Vec<String>,
    /// For a dry run: what the feature costs as it runs now, which is the best that is known of what it will. One that
    /// would be started has the memory of its maps, which were made and unmade. Absent if nothing is known, or if it
    /// would not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_cost: Option<Cost>,
    /// What its configuration would be, for a dry run; absent if it would be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub config: Option<ProbeConfig>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_member_probes_is_known() {
        assert!(serde_json::from_str::<ApplyRequest>(r#"{"probes":{"tcp":{"state":"running"}}}"#).is_ok());
        assert!(serde_json::from_str::<ApplyRequest>(r#"{"probes":{},"probe":{}}"#).is_err());
        assert!(serde_json::from_str::<ApplyRequest>("{}").is_err());
    }
}
