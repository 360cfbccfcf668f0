//! Hostile bytes to a JSON tree. Owns the two liberties of the compatible door (comments, trailing commas),
//! the limits (depth, no duplicate keys, no NUL) and the texts that say where a document is wrong. Leaves the
//! meaning of the document to `parts`, and the `json=` around it to `body`.

mod lexical;

use super::text::shown;
use super::{Path, Problem, Step};
use jsonc_parser::ast;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{ParseOptions, parse_to_ast};
use std::collections::HashSet;

/// Deepest nesting of arrays and objects; the contract's number.
pub const MAX_DEPTH: usize = 64;

/// A JSON value as it was written: members in order, numbers as their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// A string, unescaped; without NUL.
    Text(String),
    /// An array.
    Array(Vec<Node>),
    /// An object; no two members have the same key.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }
}

impl From<&serde_json::Value> for Node {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(v) => Self::Bool(*v),
            serde_json::Value::Number(v) => Self::Number(v.to_string()),
            serde_json::Value::String(v) => Self::Text(v.clone()),
            serde_json::Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                Self::Object(members.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect())
            }
        }
    }
}

/// Which liberties a document may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JSON with comments, trailing commas and tabs inside strings; the first two are reported.
    Lenient,
    /// JSON.
    Strict,
}

/// A document, and the liberties that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The root value.
    pub root: Node,
    /// One sentence for each kind of liberty.
    pub warnings: Vec<String>,
}

/// A place in the text and what is wrong there.
#[derive(Debug)]
struct Fault {
    offset: usize,
    what: String,
}

impl Fault {
    fn new(offset: usize, what: impl Into<String>) -> Self {
        Self { offset, what: what.into() }
    }

    fn problem(self, text: &str, path: Path) -> Problem {
        let before = text.get(..self.offset).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Problem::invalid(path, format!("invalid json format: line {line}, column {column}: {}", self.what))
    }
}

/// Reads a document. Never panics, and needs no more stack than [`MAX_DEPTH`] levels do.
///
/// # Errors
/// A problem that says line, column (in characters) and what was expected there.
pub fn parse(bytes: &[u8], dialect: Dialect) -> Result<Parsed, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        Fault::new(valid.len(), "expected UTF-8").problem(&valid, Path::default())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The depth is checked here, before anything recurses.
    lexical::check(text, dialect).map_err(|fault| fault.problem(text, Path::default()))?;

    let mut options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let mut warnings = Vec::new();
    // A liberty is granted when it is first needed, which is also how its use is noticed: three rounds at most.
    let value = loop {
        let error = match parse_to_ast(text, &Default::default(), &options) {
            Ok(result) => break result.value,
            Err(error) => error,
        };
        match error.kind() {
            ParseErrorKind::CommentsNotAllowed if dialect == Dialect::Lenient && !options.allow_comments => {
                options.allow_comments = true;
                warnings.push("comments are not JSON and were ignored".to_owned());
            }
            ParseErrorKind::TrailingCommasNotAllowed
                if dialect == Dialect::Lenient && !options.allow_trailing_commas =>
            {
                options.allow_trailing_commas = true;
                warnings.push("trailing commas are not JSON and were ignored".to_owned());
            }
            kind => {
                let range = error.range();
                return Err(syntax_fault(text, range.start, range.end, kind).problem(text, Path::default()));
            }
        }
    };
    let value = value.ok_or_else(|| {
        Fault::new(text.len(), "expected a JSON object, found nothing").problem(text, Path::default())
    })?;
    let root = Converter { text, path: Path::default() }.node(value)?;
    Ok(Parsed { root, warnings })
}

/// Where and what: the parser's own words name the mistake, we name what belongs there.
fn syntax_fault(text: &str, start: usize, end: usize, kind: &ParseErrorKind) -> Fault {
    use ParseErrorKind as K;
    let offset = match kind {
        // Their range begins where the object, array or comment does; what is missing is missing at the end.
        K::UnterminatedObject | K::UnterminatedArray | K::UnterminatedCommentBlock => end.min(text.len()),
        _ => start,
    };
    let what = match kind {
        K::ExpectedColonAfterObjectKey => "expected ':' after the key".to_owned(),
        K::ExpectedStringObjectProperty => "expected a key in double quotes".to_owned(),
        K::ExpectedDigit
        | K::ExpectedDigitFollowingNegativeSign
        | K::ExpectedPlusMinusOrDigitInNumberLiteral
        | K::BareDecimalPointNumbersNotAllowed => "expected a digit".to_owned(),
        K::MultipleRootJsonValues => "expected the end of the text".to_owned(),
        K::SingleQuotedStringsNotAllowed => "expected a double quote, found a single one".to_owned(),
        K::CommentsNotAllowed => "expected JSON, which has no comments".to_owned(),
        K::TrailingCommasNotAllowed => "expected no comma before the closing bracket".to_owned(),
        K::UnterminatedObject => "expected ',' or '}'".to_owned(),
        K::UnterminatedArray => "expected ',' or ']'".to_owned(),
        K::UnterminatedCommentBlock => "expected '*/'".to_owned(),
        K::String(jsonc_parser::ParseStringErrorKind::UnterminatedStringLiteral) => {
            "expected a closing double quote for the string that begins here".to_owned()
        }
        K::String(_) => "expected a valid escape sequence".to_owned(),
        _ => format!("expected {}", lexical::expected_at(text, offset)),
    };
    Fault { offset, what }
}

struct Converter<'a> {
    text: &'a str,
    path: Path,
}

impl Converter<'_> {
    fn node(&mut self, value: ast::Value<'_>) -> Result<Node, Problem> {
        Ok(match value {
            ast::Value::NullKeyword(_) => Node::Null,
            ast::Value::BooleanLit(v) => Node::Bool(v.value),
            ast::Value::NumberLit(v) => Node::Number(v.value.to_owned()),
            ast::Value::StringLit(v) => Node::Text(self.string(v)?),
            ast::Value::Array(array) => {
                let mut items = Vec::with_capacity(array.elements.len());
                for (i, element) in array.elements.into_iter().enumerate() {
                    self.path.0.push(Step::Index(i));
                    items.push(self.node(element)?);
                    self.path.0.pop();
                }
                Node::Array(items)
            }
            ast::Value::Object(object) => Node::Object(self.members(object)?),
        })
    }

    fn members(&mut self, object: ast::Object<'_>) -> Result<Vec<(String, Node)>, Problem> {
        let mut members = Vec::with_capacity(object.properties.len());
        let mut seen = HashSet::with_capacity(object.properties.len());
        for property in object.properties {
            let offset = property.range.start;
            let key = match property.name {
                ast::ObjectPropName::String(name) => self.string(name)?,
                ast::ObjectPropName::Word(word) => word.value.to_owned(),
            };
            self.path.0.push(Step::Key(shown(&key)));
            if !seen.insert(key.clone()) {
                let what = format!("duplicate key \"{}\"", shown(&key));
                return Err(Fault::new(offset, what).problem(self.text, self.path.clone()));
            }
            members.push((key, self.node(property.value)?));
            self.path.0.pop();
        }
        Ok(members)
    }

    /// A NUL ends a string in every C program that a name is handed to, so none gets in.
    fn string(&self, literal: ast::StringLit<'_>) -> Result<String, Problem> {
        if literal.value.contains('\0') {
            let fault = Fault::new(literal.range.start, "expected a string without NUL");
            return Err(fault.problem(self.text, self.path.clone()));
        }
        Ok(literal.value.into_owned())
    }
}

#[cfg(test)]
mod tests;
