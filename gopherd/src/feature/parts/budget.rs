//! `budget` of the native door: limits, or `"off"`.

use super::Reader;
use super::reader::object;
use crate::feature::json::Node;
use crate::feature::{Budget, FeatureConfig, Limits, Path, Problem};

/// Most cores that a share may name.
const MAX_CORES: f64 = 1024.0;

pub(super) fn read(
    r: &mut Reader<'_>,
    node: &Node,
    path: &Path,
    config: &mut FeatureConfig,
) -> Result<(), Problem> {
    config.budget = match node {
        Node::Text(text) if text == "off" => Budget::Off,
        Node::Object(_) => Budget::Limits(limits(r, node, path)?),
        _ => return Err(Problem::invalid(path.clone(), "must be an object of limits or \"off\"")),
    };
    Ok(())
}

fn limits(r: &mut Reader<'_>, node: &Node, path: &Path) -> Result<Limits, Problem> {
    let mut limits = Limits::default();
    for (key, value) in object(node, path)? {
        let at = path.key(key);
        match key.as_str() {
            "cpu" => limits.cpu = Some(share(value, &at)?),
            "memory_bytes" => limits.memory_bytes = Some(count(r, value, &at)?),
            "series" => limits.series = Some(count(r, value, &at)?),
            "events_per_s" => limits.events_per_s = Some(count(r, value, &at)?),
            _ => r.unknown_key(path, key)?,
        }
    }
    Ok(limits)
}

fn share(node: &Node, path: &Path) -> Result<f64, Problem> {
    match node {
        Node::Number(text) => text.parse().ok().filter(|share| *share > 0.0 && *share <= MAX_CORES),
        _ => None,
    }
    .ok_or_else(|| {
        Problem::invalid(
            path.clone(),
            format!("must be a share of one core, above 0 and at most {MAX_CORES}"),
        )
    })
}

fn count(r: &mut Reader<'_>, node: &Node, path: &Path) -> Result<u64, Problem> {
    r.whole(node, path)?
        .and_then(|n| u64::try_from(n).ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| Problem::invalid(path.clone(), "must be a whole number, at least 1"))
}
