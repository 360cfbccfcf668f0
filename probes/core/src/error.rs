//! Why a probe did not start or did not go on, and what the manager does about each kind.

use thiserror::Error;

/// The end of a probe that was not asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProbeError {
    /// Nothing of what was asked can work on this host. Not retried: the answer would be the same.
    #[error("cannot run here: {}", missing.join("; "))]
    Unsupported {
        /// One sentence a missing requirement, each naming what is missing and for which sub-probe.
        missing: Vec<String>,
    },
    /// Something failed that may work later. Retried with backoff.
    #[error("{context}: {cause}")]
    Failed {
        /// What was being done.
        context: String,
        /// What went wrong, in the system's words.
        cause: String,
    },
    /// The probe's own code panicked. Retried with backoff.
    #[error("panicked: {0}")]
    Panicked(String),
}

impl ProbeError {
    /// A failure that may pass: `context` says what was being done.
    pub fn failed(context: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Failed { context: context.into(), cause: cause.to_string() }
    }

    /// Whether trying again later can help.
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }
}
