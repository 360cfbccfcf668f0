//! What the administrator hands over: an argument, a file, standard input.

use super::failure::Failure;
use std::fs::File;
use std::io::{self, Read};

/// The daemon takes 1 MiB; one byte more lets it say so.
const MAX: u64 = (1 << 20) + 1;

/// The text itself, what is in FILE for `@FILE`, or standard input for `-`.
pub(super) fn text(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(name) => file(name),
        None if text == "-" => stdin(),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// What is in the file, or standard input for `-`. A pipe is fine: shells make one for `<(…)`.
pub(super) fn file(name: &str) -> Result<Vec<u8>, Failure> {
    if name == "-" {
        return stdin();
    }
    let opened = File::open(name).and_then(limited);
    opened.map_err(|error| Failure::Input(format!("{name}: {error}")))
}

fn stdin() -> Result<Vec<u8>, Failure> {
    limited(io::stdin().lock()).map_err(|error| Failure::Input(format!("standard input: {error}")))
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
