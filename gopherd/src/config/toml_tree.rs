//! TOML text → the neutral tree.
//!
//! Owns nothing but the translation; the grammar, its bounds and its positions are the `toml` crate's.

use super::tree::{Entry, Item, Lines, Node, SyntaxError};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Largest text in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Most syntax errors that are listed; after so many the text is not TOML at all.
const MAX_ERRORS: usize = 50;

/// Reads a whole file, or lists every place that is not TOML.
pub fn parse(text: &str) -> Result<Vec<Entry>, Vec<SyntaxError>> {
    if text.len() > MAX_SIZE {
        return Err(vec![SyntaxError { line: 1, problem: format!("larger than {MAX_SIZE} bytes") }]);
    }
    let lines = Lines::of(text.as_bytes());
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(entries(&lines, table.get_ref()));
    }
    let mut errors: Vec<SyntaxError> = errors
        .iter()
        .map(|error| {
            let line = lines.at(error.span().map_or(0, |span| span.start));
            SyntaxError { line, problem: format!("not TOML: {}", error.message()) }
        })
        .collect();
    errors.sort_by_key(|error| error.line);
    errors.truncate(MAX_ERRORS);
    Err(errors)
}

/// The entries in the order of the file; the crate gives them in the order of their names.
fn entries(lines: &Lines, table: &DeTable<'_>) -> Vec<Entry> {
    let mut sorted: Vec<_> = table.iter().collect();
    sorted.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        Entry { key: name.to_string(), line: lines.at(key.span().start), item: item(lines, value) }
    };
    sorted.into_iter().map(entry).collect()
}

fn item(lines: &Lines, value: &Spanned<DeValue<'_>>) -> Item {
    let node = match value.get_ref() {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(int) => whole(int),
        DeValue::Float(float) => float.as_str().parse().map_or(Node::Other("a number"), Node::Float),
        DeValue::Boolean(value) => Node::Bool(*value),
        DeValue::Datetime(_) => Node::Other("a date"),
        DeValue::Array(items) => Node::List(items.iter().map(|value| item(lines, value)).collect()),
        DeValue::Table(table) => Node::Table(entries(lines, table)),
    };
    Item { line: lines.at(value.span().start), node }
}

fn whole(int: &DeInteger<'_>) -> Node {
    i64::from_str_radix(int.as_str(), int.radix()).map_or(Node::Other("a number beyond 64 bits"), Node::Int)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_come_in_the_order_of_the_file_with_their_lines() {
        let tree = parse("b = 0x10\n\n[a]\nz = 1_000\ny = [\n 1,\n 2]\n").expect("parses");
        let lines: Vec<(&str, u32)> = tree.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(lines, [("b", 1), ("a", 3)]);
        assert_eq!(tree[0].item.node, Node::Int(16));
        let Node::Table(a) = &tree[1].item.node else { panic!("a is a table") };
        assert_eq!((a[0].key.as_str(), a[0].line, &a[0].item.node), ("z", 4, &Node::Int(1000)));
        let Node::List(y) = &a[1].item.node else { panic!("y is a list") };
        assert_eq!((y[0].line, y[1].line), (6, 7));
    }

    #[test]
    fn every_place_that_is_not_toml_is_listed() {
        let errors = parse("a = \nb = 1\nc 3\nd = 2\n").expect_err("is not TOML");
        assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 3]);
        assert!(parse(&"x".repeat(MAX_SIZE + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[a-c={}\\[\\].,\"'\\\\# 0-9x\n_-]{0,200}") {
            let _ = parse(&text);
        }
    }
}
