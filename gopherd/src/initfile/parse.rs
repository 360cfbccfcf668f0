//! Text of probes.init → lines, each with its number, and what is wrong with the others.
//!
//! Owns the grammar: `<feature> <json>`, the first blank separates; blank lines and `#` comments; a line that
//! ends in `\` goes on in the next one, joined without anything between them; CRLF, tabs and a byte order mark
//! are accepted. A bad line never takes another one with it.

use std::ops::Range;

/// Largest text in bytes.
pub const MAX_SIZE: usize = 16 << 20;
/// Longest feature name in bytes; real ones are a third of it.
const MAX_FEATURE: usize = 64;
/// UTF-8's byte order mark, which editors on other systems put in front.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The configuration of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitLine {
    /// Line in the file, from 1; of a continued line the first.
    pub line_no: u32,
    /// The feature as written; names match case-insensitively.
    pub feature: String,
    /// The rest, trimmed at both ends, otherwise as written.
    pub json: String,
}

/// A line that says nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitFault {
    /// Line in the file, from 1.
    pub line_no: u32,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Everything in a file, in its order. A feature may stand there twice; both lines are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The lines that can be used.
    pub lines: Vec<InitLine>,
    /// The others.
    pub faults: Vec<InitFault>,
}

/// Reads the text of probes.init.
pub fn parse(text: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > MAX_SIZE {
        let message = format!("larger than {MAX_SIZE} bytes; nothing of it is used");
        parsed.faults.push(InitFault { line_no: 1, message });
        return parsed;
    }
    for piece in pieces(text) {
        match piece.content {
            Content::Nothing => {}
            Content::Feature { feature, json } => {
                parsed.lines.push(InitLine { line_no: piece.line_no, feature, json });
            }
            Content::Bad(message) => parsed.faults.push(InitFault { line_no: piece.line_no, message }),
        }
    }
    parsed
}

/// A logical line and the bytes that it covers, its line end included.
#[derive(Debug)]
pub(super) struct Piece {
    pub line_no: u32,
    pub range: Range<usize>,
    pub content: Content,
}

/// What a logical line says.
#[derive(Debug)]
pub(super) enum Content {
    /// A comment or blanks.
    Nothing,
    Feature {
        feature: String,
        json: String,
    },
    Bad(String),
}

/// The logical lines that together are all of `text`.
pub(super) fn pieces(text: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut physical = physical_lines(text).peekable();
    let mut line_no: u32 = 0;
    while let Some(first) = physical.next() {
        line_no = line_no.saturating_add(1);
        let start_no = line_no;
        let mut range = first.clone();
        let mut joined = Vec::new();
        let mut line = bytes(text, &first);
        if start_no == 1 {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        let comment = line.trim_ascii_start().starts_with(b"#");
        let mut unfinished = false;
        while let Some(head) = continued(line).filter(|_| !comment) {
            joined.extend_from_slice(head);
            let Some(next) = physical.next() else {
                unfinished = true;
                line = b"";
                break;
            };
            line_no = line_no.saturating_add(1);
            range.end = next.end;
            line = bytes(text, &next);
        }
        joined.extend_from_slice(line);
        let content = match (comment, unfinished) {
            (true, _) => Content::Nothing,
            (_, true) => Content::Bad("the last line ends in `\\`, but nothing follows; remove it".into()),
            _ => content(&joined),
        };
        pieces.push(Piece { line_no: start_no, range, content });
    }
    pieces
}

fn bytes<'t>(text: &'t [u8], range: &Range<usize>) -> &'t [u8] {
    text.get(range.clone()).unwrap_or_default()
}

/// The ranges of the lines of `text`, each with its line end.
fn physical_lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        range
    })
}

/// The line without its `\`, if it goes on in the next one. Blanks after the `\` are invisible, so they do not count.
pub(super) fn continued(line: &[u8]) -> Option<&[u8]> {
    line.trim_ascii_end().strip_suffix(b"\\")
}

fn content(line: &[u8]) -> Content {
    let Ok(line) = std::str::from_utf8(line) else {
        return Content::Bad("not UTF-8; save the file as UTF-8".into());
    };
    let line = line.trim_matches([' ', '\t', '\r', '\n']);
    if line.is_empty() {
        return Content::Nothing;
    }
    let (feature, json) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if feature.len() > MAX_FEATURE
        || !feature.bytes().all(|b| b.is_ascii_graphic())
        || feature.contains(['{', '"'])
    {
        return Content::Bad("does not start with the name of a feature; write `<feature> <json>`".into());
    }
    let json = json.trim_matches([' ', '\t']);
    if json.is_empty() {
        return Content::Bad(format!("{feature} has nothing after it; write `{feature} <json>`"));
    }
    Content::Feature { feature: feature.to_owned(), json: json.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(text: &[u8]) -> Vec<String> {
        let parsed = parse(text);
        let lines = parsed.lines.iter().map(|l| format!("{} {}|{}", l.line_no, l.feature, l.json));
        lines.chain(parsed.faults.iter().map(|f| format!("{} !{}", f.line_no, f.message))).collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let long = format!("tcp {{\"x\":\"{}\"}}\n", "y".repeat(200_000));
        for (text, wanted) in [
            ("", vec![]),
            ("\n \n# tcp {}\n\t# x\\\ntcp {}\n", vec!["5 tcp|{}"]),
            ("tcp {}", vec!["1 tcp|{}"]),
            ("  tcp\t{ \"a\": \"b  c\t\" } \r\nIO {}\r\n", vec!["1 tcp|{ \"a\": \"b  c\t\" }", "2 IO|{}"]),
            ("\u{feff}tcp {}\n", vec!["1 tcp|{}"]),
            ("\u{feff}# x\ntcp {}\n", vec!["2 tcp|{}"]),
            ("tcp {\\\n \"a\":\\  \r\n1}\nio {}\n", vec!["1 tcp|{ \"a\":1}", "4 io|{}"]),
            ("tcp \\\n# {}\n", vec!["1 tcp|# {}"]),
            ("tcp {}\ntcp {\"a\":1}\n", vec!["1 tcp|{}", "2 tcp|{\"a\":1}"]),
            ("tcp json={}\n", vec!["1 tcp|json={}"]),
        ] {
            assert_eq!(flat(text.as_bytes()), wanted, "{text:?}");
        }
        assert_eq!(parse(long.as_bytes()).lines.len(), 1, "no line is too long");
        let many = "tcp {}\n".repeat(10_000);
        assert_eq!(parse(many.as_bytes()).lines.len(), 10_000, "and none is one too many");
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_count() {
        for (text, wanted) in [
            (&b"tcp\nio {}\n"[..], vec!["2 io|{}", "1 !tcp has nothing after it; write `tcp <json>`"]),
            (
                b"{\"a\":1}\nio {}",
                vec!["2 io|{}", "1 !does not start with the name of a feature; write `<feature> <json>`"],
            ),
            (b"tcp \xff\nio {}", vec!["2 io|{}", "1 !not UTF-8; save the file as UTF-8"]),
            (
                b"io {}\ntcp {\\\n",
                vec!["1 io|{}", "2 !the last line ends in `\\`, but nothing follows; remove it"],
            ),
        ] {
            assert_eq!(flat(text), wanted, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(flat(&vec![b' '; MAX_SIZE + 1]), ["1 !larger than 16777216 bytes; nothing of it is used"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_none_are_lost(text in "[a{}\"#\\\\ \t\r\n\u{feff}é]{0,80}|\\PC*") {
            let mut bytes = text.into_bytes();
            let mut end = 0;
            for piece in pieces(&bytes) {
                prop_assert_eq!(piece.range.start, end);
                end = piece.range.end;
            }
            prop_assert_eq!(end, bytes.len());
            bytes.push(0xff);
            parse(&bytes);
        }

        #[test]
        fn a_plain_line_is_read_back(feature in "[a-z_]{1,20}", json in "\\{[ -\\[\\]-~]{0,40}\\}") {
            let parsed = parse(format!("{feature} {json}\n").as_bytes());
            prop_assert_eq!(parsed.faults, vec![]);
            prop_assert_eq!(&parsed.lines, &[InitLine { line_no: 1, feature, json }]);
        }
    }
}
