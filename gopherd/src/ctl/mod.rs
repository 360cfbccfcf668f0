//! `gopher-ctl`: a client of the daemon's unix socket. Owns the command line, what is printed, and the exit
//! code. Leaves to others: what a request means; a configuration is sent as it was given.
//!
//! Exit codes: 0 done, 1 refused by the daemon, 2 wrong usage or a file that cannot be read or written, 3 the
//! daemon cannot be reached.

mod args;
mod client;
mod show;

pub use args::Args;

use args::{Command, ProbeCommand};
use client::{Client, Failure, Reply};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::{self, Read, Write};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The daemon answered, and refused.
    Refused = 1,
    /// The command line makes no sense, or what it names cannot be read or written.
    Usage = 2,
    /// Nobody answers on the socket.
    Unreachable = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Does what `args` say. Results go to `out`, everything else to `err`.
pub async fn run(args: Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let client = Client::new(args.socket);
    let result = match args.command {
        Command::Probe { command } => probe(&client, command, args.json, out, err).await,
        Command::Metric => metric(&client, out).await,
        Command::Save => save(&client, args.json, out).await,
        Command::Apply { file, dry_run } => apply(&client, &file, dry_run, args.json, out, err).await,
    };
    let Err(failure) = result else { return Exit::Done };
    if matches!(&failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        // Whoever reads has what it wanted, as `head` does.
        return Exit::Done;
    }
    // When even stderr is gone the exit code still says it.
    let _ = match &failure {
        Failure::Refused(body) if args.json => err.write_all(body),
        failure => writeln!(err, "gopher-ctl: {failure}"),
    };
    failure.exit()
}

async fn probe(
    client: &Client,
    command: ProbeCommand,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let (feature, body) = match command {
        ProbeCommand::List => {
            let body = client.get("/api/v1/probes").await?.accepted().await?;
            return print(out, if json { body } else { show::list(&body)?.into_bytes() });
        }
        ProbeCommand::Get { feature } => {
            let body = client.get(&path(&feature)).await?.accepted().await?;
            return print(out, body);
        }
        ProbeCommand::Set { feature, config } => (feature, input(&config)?),
        ProbeCommand::Start { feature } => (feature, br#"{"state":"running"}"#.to_vec()),
        ProbeCommand::Stop { feature } => (feature, br#"{"state":"stopped"}"#.to_vec()),
    };
    let body = client.send("PUT", &path(&feature), body).await?.accepted().await?;
    print(out, if json { body } else { show::changed(&body, err)?.into_bytes() })
}

/// Copied as it comes: the text can be large.
async fn metric(client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let mut reply: Reply = client.get("/metrics").await?;
    reply.refused().await?;
    while let Some(chunk) = reply.chunk().await? {
        out.write_all(&chunk).map_err(Failure::Output)?;
    }
    out.flush().map_err(Failure::Output)
}

async fn save(client: &Client, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let body = client.send("POST", "/api/v1/probes:save", Vec::new()).await?.accepted().await?;
    print(out, if json { body } else { show::saved(&body)?.into_bytes() })
}

async fn apply(
    client: &Client,
    file: &str,
    dry_run: bool,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let body = if file == "-" {
        input(file)?
    } else {
        std::fs::read(file).map_err(|error| Failure::Input(format!("{file}: {error}")))?
    };
    let path = if dry_run { "/api/v1/probes:apply?dry_run=true" } else { "/api/v1/probes:apply" };
    let body = client.send("POST", path, body).await?.accepted().await?;
    print(out, if json { body } else { show::applied(&body, err)?.into_bytes() })
}

/// A feature's path, whatever was typed as its name.
fn path(feature: &str) -> String {
    // The names that exist have letters, digits and `_` only; everything else is encoded so that it stays one segment.
    format!("/{}", utf8_percent_encode(feature, NON_ALPHANUMERIC).to_string().replace("%5F", "_"))
}

/// The text itself, or standard input for `-`.
fn input(text: &str) -> Result<Vec<u8>, Failure> {
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body).map_err(|error| Failure::Input(format!("standard input: {error}")))?;
    Ok(body)
}

fn print(out: &mut dyn Write, text: impl AsRef<[u8]>) -> Result<(), Failure> {
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(Failure::Output)
}

#[cfg(test)]
mod tests;
