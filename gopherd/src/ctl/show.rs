//! The daemon's documents for people: plain text, no colour, results on one stream and warnings on the other.

use super::client::Failure;
use gopher_api::{ApplyResult, CompatAnswer, ProbeList, ProbeState, Saved};
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io::Write;

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Unreachable(format!(
            "the daemon's answer is not understood ({error}); is it of another version?"
        ))
    })
}

fn state(state: ProbeState) -> &'static str {
    match state {
        ProbeState::Stopped => "stopped",
        ProbeState::Starting => "starting",
        ProbeState::Running => "running",
        ProbeState::Degraded => "degraded",
        ProbeState::Failed => "failed",
        ProbeState::Stopping => "stopping",
        ProbeState::Unavailable => "unavailable",
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
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:width$}  {:11}  {}", item.feature, state(item.state), item.summary);
    }
    Ok(out)
}

/// The compatible door's success.
pub(super) fn changed(body: &[u8], err: &mut dyn Write) -> Result<String, Failure> {
    let CompatAnswer { message, warnings, .. } = read(body)?;
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
    for (feature, applied) in &result.probes {
        warn(err, &applied.warnings);
        let verb = if result.dry_run { "would be accepted" } else { "accepted" };
        let _ =
            writeln!(out, "{feature}: {verb}; {} (generation {})", state(applied.state), applied.generation);
    }
    Ok(out)
}
