//! Selectors ("snoopers"): which processes, containers or pods a feature observes.

use probe_core::ProcKey;
use regex::Regex;

/// Whether matches are observed or left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `snoopers`: matches are observed; without any selector the whole host is.
    #[default]
    Include,
    /// `blacklist`: everything but the matches is observed.
    Exclude,
}

/// A `proc_id` entry: bound to the process that was alive when it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcId {
    /// The pid as given.
    pub pid: u32,
    /// The process that had it then; `None` if there was none, which matches nothing.
    pub process: Option<ProcKey>,
}

/// A `proc_name` entry. Both expressions are unanchored; `None` means any. Never both `None`.
#[derive(Clone, Debug)]
pub struct ProcName {
    /// Matched against `/proc/<pid>/comm`.
    pub comm: Option<Regex>,
    /// Matched against the command line, arguments joined by blanks.
    pub cmdline: Option<Regex>,
    /// A label for the series of matching processes.
    pub label: Option<(String, String)>,
}

impl PartialEq for ProcName {
    fn eq(&self, other: &Self) -> bool {
        fn text(r: &Option<Regex>) -> Option<&str> {
            r.as_ref().map(Regex::as_str)
        }
        text(&self.comm) == text(&other.comm)
            && text(&self.cmdline) == text(&other.cmdline)
            && self.label == other.label
    }
}

/// All selectors; an entry of any of them matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selectors {
    /// By process id.
    pub proc_id: Vec<ProcId>,
    /// By name or command line.
    pub proc_name: Vec<ProcName>,
    /// By pod uid, in the dashed form.
    pub pod_id: Vec<String>,
    /// By container id, the first 12 hexadecimal digits.
    pub container_id: Vec<String>,
    /// By container name.
    pub container_name: Vec<String>,
}

impl Selectors {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.proc_id.len()
            + self.proc_name.len()
            + self.pod_id.len()
            + self.container_id.len()
            + self.container_name.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Mode and selectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Observe or leave out.
    pub mode: Mode,
    /// The entries.
    pub selectors: Selectors,
}

impl Selection {
    /// Whether no scope was ever asked for, nor the whole host in so many words.
    pub fn is_unset(&self) -> bool {
        self.mode == Mode::Include && self.selectors.is_empty()
    }
}
