//! The tree that both file formats are read into: values with the line they stand on.
//!
//! Owns the neutral shape between a parser and the key table, and how outside text is shown in messages.
//! Leaves to others: the grammars (`libconf`, `toml_tree`) and what a key may hold (`spec`, `value`).

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string.
    Text(String),
    /// A sequence.
    List(Vec<Item>),
    /// Names and values in the order of the file.
    Table(Vec<Entry>),
    /// Something that no key holds, by its name: a date or a number beyond 64 bits.
    Other(&'static str),
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Line in the file, from 1; 0 for what came from elsewhere.
    pub line: u32,
    /// The value.
    pub node: Node,
}

/// A name, its value, and where the name stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name.
    pub key: String,
    /// Line of the name, from 1.
    pub line: u32,
    /// The value.
    pub item: Item,
}

/// Why a text is not of its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub problem: String,
}

impl Node {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(what) => what,
        }
    }
}

/// Where the lines of a text start, so that an offset's line is found without counting again.
#[derive(Debug)]
pub struct Lines(Vec<usize>);

impl Lines {
    /// Of this text.
    pub fn of(text: &[u8]) -> Self {
        Self(text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, on which byte `offset` stands.
    pub fn at(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|newline| *newline < offset);
        u32::try_from(before).map_or(u32::MAX, |n| n.saturating_add(1))
    }
}

/// Longest piece of outside text that a message repeats, in characters.
const SHOWN: usize = 60;

/// Outside text as a message shows it: quoted, control characters escaped, cut.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("`{cut}{more}`")
}

/// Of `known`, the word that `word` was probably meant to be: at most two letters away, and fewer than half of them.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let word: Vec<char> = word.chars().take(64).collect();
    known
        .map(|candidate| (distance(&word, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(d, candidate)| *d <= 2 && *d * 2 < candidate.len())
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, replacements and swapped neighbours count one each.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_and_another_word_finds_none() {
        let known = ["bind_addr", "port", "ssl_auth"];
        assert_eq!(nearest("prot", known.into_iter()), Some("port"));
        assert_eq!(nearest("bind_adr", known.into_iter()), Some("bind_addr"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest("", known.into_iter()), None);
    }

    #[test]
    fn a_newline_still_belongs_to_its_line() {
        let lines = Lines::of(b"ab\n\nc");
        assert_eq!([0, 2, 3, 4, 99].map(|at| lines.at(at)), [1, 1, 2, 3, 3]);
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(shown("a\nb"), "`a\\nb`");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), SHOWN + 3);
    }
}
