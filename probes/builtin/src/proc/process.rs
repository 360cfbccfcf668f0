//! Which processes rows are about: whether they are in scope, and whether they still run.

use probe_core::{ProcKey, Scope};
use probe_kit::scan::number;
use probe_kit::stat::Stat;
use std::path::PathBuf;

/// By what rows are shown at one reading.
pub(super) struct Look<'a> {
    /// The processes to show.
    pub(super) scope: &'a Scope,
    /// Where processes are seen.
    pub(super) proc: &'a PathBuf,
    /// The reading ends a report period.
    pub(super) closes: bool,
}

impl Look<'_> {
    /// Whether the process is still there.
    pub(super) fn runs(&self, process: ProcKey) -> bool {
        let path = self.proc.join(process.tgid.to_string()).join("stat");
        let Ok(text) = std::fs::read(path) else { return false };
        // Field 22; the words begin with field 3.
        let start = Stat::parse(&text).and_then(|stat| number(stat.words().nth(19)?));
        start == Some(process.start_ticks)
    }
}
