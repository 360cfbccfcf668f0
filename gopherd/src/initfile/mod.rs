//! probes.init: the probes to start with, one feature a line.
//!
//! Owns the file's format, both ways: text → lines and faults, and the current set → text that keeps what the
//! operator wrote. Leaves the meaning of the JSON to the doors, and reading and writing the file to the caller
//! ([`crate::atomic`] writes it).

mod parse;
mod save;

pub use parse::{InitFault, InitLine, MAX_SIZE, Parsed, parse};
pub use save::render;
