//! Signals as values: what the process is told from outside.
//!
//! SIGTERM and SIGINT ask for an orderly end, a second one ends the process at once with status 1; SIGHUP
//! reloads; SIGUSR1 reopens the files that are written.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An orderly end.
    Stop,
    /// Reading the configuration again.
    Reload,
    /// Opening the written files again, after somebody has moved them.
    Reopen,
}

/// The signals that the daemon listens to.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr1: Signal,
    stops: u32,
}

impl Signals {
    /// Listens from now on.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
            stops: 0,
        })
    }

    /// Waits for the next one. A second request to stop does not return.
    pub async fn next(&mut self) -> Asked {
        let asked = tokio::select! {
            _ = self.term.recv() => Asked::Stop,
            _ = self.int.recv() => Asked::Stop,
            _ = self.hup.recv() => Asked::Reload,
            _ = self.usr1.recv() => Asked::Reopen,
        };
        if asked == Asked::Stop {
            self.stops += 1;
            if self.stops > 1 {
                tracing::warn!("told to stop a second time; ending at once");
                std::process::exit(1);
            }
        }
        asked
    }
}
