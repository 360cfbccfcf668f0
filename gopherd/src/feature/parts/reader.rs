//! What every part needs to read its node: how strict the door is, where warnings go, and the few accessors
//! whose refusals are worded alike.

use crate::feature::edit::Context;
use crate::feature::json::Node;
use crate::feature::text::shown;
use crate::feature::warnings::Warnings;
use crate::feature::{Path, Problem};
use probe_core::params::LEGACY;

/// How a door treats what it could do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::feature) enum Strictness {
    /// Named in the warnings.
    Lenient,
    /// Refused.
    Strict,
}

/// A reader of one document.
#[derive(Debug)]
pub(in crate::feature) struct Reader<'a> {
    /// The door's.
    pub(in crate::feature) strictness: Strictness,
    /// What is known about the feature and the host.
    pub(in crate::feature) cx: &'a Context<'a>,
    /// So far.
    pub(in crate::feature) warnings: Warnings,
}

impl<'a> Reader<'a> {
    /// A reader without warnings.
    pub(in crate::feature) fn new(strictness: Strictness, cx: &'a Context<'a>) -> Self {
        Self { strictness, cx, warnings: Warnings::default() }
    }

    /// Something at `path` that the lenient door warns about and the strict one refuses.
    pub(super) fn tolerate(&mut self, path: &Path, what: impl Into<String>) -> Result<(), Problem> {
        let problem = Problem::invalid(path.clone(), what);
        match self.strictness {
            Strictness::Strict => Err(problem),
            Strictness::Lenient => {
                self.warnings.push(problem.to_string());
                Ok(())
            }
        }
    }

    /// Something that both doors accept and that the operator should know.
    pub(in crate::feature) fn note(&mut self, path: &Path, what: impl Into<String>) {
        self.warnings.push(Problem::invalid(path.clone(), what).to_string());
    }

    /// A key below `path` that nothing reads.
    pub(super) fn unknown_key(&mut self, path: &Path, key: &str) -> Result<(), Problem> {
        let what = match (self.strictness, is_legacy(key)) {
            (Strictness::Lenient, true) => "a key of older versions, ignored",
            (Strictness::Lenient, false) => "unknown key, ignored",
            (Strictness::Strict, _) => "unknown key",
        };
        self.tolerate(&path.key(&shown(key)), what)
    }

    /// A whole number: its value, the nearest that fits for a larger one. `None` for anything else.
    pub(super) fn whole(&mut self, node: &Node, path: &Path) -> Result<Option<i64>, Problem> {
        Ok(match node {
            Node::Number(text) => whole(text),
            Node::Bool(value) if self.strictness == Strictness::Lenient => {
                let number = i64::from(*value);
                self.tolerate(path, format!("{value} counts as {number}"))?;
                Some(number)
            }
            _ => None,
        })
    }
}

/// Keys that requests for older versions still send; they never select an executable.
fn is_legacy(key: &str) -> bool {
    matches!(key, "bin" | "check_cmd") || LEGACY.contains(&key)
}

/// The members of an object.
pub(super) fn object<'n>(node: &'n Node, path: &Path) -> Result<&'n [(String, Node)], Problem> {
    match node {
        Node::Object(members) => Ok(members),
        _ => Err(Problem::invalid(path.clone(), format!("{path} invalid data type, must be an object"))),
    }
}

/// A number as a refusal repeats it.
pub(super) fn as_written(node: &Node, value: i64) -> String {
    match node {
        Node::Number(text) => shown(text),
        _ => value.to_string(),
    }
}

fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(beyond))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_beyond_the_range_is_the_nearest_one_and_a_fraction_is_none() {
        assert_eq!(whole("2147483648"), Some(2_147_483_648));
        assert_eq!(whole("18446744073709551616"), Some(i64::MAX));
        assert_eq!(whole("-18446744073709551616"), Some(i64::MIN));
        assert_eq!(whole("-0"), Some(0));
        for text in ["5.5", "5.0", "1e400", "1e1", "-", ""] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
