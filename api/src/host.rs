//! The host and the daemon: capabilities, readiness, log level.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What this kernel and host offer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Capabilities {
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// Type information of the kernel.
    pub btf: Support,
    /// Ways to attach a program, by name: `fentry`, `kprobe`, `tracepoint`, …
    pub attach_kinds: BTreeMap<String, Support>,
    /// Kinds of maps and helpers that not every kernel has.
    pub features: BTreeMap<String, Support>,
    /// Tracepoints that probes have asked for since the daemon started.
    pub tracepoints: BTreeMap<String, Support>,
    /// The lockdown mode; absent when the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<String>,
    /// `v1`, `v2` or `hybrid`; absent when none is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_version: Option<String>,
    /// Pressure stall information can be read.
    pub pressure: bool,
    /// The limit of locked memory that BPF maps count against; absent when they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memlock_bytes: Option<u64>,
    /// Container runtimes that were found.
    pub container_runtimes: Vec<ContainerRuntime>,
    /// Who tells that a process executes, forks or ends.
    #[serde(default)]
    pub process_tracker: ProcessTracker,
    /// Capabilities that the daemon holds and raises when it needs them, as `CAP_BPF`.
    pub capabilities: Vec<String>,
}

/// Whether the kernel has something.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Support {
    /// It has.
    pub available: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The process tracker: programs in the kernel by which a process is in scope from its exec on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProcessTracker {
    /// Whether it runs.
    pub state: TrackerState,
    /// What it lacks here, a sentence each. Such changes are looked for every 2 seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Whether the process tracker runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackerState {
    /// No scope needs it: it is not in the kernel.
    #[default]
    Idle,
    /// It is attached.
    Running,
    /// A scope needs it, and it cannot be had: processes are looked for.
    Unavailable,
}

/// A container runtime.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ContainerRuntime {
    /// `containerd`, `docker`, …
    pub name: String,
    /// The version that it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The socket that it is known by, as configured.
    pub socket: String,
    /// Whether its list was read and its events are followed.
    pub connected: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the daemon itself costs and loses. A number is absent when the kernel does not tell it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Since when it runs.
    #[schema(format = DateTime)]
    pub started: String,
    /// CPU time of all its threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// Resident memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Series in the store.
    pub series: u64,
    /// What was lost since the start beside the losses of features, by stage and reason.
    pub lost: BTreeMap<String, u64>,
}

/// Whether the daemon does its work.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ready {
    /// The listeners answer and probes.init was read.
    pub ready: bool,
    /// What is not as configured.
    pub problems: Vec<ReadyProblem>,
}

/// Something that is not as configured.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadyProblem {
    /// What it is about: `probes_init`, `kafka`, `listener`, …
    pub source: String,
    /// What is wrong and the way out.
    pub detail: String,
}

/// `GET` and `PUT /api/v1/log-level`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevelDocument {
    /// The level.
    pub level: LogLevel,
}

/// How much the daemon logs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // each is its own name
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_level_is_one_of_four_words() {
        let read = serde_json::from_str::<LogLevelDocument>;
        assert_eq!(read(r#"{"level":"debug"}"#).unwrap(), LogLevelDocument { level: LogLevel::Debug });
        assert!(read(r#"{"level":"loud"}"#).is_err());
        assert!(read(r#"{"level":"info","target":"x"}"#).is_err());
    }

    #[test]
    fn readiness_has_the_members_of_the_contract() {
        let ready = Ready { ready: true, problems: Vec::new() };
        assert_eq!(serde_json::to_string(&ready).unwrap(), r#"{"ready":true,"problems":[]}"#);
    }
}
