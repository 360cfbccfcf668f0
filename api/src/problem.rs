//! `application/problem+json` (RFC 9457): every refusal of the native door.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Which kind, stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and the way out.
    pub detail: String,
    /// Where in the request, as a JSON pointer; absent when it is not one place of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What this host lacks, for a start that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
    /// Each fault of a request for several features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Problem {
    /// The content type of this document.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";
}

/// One fault of a request for several features.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The feature.
    pub feature: String,
    /// Where in the feature's part of the request, as a JSON pointer.
    pub path: String,
    /// What is wrong and the way out.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_problem_does_not_have_is_not_written() {
        let problem = Problem {
            kind: "about:blank".into(),
            title: "Bad Request".into(),
            status: 400,
            detail: "unknown key".into(),
            path: Some("/snooper".into()),
            requirements: Vec::new(),
            faults: Vec::new(),
        };
        let expected = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"unknown key","path":"/snooper"}"#;
        assert_eq!(serde_json::to_string(&problem).unwrap(), expected);
    }
}
