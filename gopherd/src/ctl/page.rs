//! Where results and remarks go. Owns that nothing of another's text acts on a terminal.

use super::clean;
use super::failure::Failure;
use super::look::Look;
use serde::de::DeserializeOwned;
use std::io::Write;

/// The two streams, and how the first one looks.
pub(super) struct Page<'a> {
    pub(super) look: Look,
    /// The daemon's documents instead of text for people.
    pub(super) json: bool,
    pub(super) out: &'a mut dyn Write,
    pub(super) err: &'a mut dyn Write,
}

impl Page<'_> {
    /// A result that is made harmless already.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// The daemon's document as it is; where somebody looks at it, only as far as it is harmless.
    pub(super) fn document(&mut self, body: &[u8]) -> Result<(), Failure> {
        if self.look.terminal {
            let text = String::from_utf8_lossy(body);
            return self.text(&clean::lines(&text));
        }
        self.out.write_all(body)?;
        Ok(self.out.flush()?)
    }

    /// The daemon's document, as it is or as `show` tells it.
    pub(super) fn result<T: DeserializeOwned>(
        &mut self,
        body: &[u8],
        show: impl FnOnce(&mut Self, T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.document(body);
        }
        let text = show(self, read(body)?);
        self.text(&text)
    }

    /// What was not done as written.
    pub(super) fn warn(&mut self, warnings: &[String]) {
        for warning in warnings {
            // A warning that nobody can read is no reason to fail what was done.
            let _ = writeln!(self.err, "warning: {}", clean::inline(warning));
        }
    }
}

/// The document as its type.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Unreachable(format!(
            "the daemon's answer is not understood ({error}); is it of another version?"
        ))
    })
}
