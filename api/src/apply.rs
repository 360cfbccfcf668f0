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
    /// What it is expected to cost, for a dry run.
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
