//! What makes a value abnormal, as static data: a probe declares its triggers beside its tables, and the daemon
//! watches the rows. A probe that sees single occurrences (a failed request, an OOM kill) hands each over with
//! [`Batch::tell`](crate::Batch::tell), under a trigger that it declared as [`When::Told`].

use crate::{Label, ParamSpec, Subject, Table};

/// How serious an event is: `SeverityText` and `SeverityNumber` of the OpenTelemetry log data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is its own name
pub enum Severity {
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    /// As written in documents.
    pub fn text(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// The number of the data model: 9, 13, 17, 21.
    pub fn number(self) -> u8 {
        match self {
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }
}

/// When a value is abnormal. A threshold of 0 is off. It ends after two periods at or below 0.95 of the threshold;
/// what was counted ends at or below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// A gauge, times `scale`, is above the parameter. `scale` brings the column's unit to the parameter's.
    Above {
        /// The parameter.
        threshold: &'static ParamSpec,
        /// Factor from the column's unit to the parameter's.
        scale: f64,
    },
    /// What is left of 100 is used above the parameter: the gauge (%) is below 100 − parameter.
    FreeBelow {
        /// The parameter.
        threshold: &'static ParamSpec,
    },
    /// A counter, times `scale`, grew by more than the parameter within a report period.
    GrewBy {
        /// The parameter.
        threshold: &'static ParamSpec,
        /// Factor from the column's unit to the parameter's.
        scale: f64,
    },
    /// A counter grew within a report period.
    Grew,
    /// The probe tells each occurrence itself; what is told is not watched for its end.
    Told,
}

/// A text with `{name}` places, in both languages. A place takes the row's label of that name, an occurrence's argument
/// of that name, `metric` or `entity`, or, of a watched value, `value` and `threshold`, both in the parameter's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// One thing that can go wrong.
#[derive(Debug)]
pub struct Trigger {
    /// The table whose rows show it.
    pub table: &'static Table,
    /// The column, the end of `Resource.metric`; or `<column>_max` of a histogram, its largest value of the last period.
    /// Of [`When::Told`] it may be a name of no column.
    pub metric: &'static str,
    /// When.
    pub when: When,
    /// How serious it is.
    pub severity: Severity,
    /// What is said.
    pub text: Text,
    /// A text with places for the label `IP`: both ends of a connection. Empty if there is none.
    pub ip: &'static str,
    /// Name of the row's label that is the label `Device`. Empty if there is none.
    pub device: &'static str,
}

/// Something that happened once.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Of the feature's descriptor, declared as [`When::Told`].
    pub trigger: &'static Trigger,
    /// Who it happened to.
    pub subject: Subject,
    /// Labels of the trigger's table, keys first, as a row would have them.
    pub labels: Vec<Label>,
    /// What the text's other places take.
    pub args: Vec<(&'static str, Label)>,
    /// When it happened.
    pub at: std::time::SystemTime,
}

impl Trigger {
    /// When it fires, as a sentence's end for people: `above res_upper_thr (%)`.
    pub fn condition(&self) -> String {
        let named = |spec: &ParamSpec| format!("`{}` ({})", spec.key, spec.unit);
        match self.when {
            When::Above { threshold, .. } => format!("above {}", named(threshold)),
            When::FreeBelow { threshold } => format!("below 100 − {}", named(threshold)),
            When::GrewBy { threshold, .. } => format!("grew by more than {} in a period", named(threshold)),
            When::Grew => "grew in a period".to_owned(),
            When::Told => "each time".to_owned(),
        }
    }
}
