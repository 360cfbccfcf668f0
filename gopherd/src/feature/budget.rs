//! What a feature may cost, as its configuration says. Kept here; `crate::budget` sees to it.

/// The budget of one feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// These limits; one that was not given is the daemon's.
    Limits(Limits),
    /// No limit of any kind.
    Off,
}

impl Default for Budget {
    fn default() -> Self {
        Self::Limits(Limits::default())
    }
}

/// Limits that an operator has set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// CPU time as a share of one core, above 0.
    pub cpu: Option<f64>,
    /// Memory that the probe accounts for, at least 1.
    pub memory_bytes: Option<u64>,
    /// Series, at least 1.
    pub series: Option<u64>,
    /// Events a second, at least 1.
    pub events_per_s: Option<u64>,
}
