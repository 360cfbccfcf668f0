//! What the two dialects accept, and the texts of their refusals.

use super::{Dialect, MAX_DEPTH, Node, Parsed, parse};
use proptest::prelude::*;

fn lenient(text: &str) -> Result<Parsed, String> {
    parse(text.as_bytes(), Dialect::Lenient).map_err(|problem| problem.message)
}

fn strict(text: &str) -> Result<Parsed, String> {
    parse(text.as_bytes(), Dialect::Strict).map_err(|problem| problem.message)
}

#[test]
fn a_refusal_says_line_and_column_and_what_was_expected_there() {
    let cases = [
        ("", "line 1, column 1: expected a JSON object, found nothing"),
        ("  \n ", "line 2, column 2: expected a JSON object, found nothing"),
        ("{", "line 1, column 2: expected ',' or '}'"),
        ("[", "line 1, column 2: expected ',' or ']'"),
        ("{\"a\"", "line 1, column 5: expected ':' after the key"),
        ("{\"a\" 1}", "line 1, column 6: expected ':' after the key"),
        ("{\"a\":}", "line 1, column 6: expected a value"),
        ("{\"a\":", "line 1, column 6: expected a value"),
        ("{\n  \"a\": 1\n  \"b\": 2\n}", "line 2, column 9: expected ',' or '}'"),
        ("{\"a\": {} {}}", "line 1, column 10: expected ',' or '}'"),
        ("[{} {}]", "line 1, column 4: expected ',' or ']'"),
        ("[1 [2]]", "line 1, column 3: expected ',' or ']'"),
        ("[1}", "line 1, column 3: expected ',' or ']'"),
        ("{\"a\": nope}", "line 1, column 7: expected a value"),
        ("{a: 1}", "line 1, column 2: expected a key in double quotes"),
        ("{,}", "line 1, column 2: expected a key in double quotes or '}'"),
        ("{\"a\":1,,}", "line 1, column 8: expected a key in double quotes"),
        ("[1,,]", "line 1, column 4: expected a value"),
        ("[,]", "line 1, column 2: expected a value or ']'"),
        ("{'a':1}", "line 1, column 2: expected a double quote, found a single one"),
        ("{\"a", "line 1, column 2: expected a closing double quote for the string that begins here"),
        ("{\"a\":\"\\x\"}", "line 1, column 7: expected a valid escape sequence"),
        ("\"\\ud800\"", "line 1, column 2: expected a valid escape sequence"),
        ("{} x", "line 1, column 4: expected the end of the text"),
        ("{} {}", "line 1, column 4: expected the end of the text"),
        ("}", "line 1, column 1: expected a JSON object"),
        ("[01]", "line 1, column 3: expected ',' or ']'"),
        ("[-]", "line 1, column 3: expected a digit"),
        ("[1.]", "line 1, column 2: expected a digit"),
        ("[.5]", "line 1, column 2: expected a digit"),
        ("[1e]", "line 1, column 4: expected a digit"),
        ("[+1]", "line 1, column 2: expected a value or ']'"),
        ("[0x1]", "line 1, column 2: expected a value or ']'"),
        ("[NaN]", "line 1, column 2: expected a value or ']'"),
        ("{} /*", "line 1, column 6: expected '*/'"),
        ("{} /*/", "line 1, column 7: expected '*/'"),
        ("{\"ä\":1 é}", "line 1, column 8: expected JSON, found a character that it has only in strings"),
        ("{\"a\":\"b\nc\"}", "line 1, column 8: expected a closing double quote before the end of the line"),
        (
            "{\"a\":\"b\u{1}c\"}",
            "line 1, column 8: expected an escape such as \\u0001 for a control character",
        ),
        ("{\u{b}}", "line 1, column 2: expected JSON, found a character that it has only in strings"),
        ("{}\0garbage", "line 1, column 3: expected text without NUL bytes"),
        ("{\"a\":\"\\u0000\"}", "line 1, column 6: expected a string without NUL"),
        ("{\"a\":1, // \n\"a\":2}", "line 2, column 1: duplicate key \"a\""),
    ];
    for (text, expected) in cases {
        assert_eq!(lenient(text), Err(format!("invalid json format: {expected}")), "{text:?}");
    }
}

#[test]
fn comments_and_trailing_commas_are_accepted_and_each_reported_once_in_the_lenient_dialect_only() {
    let text = "{ // one\n /* two */ \"a\": [1, 2,], /*/ three */ \"b\": \"// no * / comment\",\n}";
    let parsed = lenient(text).unwrap();
    assert_eq!(
        parsed.warnings,
        ["comments are not JSON and were ignored", "trailing commas are not JSON and were ignored"]
    );
    assert_eq!(parsed.root.get("b"), Some(&Node::Text("// no * / comment".into())));
    assert_eq!(
        strict(text),
        Err("invalid json format: line 1, column 3: expected JSON, which has no comments".into())
    );
    assert_eq!(
        strict("[1,]"),
        Err("invalid json format: line 1, column 3: expected no comma before the closing bracket".into())
    );
    assert_eq!(lenient("[1,]").unwrap().warnings.len(), 1);
    assert_eq!(lenient("{\"a\":\"x\ty\"}").unwrap().root.get("a"), Some(&Node::Text("x\ty".into())));
    assert!(strict("{\"a\":\"x\ty\"}").is_err());
}

#[test]
fn a_duplicate_key_is_named_with_its_path_at_any_level() {
    let problem =
        parse(br#"{"snoopers":{"proc_name":[{"comm":"a","comm":"b"}]}}"#, Dialect::Lenient).unwrap_err();
    assert_eq!(problem.path.to_string(), "snoopers.proc_name[0].comm");
    assert_eq!(problem.message, "invalid json format: line 1, column 39: duplicate key \"comm\"");
    assert!(strict(r#"{"a":1,"\u0061":2}"#).unwrap_err().contains("duplicate key \"a\""), "unescaped first");
}

#[test]
fn sixty_four_levels_are_read_and_a_million_are_refused_without_recursing() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(lenient(&nested(MAX_DEPTH)).is_ok());
    let deep = "invalid json format: line 1, column 65: nested deeper than 64 levels".to_owned();
    assert_eq!(lenient(&nested(MAX_DEPTH + 1)), Err(deep.clone()));
    assert_eq!(lenient(&"[".repeat(1_000_000)), Err(deep));
    assert!(lenient(&"{\"a\":".repeat(200_000)).unwrap_err().ends_with("nested deeper than 64 levels"));
    let text = format!("{{\"a\":\"{}\"}}", "[".repeat(1000));
    assert!(lenient(&text).is_ok(), "brackets in a string are no nesting");
}

#[test]
fn numbers_keep_their_text_and_strings_are_unescaped() {
    let text = r#"[18446744073709551616, 1e400, -0, 5.50, "\ud83d\ude00\/\n"]"#;
    let Node::Array(items) = strict(text).unwrap().root else { panic!("an array") };
    let number = |text: &str| Node::Number(text.to_owned());
    assert_eq!(items[..4], [number("18446744073709551616"), number("1e400"), number("-0"), number("5.50")]);
    assert_eq!(items[4], Node::Text("😀/\n".into()));
}

#[test]
fn a_byte_order_mark_is_skipped_and_broken_utf_8_is_refused_where_it_is() {
    assert!(parse("\u{feff}{}".as_bytes(), Dialect::Strict).is_ok());
    let problem = parse(b"{\n\"state\":\"\xff\xfe\"}", Dialect::Lenient).unwrap_err();
    assert_eq!(problem.message, "invalid json format: line 2, column 10: expected UTF-8");
}

fn without_duplicates(node: &Node) -> serde_json::Value {
    match node {
        Node::Null => serde_json::Value::Null,
        Node::Bool(v) => (*v).into(),
        Node::Number(v) => serde_json::from_str(v).unwrap(),
        Node::Text(v) => v.clone().into(),
        Node::Array(v) => v.iter().map(without_duplicates).collect(),
        Node::Object(v) => v.iter().map(|(key, v)| (key.clone(), without_duplicates(v))).collect(),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, Dialect::Lenient);
        let _ = parse(&bytes, Dialect::Strict);
    }

    #[test]
    fn the_strict_dialect_accepts_what_an_independent_parser_does(
        text in r#"([\[\]{},: \n\t\\"a0e.+/*'-]|"a"|"b":|\[|\]|\{|\}|true|null|1|-0\.5e3|\\u00e9){0,12}"#
    ) {
        let oracle = serde_json::from_str::<serde_json::Value>(&text);
        match (strict(&text), oracle) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(without_duplicates(&ours.root), theirs),
            (Err(message), Ok(_)) => prop_assert!(message.contains("duplicate key"), "{} {}", text, message),
            (Ok(_), Err(error)) => prop_assert!(false, "{} {}", text, error),
            (Err(_), Err(_)) => {}
        }
    }
}
