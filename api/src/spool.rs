//! `GET /api/v1/spool` and `POST /api/v1/spool:purge`: what waits to be delivered, and giving it up.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The spool.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpoolDocument {
    /// Bytes on disk.
    pub bytes: u64,
    /// Most bytes on disk (`spool.max_bytes`).
    pub max_bytes: u64,
    /// The sequence number of the last message on it; 0 before the first.
    pub last_seq: u64,
    /// Everything that reads it.
    pub sinks: Vec<SpoolSink>,
}

/// A sink that reads the spool. Its counters begin with the daemon.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpoolSink {
    /// `kafka`, or `webhook-` with the host and a piece of the address's hash.
    pub sink: String,
    /// Messages that wait.
    pub pending_records: u64,
    /// Bytes of the log behind its cursor; 0 when no message waits.
    pub pending_bytes: u64,
    /// Age of the oldest message that waits; absent when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_s: Option<u64>,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages lost, by reason.
    pub lost: BTreeMap<String, u64>,
    /// What is wrong now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Every message up to this sequence number is delivered or given up.
    pub done_seq: u64,
}

/// Which sink gives up what waits for it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeRequest {
    /// Its name.
    pub sink: String,
}

/// What was given up.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Purged {
    /// The sink.
    pub sink: String,
    /// Messages that it will not get.
    pub discarded: u64,
}
