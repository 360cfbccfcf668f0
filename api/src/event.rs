//! `GET /api/v1/events` without `follow`: a page of the live event stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Events after an id.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EventPage {
    /// The events, oldest first.
    pub items: Vec<EventItem>,
    /// The id to ask for the next page with.
    pub next: u64,
}

/// An event and its place in the stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EventItem {
    /// Ascending.
    pub id: u64,
    /// The event document, as every other channel has it.
    #[schema(value_type = Object)]
    pub event: Value,
}
