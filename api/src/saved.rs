//! `POST /api/v1/probes:save`: where the present set was written to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is on disk now.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Saved {
    /// The file.
    pub file: String,
    /// Features in it.
    pub features: u64,
}
