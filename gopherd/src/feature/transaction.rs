//! A request for several features at once: `{"probes":{"tcp":{…},…}}`, each part a whole configuration.

use super::json::{self, Dialect, Node};
use super::{Edit, Path, Problem};

/// The parts of the request, by feature, in the order given. Which features exist is the caller's knowledge.
///
/// # Errors
/// Text that is not JSON, or another shape.
pub fn transaction(text: &[u8]) -> Result<Vec<(String, Edit)>, Problem> {
    let root = Path::default();
    let Node::Object(members) = json::parse(text, Dialect::Strict)?.root else {
        return Err(Problem::invalid(root, "expected an object with the key \"probes\""));
    };
    let mut parts = None;
    for (key, node) in members {
        match (key.as_str(), node) {
            ("probes", Node::Object(probes)) => parts = Some(probes),
            ("probes", _) => {
                return Err(Problem::invalid(
                    root.key("probes"),
                    "expected an object with one key a feature",
                ));
            }
            (_, _) => {
                let key = super::text::shown(&key);
                return Err(Problem::invalid(root.key(&key), "unknown key; expected only \"probes\""));
            }
        }
    }
    let parts = parts.ok_or_else(|| Problem::invalid(root, "the key \"probes\" is missing"))?;
    Ok(parts.into_iter().map(|(feature, node)| (feature, Edit::Replace(node))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_whole_configuration() {
        let parts = transaction(br#"{"probes":{"tcp":{},"io":{"state":"running"}}}"#).unwrap();
        assert_eq!(parts[0], ("tcp".into(), Edit::replace(b"{}").unwrap()));
        assert_eq!(parts[1], ("io".into(), Edit::replace(br#"{"state":"running"}"#).unwrap()));
    }

    #[test]
    fn another_shape_is_refused_with_its_place() {
        for (text, place) in [
            ("[]", ""),
            ("{}", ""),
            (r#"{"probes":[]}"#, "/probes"),
            (r#"{"probes":{},"x":1}"#, "/x"),
            (r#"{"probes":{"a":{},"a":{}}}"#, "/probes/a"),
        ] {
            assert_eq!(transaction(text.as_bytes()).unwrap_err().path.pointer(), place, "{text}");
        }
    }
}
