//! What is wrong with a setting, where it was set, and the way out: one sentence for every reader of it.
//!
//! Owns the shape of errors, warnings and startup problems. Leaves the text to whoever found it.

use super::tree::shown;
use std::fmt;
use std::path::PathBuf;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A file as a whole, or a line of it (from 1).
    File(PathBuf, Option<u32>),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Something wrong with a setting. Whether it keeps the daemon from starting depends on the list it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it was set.
    pub origin: Origin,
    /// The key with its section; empty for a whole file.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What someone can do about it.
    pub way_out: String,
}

/// `origin: key: problem; way out`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if !self.way_out.is_empty() {
            write!(f, "; {}", self.way_out)?;
        }
        Ok(())
    }
}

/// Most faults of one kind that are kept; a file with more has one cause, and the last entry says how many there were.
const MAX_KEPT: usize = 200;

/// What was found while a configuration was read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// They keep the daemon from starting.
    pub faults: Vec<Fault>,
    /// Worth knowing, nothing more.
    pub warnings: Vec<Fault>,
    /// The daemon starts, but something that was asked for is missing: logged as errors and shown by `readyz`.
    pub problems: Vec<Fault>,
}

impl Findings {
    /// Cuts each list, saying so.
    pub(super) fn bounded(mut self) -> Self {
        for list in [&mut self.faults, &mut self.warnings, &mut self.problems] {
            let more = list.len().saturating_sub(MAX_KEPT);
            list.truncate(MAX_KEPT);
            if let Some(last) = list.last().filter(|_| more > 0).cloned() {
                let problem = format!("{more} more of this kind are not listed");
                list.push(Fault { key: String::new(), problem, way_out: String::new(), ..last });
            }
        }
        self
    }
}

/// A fault of a whole file or of a line that is not of its grammar.
pub(super) fn of_file(origin: Origin, problem: impl Into<String>, way_out: &str) -> Fault {
    Fault { origin, key: String::new(), problem: problem.into(), way_out: way_out.to_owned() }
}

/// Bytes of a file as text, or the line of the first byte that is none.
pub(super) fn utf8<'b>(path: &std::path::Path, bytes: &'b [u8]) -> Result<&'b str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = super::tree::Lines::of(bytes).at(error.valid_up_to());
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        let problem = format!("the byte {byte:#04x} is not UTF-8");
        of_file(Origin::File(path.to_owned(), Some(line)), problem, "save the file as UTF-8")
    })
}

/// The value of an environment variable that is not text.
pub(super) fn not_text(name: &str, value: &std::ffi::OsStr) -> Fault {
    let problem = format!("{} is not UTF-8", shown(&value.to_string_lossy()));
    Fault {
        origin: Origin::Env(name.to_owned()),
        key: String::new(),
        problem,
        way_out: "write it as UTF-8".into(),
    }
}
