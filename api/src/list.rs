//! `GET /api/v1/probes`: every feature with what it can do on this host.

use crate::{Cost, DaemonStatus, ProbeState, ReadyProblem, Targets};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Every feature.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProbeList {
    /// The features, by name.
    pub items: Vec<ProbeItem>,
    /// What the daemon itself costs and loses.
    pub daemon: DaemonStatus,
    /// Lines of probes.init that did not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ReadyProblem>,
}

/// One feature in the list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProbeItem {
    /// Its name.
    pub feature: String,
    /// One sentence.
    pub summary: String,
    /// Of its configuration.
    pub generation: u64,
    /// Where it is in its life.
    pub state: ProbeState,
    /// What it can be narrowed to.
    pub scope: ScopeDocument,
    /// Its parts; empty for a feature that is one piece.
    pub sub_probes: Vec<SubProbeItem>,
    /// The parameters that it uses.
    pub params: Vec<ParamDocument>,
    /// The tables that it fills.
    pub tables: Vec<TableDocument>,
    /// What in them is an event, while `report_event` is 1.
    #[serde(default)]
    pub events: Vec<TriggerDocument>,
    /// What its scope matches now.
    pub targets: Targets,
    /// Series that it has in the store.
    pub series: u64,
    /// Values that it handed over since the start of the daemon.
    pub samples: u64,
    /// What was lost since the start of the daemon, by stage and reason.
    pub lost: BTreeMap<String, u64>,
    /// What it costs now.
    pub cost: Cost,
}

/// A table: rows of one kind of thing.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableDocument {
    /// Its name.
    pub name: String,
    /// The sub-probe that fills it; empty for a feature that is one piece.
    pub sub_probe: String,
    /// The labels of its rows, beyond those of processes and the host.
    pub labels: Vec<String>,
    /// Its metrics, without the prefix of the host's configuration.
    pub metrics: Vec<String>,
}

/// Something that is an event.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriggerDocument {
    /// The metric, without the prefix of the host's configuration.
    pub metric: String,
    /// When it is an event; parameters stand in backticks, with their unit behind them.
    pub when: String,
    /// `INFO`, `WARN`, `ERROR` or `FATAL`.
    pub severity: String,
}

/// What a feature can be narrowed to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeDocument {
    /// Nothing: selectors have no effect.
    None,
    /// Processes.
    Processes,
    /// Containers.
    Containers,
    /// Processes and containers.
    ProcessesAndContainers,
}

/// A part of a feature.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubProbeItem {
    /// Its name in `cmd.probe`.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Runs when no sub-probe is named.
    pub default: bool,
    /// Stays idle until a scope is given.
    pub needs_scope: bool,
    /// Stays idle until this parameter is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_param: Option<String>,
    /// Can run on this host.
    pub available: bool,
    /// What this host lacks for it, one sentence each.
    pub missing: Vec<String>,
}

/// A parameter.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ParamDocument {
    /// Its key in `params`.
    pub key: String,
    /// One sentence.
    pub doc: String,
    /// Of the value; empty for texts and switches.
    pub unit: String,
    /// Shape of the value.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// Value when never set.
    pub default: Value,
    /// Smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// 0 is valid too and means off.
    #[serde(default)]
    pub zero_is_off: bool,
    /// Only powers of two.
    #[serde(default)]
    pub power_of_two: bool,
    /// The words that are valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Longest text in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Can be changed while the feature runs.
    pub live: bool,
}

/// Shape of a parameter's value.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// A device name or an array of them.
    Devices,
    /// An array of words out of `allowed`.
    Words,
    /// An array of objects with one text each.
    Pairs,
}
