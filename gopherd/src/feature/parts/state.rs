//! `state`: whether the feature shall run.

use super::{Reader, Strictness};
use crate::feature::json::Node;
use crate::feature::text::shown;
use crate::feature::{Path, Problem, Wanted};

pub(super) fn read(r: &mut Reader<'_>, node: &Node, path: &Path, current: Wanted) -> Result<Wanted, Problem> {
    let Node::Text(text) = node else {
        return Err(Problem::invalid(path.clone(), "invalid state: must be string"));
    };
    let lower = text.to_ascii_lowercase();
    let word = if r.strictness == Strictness::Lenient { &lower } else { text };
    match word.as_str() {
        "running" => Ok(Wanted::Running),
        "stopped" => Ok(Wanted::Stopped),
        // What GET prints for a feature that was configured and never started: PUT takes it back as it is.
        "unknown"
            if r.strictness == Strictness::Lenient
                && r.cx.current.is_some()
                && current == Wanted::Unknown =>
        {
            Ok(Wanted::Unknown)
        }
        "unknown" if r.strictness == Strictness::Lenient => {
            r.tolerate(path, "unknown means stopped")?;
            Ok(Wanted::Stopped)
        }
        _ => {
            let message = format!("invalid state {}: must be running or stopped", shown(text));
            Err(Problem::invalid(path.clone(), message))
        }
    }
}
