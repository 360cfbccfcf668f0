//! Why a runtime's socket is not followed now.

use std::io;
use std::path::Path;

/// What ended a connection, or kept it from being made.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// It takes a connection and does not answer.
    #[error("no answer to {0} within {1} s")]
    Late(&'static str, u64),
    /// It answers, and not with what was asked for.
    #[error("{0} failed: {1}")]
    Refused(&'static str, String),
    /// The stream of events ended.
    #[error("it ended the stream of events")]
    Ended,
}

impl Failure {
    pub(super) fn unreachable(socket: &Path, error: &io::Error) -> Self {
        let way_out = match error.kind() {
            io::ErrorKind::ConnectionRefused => ": nobody listens there; is the runtime running?",
            io::ErrorKind::PermissionDenied => ": run as root or as a member of the socket's group",
            _ => "",
        };
        Self::Unreachable(format!("connecting to {}: {error}{way_out}", socket.display()))
    }
}
