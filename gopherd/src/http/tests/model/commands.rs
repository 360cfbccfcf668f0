//! Commands of the model test: what clients send, from sensible to wrong, as values that proptest makes smaller.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// The `drops_thr` that makes a probe fail.
pub(super) const FAILS: i64 = 11;

/// A member of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Given<T> {
    Absent,
    Null,
    Is(T),
}

impl<T: Copy> Given<T> {
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

/// The selectors of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    Absent,
    /// `snoopers` with these names; `None` is an empty object.
    Snoopers(Option<&'static str>),
    Blacklist(Option<&'static str>),
    BadExpression,
    Both,
}

/// A body of a change.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) sub_probes: Given<&'static [&'static str]>,
    /// 1 is out of range.
    pub(super) period: Given<i64>,
    pub(super) drops: Given<i64>,
    pub(super) scope: Scope,
    pub(super) state: Given<&'static str>,
    pub(super) unknown_key: bool,
}

impl Body {
    /// Its text.
    pub(super) fn json(&self) -> String {
        let mut members = Map::new();
        match self.sub_probes {
            Given::Absent => {}
            Given::Null => drop(members.insert("cmd".into(), Value::Null)),
            Given::Is(names) => drop(members.insert("cmd".into(), json!({ "probe": names }))),
        }
        let params = [("report_period", self.period), ("drops_thr", self.drops)];
        let params: Map<String, Value> = params
            .into_iter()
            .filter(|(_, given)| *given != Given::Absent)
            .map(|(key, given)| (key.to_owned(), json!(given.value())))
            .collect();
        if !params.is_empty() {
            members.insert("params".into(), params.into());
        }
        let names =
            |comm: Option<&str>| comm.map_or(json!({}), |comm| json!({"proc_name": [{"comm": comm}]}));
        match self.scope {
            Scope::Absent => {}
            Scope::Snoopers(comm) => drop(members.insert("snoopers".into(), names(comm))),
            Scope::Blacklist(comm) => drop(members.insert("blacklist".into(), names(comm))),
            Scope::BadExpression => drop(members.insert("snoopers".into(), names(Some("(")))),
            Scope::Both => {
                members.insert("snoopers".into(), json!({}));
                members.insert("blacklist".into(), json!({}));
            }
        }
        match self.state {
            Given::Absent => {}
            Given::Null => drop(members.insert("state".into(), Value::Null)),
            Given::Is(word) => drop(members.insert("state".into(), word.into())),
        }
        if self.unknown_key {
            members.insert("snooper".into(), json!({}));
        }
        Value::Object(members).to_string()
    }
}

/// What a client says of the generation that it has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tag {
    None,
    Now,
    Later,
    Any,
    Weak,
    Malformed,
}

impl Tag {
    /// The header's value where the generation is `now`.
    pub(super) fn value(self, now: u64) -> Option<String> {
        match self {
            Self::None => None,
            Self::Now => Some(format!("\"{now}\"")),
            Self::Later => Some(format!("\"{}\"", now + 1)),
            Self::Any => Some("*".into()),
            Self::Weak => Some(format!("W/\"{now}\"")),
            Self::Malformed => Some(now.to_string()),
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Compatible {
        feature: &'static str,
        body: Body,
        dry_run: bool,
    },
    Put {
        feature: &'static str,
        body: Body,
        tag: Tag,
    },
    Patch {
        feature: &'static str,
        body: Body,
        tag: Tag,
    },
    Delete {
        feature: &'static str,
        tag: Tag,
    },
    Apply {
        bodies: Vec<(&'static str, Body)>,
        dry_run: bool,
    },
    /// A PUT whose body ends too early.
    Cut {
        feature: &'static str,
    },
    Save,
}

fn given<T: Clone + Copy + std::fmt::Debug + 'static>(
    values: &'static [T],
    wrong: &'static [T],
) -> impl Strategy<Value = Given<T>> {
    prop_oneof![
        6 => Just(Given::Absent),
        6 => select(values).prop_map(Given::Is),
        1 => select(wrong).prop_map(Given::Is),
        1 => Just(Given::Null),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    const SUB_PROBES: &[&[&str]] = &[&[], &["first"], &["broken", "first"], &["broken"]];
    let scope = prop_oneof![
        6 => Just(Scope::Absent),
        2 => select(&[None, Some("^a$"), Some("b")][..]).prop_map(Scope::Snoopers),
        2 => select(&[None, Some("^a$")][..]).prop_map(Scope::Blacklist),
        1 => select(&[Scope::BadExpression, Scope::Both][..]),
    ];
    (
        given(SUB_PROBES, &[&["first", "nope"]]),
        given(&[30, 60], &[1]),
        given(&[0, 20, FAILS], &[-1]),
        scope,
        given(&["running", "running", "stopped"], &["unknown", "RUNNING", "paused"]),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(sub_probes, period, drops, scope, state, unknown_key)| Body {
            sub_probes,
            period,
            drops,
            scope,
            state,
            unknown_key,
        })
}

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![
        4 => Just(Tag::None),
        3 => Just(Tag::Now),
        1 => select(&[Tag::Later, Tag::Any, Tag::Weak, Tag::Malformed][..]),
    ]
}

/// Mostly features that are there.
fn feature() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("tcp"), 4 => Just("io"), 1 => Just("planned"), 1 => Just("nope")]
}

/// Any request.
pub(super) fn command() -> impl Strategy<Value = Command> {
    let several = subsequence(&["tcp", "io", "planned", "nope"][..], 0..=3)
        .prop_flat_map(|names| names.into_iter().map(|name| (Just(name), body())).collect::<Vec<_>>());
    prop_oneof![
        4 => (feature(), body(), any::<bool>(), any::<bool>())
            .prop_map(|(feature, body, a, b)| Command::Compatible { feature, body, dry_run: a && b }),
        4 => (feature(), body(), tag()).prop_map(|(feature, body, tag)| Command::Put { feature, body, tag }),
        4 => (feature(), body(), tag()).prop_map(|(feature, body, tag)| Command::Patch { feature, body, tag }),
        2 => (feature(), tag()).prop_map(|(feature, tag)| Command::Delete { feature, tag }),
        3 => (several, any::<bool>(), any::<bool>())
            .prop_map(|(bodies, a, b)| Command::Apply { bodies, dry_run: a && b }),
        1 => feature().prop_map(|feature| Command::Cut { feature }),
        1 => Just(Command::Save),
    ]
}
