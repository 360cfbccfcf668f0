//! `gopher-ctl`: a client of the daemon's unix socket. Owns the command line, what is printed, and the exit
//! code. Leaves to others: what a request means; a configuration is sent as it was given.
//!
//! Results go to standard output, everything else to standard error. The exit codes are [`Exit`].

mod args;
mod clean;
mod client;
mod commands;
mod events;
mod failure;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod generate;
#[cfg(test)]
mod generated;
mod input;
mod look;
mod page;
mod show;
mod spool;
mod table;
mod top;
mod units;

pub use args::Args;
pub use look::Look;

use client::Client;
use failure::Failure;
use page::Page;
use std::io::{self, Write};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The daemon answered, and refused. `check-config`: the configuration is unusable.
    Refused = 1,
    /// The command line makes no sense, or what it names cannot be read or written. `check-config`: only lines
    /// of probes.init are bad.
    Usage = 2,
    /// Nobody answers on the socket.
    Unreachable = 3,
    /// The daemon is not ready.
    NotReady = 4,
    /// The daemon has not finished in time; it goes on.
    Unfinished = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Args {
    /// How standard output looks, and shall.
    pub fn look(&self) -> Look {
        Look::of_stdout(self.color)
    }
}

/// Does what `args` say. Results go to `out`, which looks like `look`, everything else to `err`.
pub async fn run(args: Args, look: Look, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let client = Client::new(args.socket);
    let mut page = Page { look, json: args.json, out, err };
    let failure = match commands::run(&client, args.command, &mut page).await {
        Ok(exit) => return exit,
        Err(failure) => failure,
    };
    if matches!(&failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        // Whoever reads has what it wanted, as `head` does.
        return Exit::Done;
    }
    // When even stderr is gone the exit code still says it.
    let _ = match failure.document() {
        Some(body) if page.json => {
            page.err.write_all(clean::lines(&String::from_utf8_lossy(body)).as_bytes())
        }
        _ => writeln!(page.err, "gopher-ctl: {}", clean::lines(&failure.to_string())),
    };
    failure.exit()
}

#[cfg(test)]
mod tests;
