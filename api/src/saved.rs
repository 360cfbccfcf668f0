//! `POST /api/v1/probes:save`: what may be sent, and where the present set was written to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Nothing, or the empty object.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveRequest {}

/// What is on disk now.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Saved {
    /// The file.
    pub file: String,
    /// Features in it.
    pub features: u64,
}
