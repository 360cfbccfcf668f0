//! The probe document: what a feature shall do, and how it fares.

use crate::{BudgetLimits, ProbeConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One feature.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ProbeDocument {
    /// Its name.
    pub feature: String,
    /// Grows with every accepted change of this feature; also the ETag.
    pub generation: u64,
    /// What was asked for.
    pub config: ProbeConfig,
    /// How it fares.
    pub status: Status,
    /// What of the request was not done as written; in the answer to a change only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Where a feature is in its life.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeState {
    /// Does not run and shall not.
    Stopped,
    /// Is being loaded and attached.
    Starting,
    /// All that was asked for runs.
    Running,
    /// A part of what was asked for runs, or a sub-probe without all that it could show.
    Degraded,
    /// Shall run and does not; `retry_at` says when it is tried again.
    Failed,
    /// Is being detached.
    Stopping,
    /// This version does not have it.
    Unavailable,
}

/// How a feature fares.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// Where it is in its life.
    pub state: ProbeState,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Starts that failed in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub retry_at: Option<String>,
    /// Each sub-probe that was asked for.
    pub sub_probes: Vec<SubProbeStatus>,
    /// What the scope matches now.
    pub targets: Targets,
    /// Values that it handed over since the start of the daemon.
    pub samples: u64,
    /// What was lost since the start of the daemon, by stage and reason.
    pub lost: BTreeMap<String, u64>,
    /// Series that it has in the store.
    pub series: u64,
    /// What it costs.
    pub cost: Cost,
    /// What of its budget it uses, and how that restrains it; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetStatus>,
}

/// What a feature may cost, what it costs, and how it is restrained because of that.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct BudgetStatus {
    /// The limits that hold for it, its own or the daemon's.
    pub limit: BudgetLimits,
    /// What it used of them at the last look; absent while it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<BudgetMeasured>,
    /// The steps in force, the first one first; empty for one that is not restrained.
    pub steps: Vec<BudgetStep>,
}

/// What is measured of a budget. A number is absent while it is not known.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct BudgetMeasured {
    /// CPU time of its thread and run time of its BPF programs, in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Memory that it accounts for, with its maps.
    pub memory_bytes: u64,
    /// Series.
    pub series: u64,
    /// Events a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_s: Option<f64>,
}

/// A step that a budget took.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetStep {
    /// Its kind: `period`, `sub_probe` or `stop`.
    pub step: String,
    /// What it does, as in `reports every 120 s`.
    pub what: String,
    /// What was over which limit.
    pub reason: String,
    /// When it was taken.
    #[schema(format = DateTime)]
    pub since: String,
}

/// How one sub-probe fares.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubProbeStatus {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub state: SubProbeState,
    /// What this host lacks for it to run, or, while it runs, to show everything, or why its budget has switched it off;
    /// one sentence each.
    pub missing: Vec<String>,
}

/// Whether a sub-probe runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubProbeState {
    /// Runs.
    Running,
    /// Waits for a scope or for the feature to run.
    Idle,
    /// This host lacks something for it.
    Unsupported,
    /// The feature's budget has switched it off.
    Restrained,
}

/// What a scope matches now. A number is absent when the scope is the whole host.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Targets {
    /// Processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<u64>,
}

/// What a feature costs. A number is absent while it is not known. What is said for a second is of the last ten.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Cost {
    /// CPU time of its thread, over all its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// CPU time of its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns_per_s: Option<u64>,
    /// Run time of its programs in the kernel, as last sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpf_ns_per_s: Option<u64>,
    /// Memory that it accounts for, beside its maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Its maps in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_bytes: Option<u64>,
    /// Values that it handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples_per_s: Option<f64>,
    /// Events that it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_s: Option<f64>,
    /// Bytes of their documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bytes_per_s: Option<f64>,
    /// The part of each sub-probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_probes: Vec<SubProbeCost>,
}

/// What a sub-probe costs. A number is absent while it is not known.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubProbeCost {
    /// Its name.
    pub name: String,
    /// CPU time of the feature's thread: what was spent for it alone, and of the rest a part as large as that of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns_per_s: Option<u64>,
    /// Run time of its programs in the kernel, as last sampled; those that several sub-probes share are divided evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpf_ns_per_s: Option<u64>,
    /// Series that it has in the store.
    pub series: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_members_of_the_contract() {
        let document = ProbeDocument {
            feature: "tcp".into(),
            generation: 3,
            config: ProbeConfig::default(),
            status: Status {
                state: ProbeState::Degraded,
                since: "2026-01-02T03:04:05Z".into(),
                error: None,
                attempts: None,
                retry_at: None,
                sub_probes: vec![SubProbeStatus {
                    name: "tcp_rtt".into(),
                    state: SubProbeState::Unsupported,
                    missing: vec!["kprobes".into()],
                }],
                targets: Targets { processes: Some(2), containers: None },
                samples: 8,
                lost: BTreeMap::from([("ring".into(), 1)]),
                series: 7,
                cost: Cost { cpu_ns_per_s: Some(9), ..Cost::default() },
                budget: None,
            },
            warnings: Vec::new(),
        };
        let expected = r#"{"feature":"tcp","generation":3,"config":{"cmd":{"probe":[]},"params":{},"budget":{},"state":"stopped"},"status":{"state":"degraded","since":"2026-01-02T03:04:05Z","sub_probes":[{"name":"tcp_rtt","state":"unsupported","missing":["kprobes"]}],"targets":{"processes":2},"samples":8,"lost":{"ring":1},"series":7,"cost":{"cpu_ns_per_s":9}}}"#;
        assert_eq!(serde_json::to_string(&document).unwrap(), expected);
    }
}
