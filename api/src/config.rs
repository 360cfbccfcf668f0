//! The `config` of a probe document, and what PUT of the native door takes. The daemon reads the document
//! itself, to name the place of each fault; these types are its shape for clients and for the schema.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A feature's configuration. In a PUT each absent member has its default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// Which sub-probes.
    #[serde(default)]
    pub cmd: Cmd,
    /// What is observed; without any selector the whole host is. Not together with `blacklist`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snoopers: Option<Selectors>,
    /// What is left out of the whole host. Not together with `snoopers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub blacklist: Option<Selectors>,
    /// Parameters that are not at their default; `GET /api/v1/probes` lists the keys.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// What the feature may cost.
    #[serde(default)]
    pub budget: Budget,
    /// Whether it shall run.
    #[serde(default)]
    pub state: ConfigState,
}

/// A merge patch (RFC 7396) of a configuration: an absent member stays, null has its default again, an object
/// is merged member by member.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbePatch {
    /// Which sub-probes.
    #[serde(default)]
    pub cmd: Option<BTreeMap<String, Value>>,
    /// What is observed; takes the place of a `blacklist`.
    #[serde(default)]
    pub snoopers: Option<BTreeMap<String, Value>>,
    /// What is left out of the whole host; takes the place of `snoopers`.
    #[serde(default)]
    pub blacklist: Option<BTreeMap<String, Value>>,
    /// Parameters.
    #[serde(default)]
    pub params: Option<BTreeMap<String, Value>>,
    /// What the feature may cost: limits, or the word `off`.
    #[serde(default)]
    pub budget: Option<Value>,
    /// Whether it shall run.
    #[serde(default)]
    pub state: Option<ConfigState>,
}

/// The sub-probes that shall run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cmd {
    /// Their names; none stands for the default ones.
    #[serde(default)]
    pub probe: Vec<String>,
}

/// Whether a feature shall run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfigState {
    /// It shall.
    Running,
    /// It shall not.
    #[default]
    Stopped,
}

/// Selectors, any of which matches, and labels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Selectors {
    /// Pids, bound to the processes that had them when they were given.
    #[serde(default)]
    pub proc_id: Vec<u32>,
    /// Processes by name or command line.
    #[serde(default)]
    pub proc_name: Vec<ProcName>,
    /// Pod uids.
    #[serde(default)]
    pub pod_id: Vec<String>,
    /// Container ids; the first 12 digits count.
    #[serde(default)]
    pub container_id: Vec<String>,
    /// Container names.
    #[serde(default)]
    pub container_name: Vec<String>,
    /// Labels for every series of the feature, at most 10.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_labels: BTreeMap<String, String>,
    /// Label keys of pods whose values become labels, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_labels: Vec<String>,
}

/// A process selector. One of the expressions is not empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcName {
    /// An unanchored regular expression for the process name; empty means any.
    #[serde(default)]
    pub comm: String,
    /// An unanchored regular expression for the command line; empty means any.
    #[serde(default)]
    pub cmdline: String,
    /// One label for the series of the processes that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub label: Option<BTreeMap<String, String>>,
}

/// What a feature may cost.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Budget {
    /// These limits; an absent one is the daemon's.
    Limits(BudgetLimits),
    /// No limit.
    Off(BudgetOff),
}

impl Default for Budget {
    fn default() -> Self {
        Self::Limits(BudgetLimits::default())
    }
}

/// The word `off`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetOff {
    /// No limit.
    Off,
}

/// Limits of one feature.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetLimits {
    /// CPU time as a share of one core, above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cpu: Option<f64>,
    /// Memory that the probe accounts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_bytes: Option<u64>,
    /// Series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub series: Option<u64>,
    /// Events a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub events_per_s: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_keeps_its_form_through_the_types() {
        let text = r#"{"cmd":{"probe":["tcp_rtt"]},"snoopers":{"proc_id":[1],"proc_name":[{"comm":"a","cmdline":"","label":{"app":"web"}}],"pod_id":[],"container_id":[],"container_name":[],"custom_labels":{"z":"1"},"pod_labels":["team"]},"params":{"report_period":30},"budget":{"cpu":0.5},"state":"running"}"#;
        let config: ProbeConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let off: ProbeConfig = serde_json::from_str(r#"{"budget":"off","blacklist":{}}"#).unwrap();
        assert_eq!((off.budget, off.state), (Budget::Off(BudgetOff::Off), ConfigState::Stopped));
    }

    #[test]
    fn an_unknown_key_is_refused_at_each_level() {
        for text in [
            r#"{"snooper":{}}"#,
            r#"{"cmd":{"bin":"x"}}"#,
            r#"{"snoopers":{"pid":[]}}"#,
            r#"{"snoopers":{"proc_name":[{"name":"x"}]}}"#,
            r#"{"budget":{"cost":1}}"#,
            r#"{"state":"paused"}"#,
        ] {
            assert!(serde_json::from_str::<ProbeConfig>(text).is_err(), "{text}");
        }
    }
}
