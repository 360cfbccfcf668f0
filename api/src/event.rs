//! Events and metadata: the documents that go out on every channel, and `GET /api/v1/events`, which shows the live
//! stream of the former.
//!
//! `event.schema.json` and `metadata.schema.json` beside this crate say the same as JSON Schema.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Something abnormal, or its end. Members stand in this order.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EventDocument<'a> {
    /// When it was measured, Unix time in ms.
    #[serde(rename = "Timestamp")]
    pub timestamp: u64,
    /// `<Timestamp>_<entity id>`; no two events have the same.
    pub event_id: Cow<'a, str>,
    /// What it is about.
    #[serde(rename = "Attributes")]
    pub attributes: EventAttributes<'a>,
    /// What was measured, and where.
    #[serde(rename = "Resource")]
    pub resource: EventResource<'a>,
    /// `INFO`, `WARN`, `ERROR` or `FATAL`.
    #[serde(rename = "SeverityText")]
    pub severity_text: Cow<'a, str>,
    /// 9, 13, 17 or 21, as OpenTelemetry numbers them.
    #[serde(rename = "SeverityNumber")]
    pub severity_number: u8,
    /// For people: local time, severity, entity and what happened.
    #[serde(rename = "Body")]
    pub body: Cow<'a, str>,
}

/// What an event is about.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EventAttributes<'a> {
    /// `<machine id>_<entity>_<key values>`, as it follows from the metric's labels.
    pub entity_id: Cow<'a, str>,
    /// The same as outside.
    pub event_id: Cow<'a, str>,
    /// `sys`, or `recovered` for the end of a condition.
    pub event_type: Cow<'a, str>,
    /// So many of the same were not told since the last one; absent if there was none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suppressed: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde gives a reference
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct EventResource<'a> {
    /// Name of the metric.
    pub metric: Cow<'a, str>,
    /// The same once more, where old consumers need it (`event.legacy_metrics_key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Cow<'a, str>>,
    /// Where.
    pub labels: EventLabels<'a>,
}

/// Where it was measured. What is not known is an empty text.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct EventLabels<'a> {
    /// The machine id with the host's address.
    #[serde(rename = "Host")]
    pub host: Cow<'a, str>,
    /// The process.
    #[serde(rename = "PID")]
    pub pid: Cow<'a, str>,
    /// Its name.
    #[serde(rename = "COMM")]
    pub comm: Cow<'a, str>,
    /// Both ends of a connection.
    #[serde(rename = "IP")]
    pub ip: Cow<'a, str>,
    /// The first 12 characters of the container's id.
    #[serde(rename = "ContainerID")]
    pub container_id: Cow<'a, str>,
    /// The pod's uid.
    #[serde(rename = "POD")]
    pub pod: Cow<'a, str>,
    /// A disk or a network device.
    #[serde(rename = "Device")]
    pub device: Cow<'a, str>,
}

/// What the metrics of a table are called and told apart by.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MetadataDocument<'a> {
    /// When it was said, Unix time in ms.
    pub timestamp: u64,
    /// The table.
    pub meta_name: Cow<'a, str>,
    /// The entity; tables of one entity have the same keys.
    pub entity_name: Cow<'a, str>,
    /// Grows as a text when a table changes.
    pub version: Cow<'a, str>,
    /// The labels that tell entities apart, in the order of entity ids.
    pub keys: Vec<Cow<'a, str>>,
    /// The other labels.
    pub labels: Vec<Cow<'a, str>>,
    /// The metrics, without prefix and entity.
    pub metrics: Vec<Cow<'a, str>>,
}

/// A page of the live event stream.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EventPage {
    /// The events, oldest first.
    pub items: Vec<EventItem>,
    /// What to ask for the next page with, as `after`.
    pub next: String,
    /// Events behind `after` are not kept any more, or nobody can tell because the daemon was started anew since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
}

/// A message of `text/event-stream`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventMessage {
    /// What to go on behind, as `Last-Event-ID` or `after`; absent in a message that is no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// `missed` where events in between are not kept any more; absent for an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub event: Option<String>,
    /// The event document as JSON text; in `missed` an object with the member `after`.
    pub data: String,
}

/// An event and its place in the stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct EventItem {
    /// `<start of the daemon in ms>-<sequence number>`.
    pub id: String,
    /// The event document, as every other channel has it.
    #[schema(value_type = Object)]
    pub event: Value,
}
