//! The daemon's documents for people: plain text, no colour, results on one stream and warnings on the other.

use super::client::Failure;
use gopher_api::{ApplyResult, ProbeList, Saved, State, SubProbeState};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io::Write;

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Unreachable(format!("the daemon's answer is not understood ({error}); is it of another version?"))
    })
}

fn state(state: State) -> &'static str {
    match state {
        State::Stopped => "stopped",
        State::Starting => "starting",
        State::Running => "running",
        State::Degraded => "degraded",
        State::Failed => "failed",
        State::Stopping => "stopping",
        State::Unavailable => "unavailable",
    }
}

fn warn(err: &mut dyn Write, warnings: &[String]) {
    for warning in warnings {
        // A warning that nobody can read is no reason to fail what was done.
        let _ = writeln!(err, "warning: {warning}");
    }
}

/// One line a feature.
pub(super) fn list(body: &[u8]) -> Result<String, Failure> {
    let list: ProbeList = read(body)?;
    let width = list.items.iter().map(|item| item.feature.len()).chain([7]).max().unwrap_or(7);
    let mut out = format!("{:width$}  {:11}  SUMMARY\n", "FEATURE", "STATE");
    for item in &list.items {
        let status = &item.status;
        // Writing to a string does not fail.
        let _ = write!(out, "{:width$}  {:11}  {}", item.feature, state(status.state), item.summary);
        if let Some(error) = &status.error {
            let _ = write!(out, " [{error}]");
        }
        let lacking = status.sub_probes.iter().filter(|sub| sub.state == SubProbeState::Unavailable);
        for sub in lacking {
            let _ = write!(out, " [{}: {}]", sub.name, sub.missing.join("; "));
        }
        out.push('\n');
    }
    Ok(out)
}

#[derive(Deserialize)]
struct Success {
    message: String,
    #[serde(default)]
    warnings: Vec<String>,
}

/// The compatible door's success.
pub(super) fn changed(body: &[u8], err: &mut dyn Write) -> Result<String, Failure> {
    let Success { message, warnings } = read(body)?;
    warn(err, &warnings);
    Ok(message + "\n")
}

/// What was saved.
pub(super) fn saved(body: &[u8]) -> Result<String, Failure> {
    let Saved { file, features } = read(body)?;
    Ok(format!("saved {features} features to {file}\n"))
}

/// One line a feature of a transaction.
pub(super) fn applied(body: &[u8], err: &mut dyn Write) -> Result<String, Failure> {
    let result: ApplyResult = read(body)?;
    let mut out = String::new();
    for item in &result.items {
        warn(err, &item.warnings);
        let verb = if result.dry_run { "would be changed" } else { "changed" };
        let _ = writeln!(out, "{}: {verb}; {} (generation {})", item.feature, state(item.state), item.generation);
    }
    Ok(out)
}
