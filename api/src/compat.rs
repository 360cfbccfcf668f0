//! The answers of the compatible door, in the shapes that drop-in clients know.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a PUT, and to a GET that fails.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompatAnswer {
    /// Whether it was done.
    pub result: CompatResult,
    /// What was done, or why not.
    pub message: String,
    /// What of the request was not done as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Where in the request, dotted; with a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Whether a request was done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompatResult {
    /// It was.
    Success,
    /// It was not, and nothing changed.
    Failed,
}

impl CompatAnswer {
    /// A change took effect.
    pub fn success(warnings: Vec<String>) -> Self {
        let message = "New config takes effect".to_owned();
        Self { result: CompatResult::Success, message, warnings, path: None }
    }

    /// A request was refused; an empty `path` means no place in particular.
    pub fn failed(message: impl Into<String>, path: &str) -> Self {
        let path = (!path.is_empty()).then(|| path.to_owned());
        Self { result: CompatResult::Failed, message: message.into(), warnings: Vec::new(), path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_have_the_known_shapes() {
        let text = |answer: &CompatAnswer| serde_json::to_string(answer).unwrap();
        let plain = r#"{"result":"success","message":"New config takes effect"}"#;
        assert_eq!(text(&CompatAnswer::success(vec![])), plain);
        let failed = CompatAnswer::failed("params.report_period invalid data type", "params.report_period");
        let expected = r#"{"result":"failed","message":"params.report_period invalid data type","path":"params.report_period"}"#;
        assert_eq!(text(&failed), expected);
        assert_eq!(
            text(&CompatAnswer::failed("url \"not\" found", "")),
            r#"{"result":"failed","message":"url \"not\" found"}"#
        );
    }
}
