//! Where the value that a trigger is about lies in a row of its table.

use probe_core::{Kind, Table, Trigger, Value, When};

/// Where a trigger's value is in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Column(usize),
    /// The largest value of a histogram in the last period.
    Max(usize),
    /// The table has no such column: nothing is ever read.
    Nowhere,
}

impl Source {
    pub(super) fn of(table: &Table, metric: &str) -> Self {
        let column = |name: &str| table.columns.iter().position(|column| column.name == name);
        if let Some(at) = column(metric) {
            return Self::Column(at);
        }
        let of_histogram = |at: &usize| {
            table.columns.get(*at).is_some_and(|column| matches!(column.kind, Kind::Histogram(_)))
        };
        let stem = metric.strip_suffix("_max").and_then(column).filter(of_histogram);
        stem.map_or(Self::Nowhere, Self::Max)
    }

    pub(super) fn level(self, values: &[Value]) -> Option<f64> {
        match self {
            Self::Column(at) => match values.get(at)? {
                Value::Gauge(value) => Some(*value),
                _ => None,
            },
            Self::Max(at) => match values.get(at)? {
                Value::Histogram(histogram) => histogram.max(),
                _ => None,
            },
            Self::Nowhere => None,
        }
    }

    pub(super) fn count(self, values: &[Value]) -> Option<u64> {
        match self {
            Self::Column(at) => match values.get(at)? {
                Value::Counter(count) => Some(*count),
                _ => None,
            },
            Self::Max(_) | Self::Nowhere => None,
        }
    }
}

/// Whether a trigger's metric is something that its table shows; for the test over all features.
pub fn is_watchable(trigger: &Trigger) -> bool {
    let kind = match Source::of(trigger.table, trigger.metric) {
        Source::Column(at) => trigger.table.columns.get(at).map(|column| column.kind),
        Source::Max(_) => Some(Kind::Gauge),
        Source::Nowhere => None,
    };
    match trigger.when {
        When::Told => true,
        When::Above { .. } | When::FreeBelow { .. } => kind == Some(Kind::Gauge),
        When::GrewBy { .. } | When::Grew => kind == Some(Kind::Counter),
    }
}
