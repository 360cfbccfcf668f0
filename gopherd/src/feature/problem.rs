//! Why a request was refused: what, where in the document, and the way out, ready for either door.

use std::fmt;

/// One step into a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Key(String),
    /// An element of an array.
    Index(usize),
}

/// A place in a JSON document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The place `key` below this one.
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// The place `index` below this one.
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// As a JSON pointer (RFC 6901), which the native door uses.
    pub fn pointer(&self) -> String {
        self.0.iter().fold(String::new(), |out, step| match step {
            Step::Key(key) => out + "/" + &key.replace('~', "~0").replace('/', "~1"),
            Step::Index(index) => format!("{out}/{index}"),
        })
    }
}

/// Dotted, as in `snoopers.proc_name[0].comm`, which the compatible door uses.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What kind of refusal it is; the doors give each a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is not what it must be: syntax, type, range, unknown name.
    Invalid,
    /// The document is larger than what is read.
    TooLarge,
    /// The feature is known but not built in this version.
    NotBuilt,
    /// None of what was asked for can run on this host; each missing requirement.
    Unsupported(Vec<String>),
    /// It failed for a reason that may pass, and the state is what it was.
    Failed,
    /// The generation is another one than the caller's `If-Match`; the current one.
    Stale(u64),
    /// Too many changes wait for this feature, or the daemon is stopping.
    Unavailable,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// Where in the document; empty for the whole.
    pub path: Path,
    /// One sentence; the reference's text where it has one.
    pub message: String,
}

impl Problem {
    /// Something in the document is not what it must be.
    pub fn invalid(path: Path, message: impl Into<String>) -> Self {
        Self { kind: ProblemKind::Invalid, path, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string();
        // The reference's texts begin with the path already.
        if !path.is_empty() && !self.message.starts_with(&path) {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_dotted_and_as_a_pointer() {
        let path = Path::default().key("snoopers").key("proc_name").index(0).key("a/b");
        assert_eq!(path.to_string(), "snoopers.proc_name[0].a/b");
        assert_eq!(path.pointer(), "/snoopers/proc_name/0/a~1b");
    }
}
