//! The daemon's documents for people. Pure: from a document and how the output looks to text in which nothing
//! acts on a terminal.

mod changes;
mod explain;
mod host;
mod list;
mod spool;
mod targets;

pub(super) use changes::{applied, would_change};
pub(super) use explain::explain;
pub(super) use host::{capabilities, ready};
pub(super) use list::list;
pub(super) use spool::{purged, spool};
pub(super) use targets::targets;

use super::look::{Look, Tone};
use super::table::Cell;
use gopher_api::ProbeState;

/// A state's word and what it means.
pub(super) fn state(state: ProbeState) -> (&'static str, Tone) {
    match state {
        ProbeState::Stopped => ("stopped", Tone::Plain),
        ProbeState::Starting => ("starting", Tone::Warn),
        ProbeState::Running => ("running", Tone::Good),
        ProbeState::Degraded => ("degraded", Tone::Warn),
        ProbeState::Failed => ("failed", Tone::Bad),
        ProbeState::Stopping => ("stopping", Tone::Warn),
        ProbeState::Unavailable => ("unavailable", Tone::Dim),
    }
}

pub(super) fn state_cell(of: ProbeState) -> Cell {
    let (word, tone) = state(of);
    Cell::toned(tone, word)
}

fn painted(look: &Look, of: ProbeState) -> String {
    let (word, tone) = state(of);
    look.paint(tone, word)
}
