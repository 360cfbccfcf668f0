//! What the libconfig reader takes, what it refuses and where it says so.

use super::*;
use proptest::prelude::*;

/// The tree without lines, written compactly, so that a table of cases can be read.
fn flat(entries: &[Entry]) -> String {
    entries.iter().map(|e| format!("{}={}", e.key, flat_node(&e.item.node))).collect::<Vec<_>>().join(" ")
}

fn flat_node(node: &Node) -> String {
    match node {
        Node::Text(text) => format!("{text:?}"),
        Node::List(items) => {
            format!("[{}]", items.iter().map(|i| flat_node(&i.node)).collect::<Vec<_>>().join(","))
        }
        Node::Table(entries) => format!("{{{}}}", flat(entries)),
        Node::Bool(b) => b.to_string(),
        Node::Int(i) => i.to_string(),
        Node::Float(f) => format!("{f:?}"),
        Node::Other(what) => (*what).to_owned(),
    }
}

#[test]
fn every_form_of_the_grammar_is_read() {
    for (text, wanted) in [
        ("", ""),
        ("a = 1;", "a=1"),
        ("a : 1, b = 2", "a=1 b=2"),
        ("a = TRUE b = False", "a=true b=false"),
        (
            "a = 0x1F; b = 12L; c = 34LL; d = -5; e = +6; f = 0b101; g = 0o17",
            "a=31 b=12 c=34 d=-5 e=6 f=5 g=15",
        ),
        ("a = 1.5; b = -2e3; c = .5;", "a=1.5 b=-2000.0 c=0.5"),
        ("a = \"x\\n\\t\\\"\\\\\\x41\\q\";", "a=\"x\\n\\t\\\"\\\\A\\\\q\""),
        ("a = \"one \" /* and */ \"two\"\n  \"three\";", "a=\"one twothree\""),
        ("a = { b = [1, 2, ]; c = ( \"x\", { d = 1; }, ); };", "a={b=[1,2] c=[\"x\",{d=1}]}"),
        ("# one\n// two\n/* three\n * four */ a = 1; # five", "a=1"),
        ("\u{feff}a = 1\r\nb = 2\r\n", "a=1 b=2"),
        ("a-b_c* = ();", "a-b_c*=[]"),
        ("a = \"h\\xc3\\xa9\"", "a=\"hé\""),
    ] {
        assert_eq!(parse(text).map(|entries| flat(&entries)).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn lines_are_those_of_names_and_values() {
    let entries = parse("\n\na =\n  { b = 1;\n    c = 2; };\n").expect("parses");
    assert_eq!((entries[0].line, entries[0].item.line), (3, 4));
    let Node::Table(inner) = &entries[0].item.node else { panic!("a is a table") };
    assert_eq!((inner[0].line, inner[1].line), (4, 5));
}

#[test]
fn every_error_names_its_line_and_what_was_expected() {
    for (text, line, problem) in [
        ("a 1", 1, "`1` stands where `=` or `:` after the name `a` is expected"),
        ("a =", 1, "the file ends where a value is expected"),
        ("a = ;", 1, "`;` stands where a value is expected"),
        ("\na = {\n b = 1;", 3, "the end of the file stands where `}` is expected (opened on line 2)"),
        ("a = [1 2]", 1, "`2` stands where `]` is expected (opened on line 1)"),
        ("a = \"x", 1, "a string without a closing quote"),
        ("\n/* x", 2, "`/*` without `*/`"),
        ("a = 1;\na = 2;", 2, "`a` stands here a second time"),
        ("a = maybe;", 1, "`maybe` is no value: write a number, true, false or a text in quotes"),
        (
            "a = 99999999999999999999;",
            1,
            "`99999999999999999999` is no value: write a number, true, false or a text in quotes",
        ),
        ("a = 1; }", 1, "`}` stands where a setting's name is expected"),
        ("@include \"x\"", 1, "`@include` is not supported; put everything into one file"),
        ("1a = 1;", 1, "`1a` is no name: a name starts with a letter"),
        ("a = \"\\xff\";", 1, "the escapes in this string are not UTF-8"),
        ("a = 0x-1;", 1, "`0x-1` is no value: write a number, true, false or a text in quotes"),
        ("é = 1;", 1, "the byte 0xc3 stands where a setting's name is expected"),
    ] {
        assert_eq!(parse(text), Err(SyntaxError { line, problem: problem.into() }), "{text}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| format!("a = {}{};", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&nested(MAX_DEPTH + 1)).map_err(|e| e.problem), Err("nested deeper than 64".into()));
    assert!(parse(&"(".repeat(100_000)).is_err());
    assert!(parse(&" ".repeat(MAX_SIZE + 1)).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[a-c={}\\[\\]();:,\"\\\\#/*@ 0-9xL.\n-]{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_survives_being_quoted(text in any::<String>()) {
        let quoted: String = text.chars().flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c => vec![c],
        }).collect();
        let entries = parse(&format!("a = \"{quoted}\";")).expect("a quoted text parses");
        prop_assert_eq!(&entries[0].item.node, &Node::Text(text));
    }
}
