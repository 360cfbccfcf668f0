//! The members of a feature's document, read into checked types: one implementation for both doors, which
//! differ in what they tolerate. Owns the order in which a document is read; each member has a file of its
//! own. Leaves the base that a document changes, and what follows from the result, to `edit`.

mod budget;
mod cmd;
mod labels;
mod names;
mod params;
mod reader;
mod selection;
mod selectors;
mod state;

pub use labels::pod_label_name;
pub(super) use params::check_live;
pub(super) use reader::{Reader, Strictness};

use super::json::Node;
use super::{FeatureConfig, Mode, Path, Problem, Wanted};

/// Reads a document into `config`, which holds what an absent member leaves as it is. Returns the state that
/// the document asks for, if it has one.
///
/// The order is the reference's: the first fault that it would name is the one that is named here.
pub(super) fn read(
    r: &mut Reader<'_>,
    root: &Node,
    config: &mut FeatureConfig,
) -> Result<Option<Wanted>, Problem> {
    let top = Path::default();
    let Node::Object(members) = root else {
        return Err(Problem::invalid(top, "Bad request: the document must be a JSON object"));
    };
    for (key, _) in members {
        match key.as_str() {
            "cmd" | "snoopers" | "blacklist" | "params" | "state" => {}
            "budget" if r.strictness == Strictness::Strict => {}
            // GET of the compatible door adds it to the document, so PUT takes it back.
            "status" if r.strictness == Strictness::Lenient => {}
            _ => r.unknown_key(&top, key)?,
        }
    }
    let part = |key: &str| root.get(key).map(|node| (node, top.key(key)));
    if let (Some(_), Some((_, path))) = (part("snoopers"), part("blacklist")) {
        return Err(Problem::invalid(path, "snoopers and blacklist are mutually exclusive"));
    }
    if let Some((node, path)) = part("cmd") {
        cmd::read(r, node, &path, config)?;
    }
    if let Some((node, path)) = part("snoopers") {
        selection::read(r, node, &path, Mode::Include, config)?;
    }
    if let Some((node, path)) = part("blacklist") {
        selection::read(r, node, &path, Mode::Exclude, config)?;
    }
    if let Some((node, path)) = part("params") {
        params::read(r, node, &path, config)?;
    }
    if let Some((node, path)) = part("budget").filter(|_| r.strictness == Strictness::Strict) {
        budget::read(r, node, &path, config)?;
    }
    let Some((node, path)) = part("state") else { return Ok(None) };
    config.state = state::read(r, node, &path, config.state)?;
    Ok(Some(config.state))
}
