//! A feature's state, each variant with only the data that it has.

use super::admit::Phase;
use super::spawn::Run;
use probe_core::{Outcome, ProbeError};
use std::time::Instant;

/// The state.
#[derive(Debug)]
pub(super) enum State {
    /// No thread.
    Stopped,
    /// A thread that has not said that it is attached. `attempts`: failures in a row before this try.
    Starting { run: Run, attempts: u32 },
    /// A thread that is attached.
    Running { run: Run, outcome: Outcome, attempts: u32, since: Instant },
    /// The thread has ended by itself.
    Failed { error: ProbeError, attempts: u32, retry_at: Option<Instant> },
    /// A thread that was told to end.
    Stopping { run: Run, restart: bool },
}

impl State {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Starting { .. } => Phase::Starting,
            Self::Running { .. } => Phase::Running,
            Self::Failed { .. } => Phase::Failed,
            Self::Stopping { restart, .. } => Phase::Stopping { restart: *restart },
        }
    }

    /// The thread, if there is one.
    pub(super) fn run(&self) -> Option<&Run> {
        match self {
            Self::Starting { run, .. } | Self::Running { run, .. } | Self::Stopping { run, .. } => Some(run),
            Self::Stopped | Self::Failed { .. } => None,
        }
    }

    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        match self {
            Self::Starting { run, .. } | Self::Running { run, .. } | Self::Stopping { run, .. } => Some(run),
            Self::Stopped | Self::Failed { .. } => None,
        }
    }

    /// Failures in a row, for the next one's backoff.
    pub(super) fn attempts(&self, now: Instant) -> u32 {
        match self {
            Self::Running { since, .. }
                if now.saturating_duration_since(*since) >= super::backoff::RECOVERED =>
            {
                0
            }
            Self::Starting { attempts, .. }
            | Self::Running { attempts, .. }
            | Self::Failed { attempts, .. } => *attempts,
            Self::Stopped | Self::Stopping { .. } => 0,
        }
    }
}
