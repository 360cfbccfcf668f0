//! The line that each accepted change leaves in the log: who, through which door, what, before and after.
//!
//! Owns the line. Whoever makes a change calls it once the change holds, and knows both sides of it. The log keeps
//! these lines at every level (`logging`).

use super::Principal;
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;

/// Bytes of one side of a change that are logged.
const MAX_SIDE: usize = 4096;

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of a door.
    Client {
        /// Who it is.
        principal: Principal,
        /// Its address; none on the unix socket.
        from: Option<IpAddr>,
        /// The door: `native` or `compatible`.
        door: &'static str,
    },
    /// probes.init at the start.
    StartSet,
    /// SIGHUP: the files were read again.
    Reload,
    /// A budget, which restrains what costs more.
    Budget,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { principal, .. } => principal.fmt(f),
            Self::StartSet => f.write_str("probes.init"),
            Self::Reload => f.write_str("SIGHUP"),
            Self::Budget => f.write_str("budget"),
        }
    }
}

/// Logs an accepted change of `what`. Of both sides only the members that differ are shown.
pub fn record(actor: &Actor, what: &str, before: &Value, after: &Value, generation: Option<u64>) {
    let (before, after) = differing(before, after);
    let (door, from) = match actor {
        Actor::Client { door, from: Some(address), .. } => (*door, address.to_string()),
        Actor::Client { door, from: None, .. } => (*door, "unix socket".to_owned()),
        Actor::StartSet | Actor::Reload => ("file", "this host".to_owned()),
        Actor::Budget => ("none", "this daemon".to_owned()),
    };
    let (who, before, after) = (actor.to_string(), bounded(&before), bounded(&after));
    tracing::info!(target: "audit", who, from, door, what, %before, %after, generation, "change accepted");
}

/// The members in which two documents differ, on either side; other values as they are.
fn differing(before: &Value, after: &Value) -> (Value, Value) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before.clone(), after.clone());
    };
    let (mut left, mut right) = (Map::new(), Map::new());
    for (key, value) in old {
        match new.get(key) {
            Some(same) if same == value => {}
            Some(other) => {
                let (value, other) = differing(value, other);
                left.insert(key.clone(), value);
                right.insert(key.clone(), other);
            }
            None => {
                left.insert(key.clone(), value.clone());
            }
        }
    }
    right.extend(
        new.iter()
            .filter(|(key, _)| !old.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    (Value::Object(left), Value::Object(right))
}

/// The end of the last whole character within the first `most` bytes.
pub(super) fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The text of a value, cut where it gets too long, and then says so.
fn bounded(value: &Value) -> String {
    let mut text = value.to_string();
    let all = text.len();
    if all > MAX_SIDE {
        text.truncate(boundary(&text, MAX_SIDE));
        text.push_str(&format!("… (cut, {all} bytes)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown() {
        for (before, after, left, right) in [
            (json!({}), json!({}), json!({}), json!({})),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), json!({"b": 2}), json!({"b": 3})),
            (json!({"a": 1}), json!({"b": 1}), json!({"a": 1}), json!({"b": 1})),
            (
                json!({"params": {"x": 1, "y": [1]}, "state": "stopped"}),
                json!({"params": {"x": 1, "y": [2]}, "state": "running"}),
                json!({"params": {"y": [1]}, "state": "stopped"}),
                json!({"params": {"y": [2]}, "state": "running"}),
            ),
            (json!({"a": {"b": 1}}), json!({"a": null}), json!({"a": {"b": 1}}), json!({"a": null})),
            (json!("info"), json!("debug"), json!("info"), json!("debug")),
        ] {
            assert_eq!(differing(&before, &after), (left, right), "{before} {after}");
        }
    }

    #[test]
    fn a_side_that_is_too_long_is_cut_and_says_so() {
        let short = bounded(&json!("é".repeat(2047)));
        assert!(short.ends_with('"') && short.len() == 4096);
        let long = bounded(&json!("é".repeat(5000)));
        assert!(long.len() < 4096 + 64 && long.ends_with("… (cut, 10002 bytes)"), "{}", long.len());
    }

    #[test]
    fn every_actor_has_a_name() {
        let client = |principal| Actor::Client { principal, from: None, door: "native" };
        for (actor, name) in [
            (client(Principal::Uid(0)), "uid 0"),
            (client(Principal::Certificate("CN=ops".into())), "certificate CN=ops"),
            (client(Principal::Token("ci".into())), "token ci"),
            (client(Principal::Nobody), "nobody"),
            (Actor::StartSet, "probes.init"),
            (Actor::Reload, "SIGHUP"),
            (Actor::Budget, "budget"),
        ] {
            assert_eq!(actor.to_string(), name);
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 3, |inner| {
            proptest::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn two_documents_show_a_difference_exactly_when_there_is_one(a in document(), b in document()) {
            let (left, right) = differing(&a, &b);
            prop_assert_eq!(left == right, a == b);
        }
    }
}
