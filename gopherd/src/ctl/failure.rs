//! What can go wrong, the exit code of each, and what is said about it.

use super::Exit;
use crate::config::tree::nearest;
use hyper::StatusCode;
use serde_json::Value;
use std::io;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The daemon answered, and refused.
    #[error("{}", refusal(.0))]
    Refused(Refused),
    /// The daemon knows no such feature; the sentence names one that may have been meant.
    #[error("{1}")]
    NoFeature(Refused, String),
    #[error("{0}")]
    Input(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("writing the result: {0}")]
    Output(#[from] io::Error),
}

/// The daemon's refusal as it came.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Refused(refused) if refused.status == StatusCode::GATEWAY_TIMEOUT => Exit::Unfinished,
            Self::Refused(_) | Self::NoFeature(..) => Exit::Refused,
            Self::Input(_) | Self::Output(_) => Exit::Usage,
            Self::Unreachable(_) => Exit::Unreachable,
        }
    }

    /// The daemon's own document about it.
    pub(super) fn document(&self) -> Option<&[u8]> {
        match self {
            Self::Refused(refused) | Self::NoFeature(refused, _) => Some(&refused.body),
            Self::Input(_) | Self::Unreachable(_) | Self::Output(_) => None,
        }
    }
}

/// Either door's refusal as a sentence.
fn refusal(Refused { status, body }: &Refused) -> String {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        return format!("the daemon refused with {status}: {}", text.trim());
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let sentence = |value: &Value| {
        let what =
            text(value, "message").or_else(|| text(value, "detail")).unwrap_or_else(|| value.to_string());
        // The reference's texts begin with the path already.
        let path = text(value, "path").filter(|path| !path.is_empty() && !what.starts_with(path.as_str()));
        let place: Vec<String> = text(value, "feature").into_iter().chain(path).chain([what]).collect();
        place.join(": ")
    };
    let mut out = sentence(&document);
    for fault in document.get("faults").and_then(Value::as_array).into_iter().flatten() {
        out += "\n  ";
        out += &sentence(fault);
    }
    for lacking in document.get("requirements").and_then(Value::as_array).into_iter().flatten() {
        out += "\n  missing: ";
        out += lacking.as_str().unwrap_or_default();
    }
    if *status == StatusCode::TOO_MANY_REQUESTS || *status == StatusCode::SERVICE_UNAVAILABLE {
        out += "; try again in a moment";
    }
    out
}

/// The feature that was meant by `typed`, if one is much like it or the only one that begins with it.
pub(super) fn meant<'n>(typed: &str, names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let typed = typed.to_lowercase();
    nearest(&typed, names.clone()).or_else(|| {
        let mut begun = names.filter(|name| !typed.is_empty() && name.starts_with(&typed));
        begun.next().filter(|_| begun.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_that_was_meant_is_the_most_alike_if_any_is() {
        let names = ["baseinfo", "tcp", "proc", "flamegraph"];
        for (typed, expected) in [
            ("baseinf", Some("baseinfo")),
            ("BASE_INFO", Some("baseinfo")),
            ("tpc", Some("tcp")),
            ("flame", Some("flamegraph")),
            ("xyz", None),
            ("p", Some("proc")),
            ("", None),
        ] {
            assert_eq!(meant(typed, names.into_iter()), expected, "{typed}");
        }
    }

    #[test]
    fn a_refusal_that_is_no_document_is_told_all_the_same() {
        let failure =
            Failure::Refused(Refused { status: StatusCode::BAD_GATEWAY, body: b"no\xff\n".to_vec() });
        assert_eq!(failure.to_string(), "the daemon refused with 502 Bad Gateway: no\u{fffd}");
        assert_eq!(failure.exit(), Exit::Refused);
    }

    #[test]
    fn what_goes_on_is_not_refused() {
        let failure = Failure::Refused(Refused { status: StatusCode::GATEWAY_TIMEOUT, body: b"{}".to_vec() });
        assert_eq!(failure.exit(), Exit::Unfinished);
    }
}
