//! Text that others wrote, made harmless for a terminal: a process may name itself with the bytes that clear
//! the screen, change its title or turn the reading direction round.
//!
//! A character that would act is shown as `\u001b`, which in JSON means the same character.

use std::borrow::Cow;
use std::fmt::Write as _;

/// More bytes without an end of line are not waited for.
const MAX_LINE: usize = 1 << 20;

/// Acts on a terminal instead of being shown.
fn acts(c: char) -> bool {
    // Marks, embeddings and isolates of reading direction, and the two separators of Unicode.
    let bidi =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidi
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| acts(c) && !keep(c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// For one place in a line: ends of lines are escaped too.
pub(super) fn inline(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// For several lines.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n')
}

/// A stream of text, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// An end that may be a part of a character.
    rest: Vec<u8>,
}

impl Stream {
    /// What can be shown after `piece` has come.
    pub(super) fn push(&mut self, piece: &[u8]) -> String {
        self.rest.extend_from_slice(piece);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = if end == 0 && self.rest.len() > MAX_LINE { self.rest.len() } else { end };
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        shown(&whole)
    }

    /// What is left at the end.
    pub(super) fn finish(self) -> String {
        shown(&self.rest)
    }
}

fn shown(bytes: &[u8]) -> String {
    escape(&String::from_utf8_lossy(bytes), |c| c == '\n' || c == '\t').into_owned()
}

/// What holds of any stream: it shows the same wherever its pieces end, and nothing that acts.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let mut stream = Stream::default();
    let mut shown: String = bytes.chunks(5).map(|piece| stream.push(piece)).collect();
    shown += &stream.finish();
    assert_eq!(shown, self::shown(bytes));
    harmless(&shown);
}

/// Panics if `text` acts on a terminal.
#[cfg(any(test, feature = "testing"))]
pub(super) fn harmless(text: &str) {
    let bad = text.chars().find(|c| acts(*c) && !matches!(c, '\n' | '\t'));
    assert_eq!(bad, None, "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_instead() {
        assert_eq!(inline("plain äé 漢"), "plain äé 漢");
        assert_eq!(inline("\x1b[2Jx\r\n\t\x7f\u{9b}1m"), "\\u001b[2Jx\\u000d\\u000a\\u0009\\u007f\\u009b1m");
        assert_eq!(inline("a\u{202e}b\u{2066}"), "a\\u202eb\\u2066");
        assert_eq!(lines("a\nb\x07"), "a\nb\\u0007");
    }

    #[test]
    fn an_escaped_document_means_the_same() {
        let text = "{\"a\":\"\u{9b}\u{7f}\"}";
        let escaped = lines(text);
        assert_ne!(escaped, text);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&escaped), read(text));
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_it_shows_the_same_and_nothing_that_acts(
            text in "(\\PC|[\x00-\x1f\x7f\u{80}-\u{9f}\n]){0,60}",
            size in 1usize..7,
        ) {
            let mut stream = Stream::default();
            let mut out = String::new();
            for piece in text.as_bytes().chunks(size) {
                out += &stream.push(piece);
            }
            out += &stream.finish();
            prop_assert_eq!(&out, &shown(text.as_bytes()));
            prop_assert!(!out.chars().any(|c| acts(c) && c != '\n' && c != '\t'));
        }
    }
}
