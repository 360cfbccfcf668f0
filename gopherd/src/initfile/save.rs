//! The current set of probes → the new text of probes.init, which keeps what the operator wrote.
//!
//! Owns the merge of old text and new lines. Leaves the JSON to the caller and the writing to `atomic`.

use super::parse::{BOM, Content, Piece, continued, pieces};

/// The new text. `current` has every feature that the daemon knows something about: its JSON, or `None` for
/// one that was forgotten. Their lines are replaced where they stand (a feature that stands there twice
/// becomes one line, at the first place) or removed; those that do not stand there are added at the end.
/// Comments, blank lines, lines of other features and lines that cannot be read stay byte for byte.
pub fn render(old: &[u8], current: &[(String, Option<String>)]) -> Vec<u8> {
    let pieces = pieces(old);
    let first = pieces.first().and_then(|piece| old.get(piece.range.clone())).unwrap_or_default();
    // Also where the only line ends in a mere carriage return: it must be the same at the next save.
    let windows = first.strip_suffix(b"\n").unwrap_or(first).ends_with(b"\r");
    let line_end: &[u8] = if windows { b"\r\n" } else { b"\n" };
    let mut out = Vec::with_capacity(old.len());
    let mut written = vec![false; current.len()];
    for piece in &pieces {
        let Some(index) = current.iter().position(|(feature, _)| stands_in(piece, feature)) else {
            out.extend_from_slice(old.get(piece.range.clone()).unwrap_or_default());
            continue;
        };
        if let (Some((feature, json)), Some(written)) = (current.get(index), written.get_mut(index)) {
            if !*written {
                // A byte order mark in front of the first line is not the line's.
                if piece.range.start == 0 && old.starts_with(BOM) {
                    out.extend_from_slice(BOM);
                }
                line(&mut out, feature, json.as_deref(), line_end);
            }
            *written = true;
        }
    }
    // A last line that goes on in a line that is not there stays the last one: behind it anything, be it an empty line,
    // would make another line of it.
    let open = pieces.last().filter(|last| unfinished(last, old)).map_or(&[][..], |last| {
        let text = old.get(last.range.clone()).unwrap_or_default();
        if last.range.start == 0 { text.strip_prefix(BOM).unwrap_or(text) } else { text }
    });
    out.truncate(out.len() - open.len());
    for ((feature, json), written) in current.iter().zip(written) {
        if !written && json.is_some() {
            if !out.is_empty() && out != BOM && !out.ends_with(b"\n") {
                out.extend_from_slice(line_end);
            }
            line(&mut out, feature, json.as_deref(), line_end);
        }
    }
    out.extend_from_slice(open);
    out
}

fn stands_in(piece: &Piece, feature: &str) -> bool {
    matches!(&piece.content, Content::Feature { feature: there, .. } if there.eq_ignore_ascii_case(feature))
}

/// Whether the last of the piece's lines says that another one follows.
fn unfinished(piece: &Piece, text: &[u8]) -> bool {
    let text = text.get(piece.range.clone()).unwrap_or_default();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(piece.content, Content::Bad(_)) && continued(last).is_some()
}

fn line(out: &mut Vec<u8>, feature: &str, json: Option<&str>, line_end: &[u8]) {
    let Some(json) = json else { return };
    out.extend_from_slice(feature.as_bytes());
    out.push(b' ');
    // Outside of strings a line end is a blank to JSON, and inside of them it cannot stand.
    out.extend(json.trim().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.extend_from_slice(line_end);
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    fn rendered(old: &str, current: &[(&str, Option<&str>)]) -> String {
        let current: Vec<_> =
            current.iter().map(|(f, j)| ((*f).to_owned(), j.map(ToOwned::to_owned))).collect();
        String::from_utf8(render(old.as_bytes(), &current)).expect("text")
    }

    #[test]
    fn lines_are_replaced_where_they_stand_and_the_rest_is_kept() {
        let old = "# mine\n\nTCP {\"a\":1}\nfuture {x}\n  bad\nio {\\\n}\ntcp {\"b\":2}\n# end";
        let new = rendered(old, &[("io", Some("{\"c\":3}")), ("tcp", Some("{}")), ("proc", Some("{\n}"))]);
        assert_eq!(new, "# mine\n\ntcp {}\nfuture {x}\n  bad\nio {\"c\":3}\n# end\nproc { }\n");
    }

    #[test]
    fn a_forgotten_feature_loses_its_line() {
        assert_eq!(rendered("a {}\ntcp {}\nb {}\n", &[("tcp", None), ("x", None)]), "a {}\nb {}\n");
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_stay() {
        let old = "\u{feff}tcp {}\r\nx {}\r\n";
        assert_eq!(
            rendered(old, &[("tcp", Some("{\"a\":1}")), ("io", Some("{}"))]),
            "\u{feff}tcp {\"a\":1}\r\nx {}\r\nio {}\r\n"
        );
    }

    #[test]
    fn a_lone_carriage_return_is_saved_the_same_way_twice() {
        let once = rendered(",\r", &[("tcp", Some("{}"))]);
        assert_eq!(rendered(&once, &[("tcp", Some("{}"))]), once);
    }

    #[test]
    fn a_last_line_that_goes_on_swallows_nothing_and_stays_what_it_is() {
        assert_eq!(rendered("x {\\", &[("io", Some("{}"))]), "io {}\nx {\\");
        assert_eq!(rendered("# y\nx {\\\n", &[("io", Some("{}"))]), "# y\nio {}\nx {\\\n");
        assert_eq!(rendered("\u{feff}x {\\", &[("io", Some("{}"))]), "\u{feff}io {}\nx {\\");
        // It went on, in a line of blanks.
        assert_eq!(rendered("x {\\\n  \n", &[("io", Some("{}"))]), "x {\\\n  \nio {}\n");
        // Nothing is added: with a line end it could be read, and would take effect at the next start.
        assert_eq!(rendered("tcp {} \\", &[]), "tcp {} \\");
    }

    #[test]
    fn nothing_to_save_into_nothing_is_nothing() {
        assert_eq!(rendered("", &[]), "");
        assert_eq!(rendered("", &[("tcp", Some("{}"))]), "tcp {}\n");
    }

    proptest! {
        #[test]
        fn what_was_saved_is_read_back_and_saving_again_changes_nothing(
            old in "([a-c] \\{\\}|# x|  |\\PC{0,10}|\\\\|bad)(\r?\n([a-c] \\{\\}|# x|  |\\PC{0,10}|bad\\\\)){0,8}\n?",
            values in proptest::collection::vec(0..100_u32, 3),
        ) {
            let current: Vec<(String, Option<String>)> = ["a", "b", "c"]
                .iter()
                .zip(values)
                .map(|(f, v)| ((*f).to_owned(), Some(format!("{{\"v\":{v}}}"))))
                .collect();
            let new = render(old.as_bytes(), &current);
            let parsed = parse(&new);
            for (feature, json) in &current {
                let lines: Vec<_> = parsed.lines.iter().filter(|l| &l.feature == feature).collect();
                prop_assert_eq!(lines.iter().map(|line| &line.json).collect::<Vec<_>>(), json.iter().collect::<Vec<_>>());
            }
            prop_assert_eq!(render(&new, &current), new);
        }
    }
}
