//! The libconfig grammar: gala-gopher's `.conf` files and the `.meta` files of extension probes.
//!
//! Owns text → [`Entry`] list, bounded in size and depth, the first error with its line. Leaves the meaning
//! to whoever reads the tree. The crates that exist were looked at: one keeps no positions, knows no comments
//! and recurses without a bound, the other has not been maintained since 2016; so this is ours.
//!
//! Accepted beyond the original: trailing commas and underscores at the start of a name. Not accepted:
//! `@include`, because one file is one configuration.

use super::tree::{Entry, Item, Node, SyntaxError};

/// Largest text in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Deepest nesting of groups, arrays and lists.
pub const MAX_DEPTH: usize = 64;

/// Reads a whole file: the settings of its root group.
pub fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    if text.len() > MAX_SIZE {
        return Err(SyntaxError { line: 1, problem: format!("larger than {MAX_SIZE} bytes") });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { rest: text.as_bytes(), line: 1 };
    let settings = parser.settings(0)?;
    match parser.peek() {
        None => Ok(settings),
        Some(byte) => Err(parser.error(format!("{} stands where a setting's name is expected", named(byte)))),
    }
}

struct Parser<'t> {
    rest: &'t [u8],
    line: u32,
}

impl<'t> Parser<'t> {
    fn error(&self, problem: impl Into<String>) -> SyntaxError {
        SyntaxError { line: self.line, problem: problem.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *first == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(*first)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.bump();
        }
        there
    }

    /// Takes the longest prefix whose bytes are all `wanted`.
    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'t [u8] {
        let len = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        let (taken, _) = self.rest.split_at(len);
        for _ in 0..len {
            self.bump();
        }
        taken
    }

    /// Skips blanks and the three kinds of comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.take(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            match (self.peek(), self.rest.get(1)) {
                (Some(b'#'), _) | (Some(b'/'), Some(b'/')) => {
                    self.take(|byte| byte != b'\n');
                }
                (Some(b'/'), Some(b'*')) => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), SyntaxError> {
        let opened = self.line;
        self.bump();
        self.bump();
        loop {
            match self.bump() {
                Some(b'*') if self.eat(b'/') => return Ok(()),
                Some(_) => {}
                None => return Err(SyntaxError { line: opened, problem: "`/*` without `*/`".into() }),
            }
        }
    }

    /// The settings up to the end of the file or a closing brace.
    fn settings(&mut self, depth: usize) -> Result<Vec<Entry>, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = std::collections::HashSet::new();
        loop {
            self.skip()?;
            if self.peek() == Some(b'@') {
                return Err(self.error("`@include` is not supported; put everything into one file"));
            }
            let line = self.line;
            let name = self.take(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*'));
            let Some(first) = name.first() else { return Ok(entries) };
            let key = String::from_utf8_lossy(name).into_owned();
            if !(first.is_ascii_alphabetic() || matches!(first, b'_' | b'*')) {
                let problem = format!("{} is no name: a name starts with a letter", super::tree::shown(&key));
                return Err(SyntaxError { line, problem });
            }
            if !names.insert(key.clone()) {
                let problem = format!("{} stands here a second time", super::tree::shown(&key));
                return Err(SyntaxError { line, problem });
            }
            self.skip()?;
            if !(self.eat(b'=') || self.eat(b':')) {
                return Err(self.expected("`=` or `:` after the name", &key));
            }
            let item = self.value(depth)?;
            entries.push(Entry { key, line, item });
            self.skip()?;
            let _terminated = self.eat(b';') || self.eat(b',');
        }
    }

    fn expected(&self, what: &str, after: &str) -> SyntaxError {
        let found = self.peek().map_or_else(|| "the end of the file".to_owned(), named);
        self.error(format!("{found} stands where {what} {} is expected", super::tree::shown(after)))
    }

    fn value(&mut self, depth: usize) -> Result<Item, SyntaxError> {
        if depth >= MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}")));
        }
        self.skip()?;
        let line = self.line;
        let node = match self.peek() {
            Some(b'{') => {
                self.bump();
                let entries = self.settings(depth + 1)?;
                self.close(b'}', line)?;
                Node::Table(entries)
            }
            Some(b'[') => self.sequence(b']', depth, line)?,
            Some(b'(') => self.sequence(b')', depth, line)?,
            Some(b'"') => self.strings()?,
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.') => self.scalar()?,
            Some(b) => return Err(self.error(format!("{} stands where a value is expected", named(b)))),
            None => return Err(self.error("the file ends where a value is expected")),
        };
        Ok(Item { line, node })
    }

    fn close(&mut self, close: u8, opened: u32) -> Result<(), SyntaxError> {
        self.skip()?;
        if self.eat(close) {
            return Ok(());
        }
        let found = self.peek().map_or_else(|| "the end of the file".to_owned(), named);
        Err(self
            .error(format!("{found} stands where {} is expected (opened on line {opened})", named(close))))
    }

    fn sequence(&mut self, close: u8, depth: usize, opened: u32) -> Result<Node, SyntaxError> {
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.peek().is_none_or(|byte| byte == close) {
                break;
            }
            items.push(self.value(depth + 1)?);
            self.skip()?;
            if !self.eat(b',') {
                break;
            }
        }
        self.close(close, opened)?;
        Ok(Node::List(items))
    }

    /// One string, or several that stand side by side and are one.
    fn strings(&mut self) -> Result<Node, SyntaxError> {
        let mut bytes = Vec::new();
        let opened = self.line;
        while self.eat(b'"') {
            self.string(&mut bytes)?;
            self.skip()?;
        }
        String::from_utf8(bytes).map(Node::Text).map_err(|_| SyntaxError {
            line: opened,
            problem: "the escapes in this string are not UTF-8".into(),
        })
    }

    /// The inside of a string up to its closing quote. An escape that is none keeps its backslash, as in libconfig.
    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let opened = self.line;
        loop {
            match self.bump() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape(out),
                Some(byte) => out.push(byte),
                None => {
                    return Err(SyntaxError {
                        line: opened,
                        problem: "a string without a closing quote".into(),
                    });
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let hex = |at: usize| self.rest.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (byte, len) = match self.peek() {
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'f') => (0x0c, 1),
            Some(b'a') => (0x07, 1),
            Some(b'b') => (0x08, 1),
            Some(b'v') => (0x0b, 1),
            Some(quoted @ (b'"' | b'\\')) => (quoted, 1),
            Some(b'x') => match (hex(1), hex(2)) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'?'), 3),
                _ => (b'\\', 0),
            },
            _ => (b'\\', 0),
        };
        out.push(byte);
        for _ in 0..len {
            self.bump();
        }
    }

    /// A boolean or a number.
    fn scalar(&mut self) -> Result<Node, SyntaxError> {
        let word = self.take(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'));
        let word = String::from_utf8_lossy(word);
        scalar(&word).ok_or_else(|| {
            let word = super::tree::shown(&word);
            self.error(format!("{word} is no value: write a number, true, false or a text in quotes"))
        })
    }
}

fn scalar(word: &str) -> Option<Node> {
    if word.eq_ignore_ascii_case("true") {
        return Some(Node::Bool(true));
    }
    if word.eq_ignore_ascii_case("false") {
        return Some(Node::Bool(false));
    }
    let number = word.strip_suffix("LL").or_else(|| word.strip_suffix('L')).unwrap_or(word);
    let lower = number.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0q", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
            return i64::from_str_radix(digits, radix).ok().filter(|_| plain).map(Node::Int);
        }
    }
    if let Ok(int) = number.parse::<i64>() {
        return Some(Node::Int(int));
    }
    let float = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if float && word.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return word.parse().ok().filter(|f: &f64| f.is_finite()).map(Node::Float);
    }
    None
}

/// A byte as a message names it.
fn named(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("the byte {byte:#04x}") }
}

#[cfg(test)]
#[path = "libconf_tests.rs"]
mod tests;
