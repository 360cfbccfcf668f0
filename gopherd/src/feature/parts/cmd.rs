//! `cmd`: which sub-probes. `probe` replaces the set; an empty one stands for the default.

use super::Reader;
use super::reader::object;
use crate::feature::json::Node;
use crate::feature::text::shown;
use crate::feature::{FeatureConfig, Path, Problem};

pub(super) fn read(
    r: &mut Reader<'_>,
    node: &Node,
    path: &Path,
    config: &mut FeatureConfig,
) -> Result<(), Problem> {
    for (key, value) in object(node, path)? {
        if key == "probe" {
            probe(r, value, &path.key(key), config)?;
        } else {
            r.unknown_key(path, key)?;
        }
    }
    Ok(())
}

fn probe(r: &mut Reader<'_>, node: &Node, path: &Path, config: &mut FeatureConfig) -> Result<(), Problem> {
    let Node::Array(items) = node else {
        return Err(Problem::invalid(path.clone(), "Invalid probe range: must be an array of strings."));
    };
    let descriptor = r.cx.descriptor;
    let mut asked = vec![false; descriptor.sub_probes.len()];
    for (i, item) in items.iter().enumerate() {
        let Node::Text(name) = item else {
            return Err(Problem::invalid(path.index(i), "Invalid probe range: must be string."));
        };
        let Some(sub) = descriptor.sub_probe(name) else {
            let message = format!("unsupported probe range: {}.", shown(name));
            return Err(Problem::invalid(path.index(i), message));
        };
        if !sub.name.eq_ignore_ascii_case(name) {
            r.tolerate(&path.index(i), format!("{} is the old name of {}", shown(name), sub.name))?;
        }
        for (slot, known) in asked.iter_mut().zip(descriptor.sub_probes) {
            *slot |= known.name == sub.name;
        }
    }
    config.sub_probes = descriptor
        .sub_probes
        .iter()
        .zip(asked)
        .filter(|(_, asked)| *asked)
        .map(|(sub, _)| sub.name)
        .collect();
    Ok(())
}
