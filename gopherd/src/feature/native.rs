//! The native door: the whole configuration, strictly, or a merge patch (RFC 7396) over it. A member that is
//! absent, or null in a patch, has its default.

use super::document;
use super::json::Node;
use super::parts::{self, Reader};
use super::{FeatureConfig, Problem, Wanted};

/// The configuration that `body` is. `state` absent is `stopped`.
pub(super) fn replace(r: &mut Reader<'_>, body: &Node) -> Result<(FeatureConfig, Option<Wanted>), Problem> {
    let mut config = FeatureConfig { state: Wanted::Stopped, ..FeatureConfig::default() };
    let asked = parts::read(r, body, &mut config)?;
    Ok((config, asked))
}

/// The configuration after `body` as a patch, and the state that the patch itself asks for.
pub(super) fn patch(r: &mut Reader<'_>, body: &Node) -> Result<(FeatureConfig, Option<Wanted>), Problem> {
    let current = document::native(&r.cx.current.cloned().unwrap_or_default());
    let mut base = Node::from(&current);
    // One member with two names: a patch that gives the one takes the place of the other.
    for (given, other) in [("snoopers", "blacklist"), ("blacklist", "snoopers")] {
        if body.get(given).is_some_and(|node| *node != Node::Null) && body.get(other).is_none() {
            remove(&mut base, other);
        }
    }
    let (config, asked) = replace(r, &merged(base, body))?;
    Ok((config, asked.filter(|_| body.get("state").is_some())))
}

/// RFC 7396, section 2. Recursion is bounded by the parser's depth limit.
fn merged(target: Node, patch: &Node) -> Node {
    let Node::Object(changes) = patch else { return patch.clone() };
    let mut target = match target {
        Node::Object(members) => members,
        _ => Vec::new(),
    };
    for (key, change) in changes {
        let place = target.iter().position(|(name, _)| name == key);
        if *change == Node::Null {
            if let Some(at) = place {
                target.remove(at);
            }
            continue;
        }
        match place.and_then(|at| target.get_mut(at)) {
            Some((_, old)) => *old = merged(std::mem::replace(old, Node::Null), change),
            None => target.push((key.clone(), merged(Node::Null, change))),
        }
    }
    Node::Object(target)
}

fn remove(node: &mut Node, key: &str) {
    if let Node::Object(members) = node {
        members.retain(|(name, _)| name != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::json::{Dialect, parse};

    fn node(text: &str) -> Node {
        parse(text.as_bytes(), Dialect::Strict).unwrap().root
    }

    /// The examples of RFC 7396, appendix A, that have an object as the patch or the target.
    #[test]
    fn a_patch_merges_as_the_rfc_shows() {
        let cases = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ];
        for (target, patch, result) in cases {
            assert_eq!(merged(node(target), &node(patch)), node(result), "{target} {patch}");
        }
    }
}
