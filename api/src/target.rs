//! `GET /api/v1/targets`: what a feature's scope matches now, and why a process is matched or not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the scope of a feature matches now.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetPage {
    /// The feature.
    pub feature: String,
    /// The scope is the whole host; `items` is empty then.
    pub whole_host: bool,
    /// The processes.
    pub items: Vec<Target>,
    /// Processes beyond those in `items`.
    #[serde(default)]
    pub more: u64,
    /// The containers that container and pod selectors match; with a blacklist these are left out.
    #[serde(default)]
    pub containers: Vec<ContainerTarget>,
    /// Containers beyond those in `containers`.
    #[serde(default)]
    pub more_containers: u64,
    /// The answer about one process, if `pid` was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A process that is matched.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Target {
    /// Its id.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub start_ticks: u64,
    /// Its name.
    pub comm: String,
    /// The selector that matches: `proc_name[0] (comm /^redis/)`.
    pub selector: String,
    /// The first 12 characters of the id of the container that it is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// A container that is matched. What no runtime told is absent.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct ContainerTarget {
    /// The first 12 characters of its id.
    pub container_id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The uid of its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_id: Option<String>,
    /// Its pod, as `<namespace>/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Its processes that are matched, those of containers inside it left out.
    pub processes: u64,
}

/// Whether a process is observed, and why.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verdict {
    /// Its id.
    pub pid: u32,
    /// Whether it is observed.
    pub observed: bool,
    /// Why.
    pub reason: String,
}
