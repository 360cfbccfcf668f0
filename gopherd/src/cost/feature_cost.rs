//! What a feature costs, as numbers that budgets and documents share.

/// What one feature costs now. A rate is over the last [`super::PERIOD`]; `None` is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureCost {
    /// CPU time of its thread, in cores (1.0 is one core).
    pub cpu: Option<f64>,
    /// Run time of its BPF programs, in cores, as last sampled.
    pub bpf: Option<f64>,
    /// Memory held for data in this process, by the probe's own account, in bytes.
    pub memory_bytes: u64,
    /// Memory of its BPF maps, in bytes.
    pub map_bytes: u64,
    /// Series in the store.
    pub series: u64,
    /// Events told a second.
    pub events_per_s: Option<f64>,
    /// Bytes of their documents a second.
    pub event_bytes_per_s: Option<f64>,
    /// Values handed over a second.
    pub samples_per_s: Option<f64>,
    /// By sub-probe, in the descriptor's order; empty for a feature without.
    pub sub_probes: Vec<SubProbeCost>,
}

/// The part of one sub-probe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubProbeCost {
    /// Its name.
    pub name: &'static str,
    /// CPU time of the feature's thread that was spent for it, in cores.
    pub cpu: Option<f64>,
    /// Run time of the BPF programs that it needs, in cores; a program that several share is divided evenly.
    pub bpf: Option<f64>,
    /// Series of its tables.
    pub series: u64,
}
