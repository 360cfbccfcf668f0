//! One pass over the bytes before anything recurses: nesting depth, control characters, and characters that
//! no token has. Also says what belongs at a place where the parser stopped.

use super::{Dialect, Fault, MAX_DEPTH};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Between,
    Text,
    Escape,
    Line,
    /// With the place of its opening slash.
    Block(usize),
}

/// What was seen before a place.
#[derive(Default)]
struct Seen {
    /// The last byte outside blanks and comments.
    last: Option<u8>,
    /// The byte that opened the innermost array or object.
    inside: Option<u8>,
}

/// Refuses text that is too deep or has bytes which JSON does not have. `Ok` does not mean well-formed.
pub(super) fn check(text: &str, dialect: Dialect) -> Result<(), Fault> {
    walk(text, dialect).map(|_| ())
}

/// What belongs at `offset`, where the parser found something else.
pub(super) fn expected_at(text: &str, offset: usize) -> &'static str {
    let seen = text.get(..offset).and_then(|before| walk(before, Dialect::Lenient).ok()).unwrap_or_default();
    match (seen.last, seen.inside) {
        (None, _) => "a JSON object",
        (Some(b'{'), _) => "a key in double quotes or '}'",
        (Some(b','), Some(b'{')) => "a key in double quotes",
        (Some(b'['), _) => "a value or ']'",
        (Some(b',' | b':'), _) => "a value",
        (_, Some(b'{')) => "',' or '}'",
        (_, Some(_)) => "',' or ']'",
        (_, None) => "the end of the text",
    }
}

fn walk(text: &str, dialect: Dialect) -> Result<Seen, Fault> {
    let bytes = text.as_bytes();
    let mut state = State::Between;
    let mut open = Vec::with_capacity(MAX_DEPTH);
    let mut last = None;
    for (i, &b) in bytes.iter().enumerate() {
        let next = bytes.get(i + 1).copied();
        if b == 0 {
            return Err(Fault::new(i, "expected text without NUL bytes"));
        }
        state = match state {
            State::Between => match b {
                b'"' => State::Text,
                b'/' if next == Some(b'/') => State::Line,
                b'/' if next == Some(b'*') => State::Block(i),
                b'{' | b'[' => {
                    if open.len() == MAX_DEPTH {
                        return Err(Fault::new(i, format!("nested deeper than {MAX_DEPTH} levels")));
                    }
                    open.push(b);
                    State::Between
                }
                b'}' | b']' => {
                    open.pop();
                    State::Between
                }
                b'\t' | b'\n' | b'\r' | b' '..=b'~' => State::Between,
                _ => {
                    return Err(Fault::new(
                        i,
                        "expected JSON, found a character that it has only in strings",
                    ));
                }
            },
            State::Text => match b {
                b'\\' => State::Escape,
                b'"' => State::Between,
                b'\t' if dialect == Dialect::Lenient => State::Text,
                b'\n' | b'\r' => {
                    return Err(Fault::new(i, "expected a closing double quote before the end of the line"));
                }
                0..0x20 => {
                    return Err(Fault::new(i, "expected an escape such as \\u0001 for a control character"));
                }
                _ => State::Text,
            },
            State::Escape => State::Text,
            State::Line if matches!(b, b'\n' | b'\r') => State::Between,
            // `/*/` is not closed: the star must not be the opening one.
            State::Block(start) if b == b'/' && i >= start + 3 && bytes.get(i - 1) == Some(&b'*') => {
                State::Between
            }
            State::Line | State::Block(_) => state,
        };
        let comment =
            matches!(state, State::Line | State::Block(_)) || (b == b'/' && state == State::Between);
        if !comment && !b.is_ascii_whitespace() {
            last = Some(b);
        }
    }
    Ok(Seen { last, inside: open.last().copied() })
}
