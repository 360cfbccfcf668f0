//! From the bytes of a PUT to JSON text: the `json=` of the compatible door, its percent-encoded form, and a
//! bare document with a JSON content type.

use super::{Path, Problem, ProblemKind};
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Largest body in bytes; the reference's number.
pub const MAX_BODY: usize = 1_048_576;

const PREFIX: &[u8] = b"json=";

/// The JSON text of a body of the compatible door.
///
/// Nothing is form-decoded, except when the first character after `json=` is `%`, which no JSON text begins
/// with. In that form a `+` is a blank: every encoder that writes it (curl, `URLSearchParams`, Python's
/// `urlencode`) writes a plus as `%2B`, so a bare one can only be a blank.
///
/// # Errors
/// The reference's texts, for a body that is too large or neither form.
pub fn json_text<'a>(body: &'a [u8], content_type: Option<&str>) -> Result<Cow<'a, [u8]>, Problem> {
    if body.len() > MAX_BODY {
        return Err(Problem {
            kind: ProblemKind::TooLarge,
            path: Path::default(),
            message: format!("put data size exceeds {MAX_BODY}"),
        });
    }
    match body.strip_prefix(PREFIX) {
        Some(encoded) if encoded.first() == Some(&b'%') => {
            let spaced: Vec<u8> = encoded.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
            Ok(Cow::Owned(percent_decode(&spaced).collect()))
        }
        Some(plain) => Ok(Cow::Borrowed(plain)),
        None if content_type.is_some_and(is_json) => Ok(Cow::Borrowed(body)),
        None => Err(Problem::invalid(Path::default(), "put data must start with json=")),
    }
}

/// Whether a content type is `application/json`, with or without parameters.
pub fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str, content_type: Option<&str>) -> Result<String, String> {
        json_text(body.as_bytes(), content_type)
            .map(|text| String::from_utf8(text.into_owned()).unwrap())
            .map_err(|problem| problem.message)
    }

    #[test]
    fn the_prefix_is_literal_and_what_follows_is_not_decoded() {
        assert_eq!(text("json={\"a\":\"50%25+1\"}", None), Ok("{\"a\":\"50%25+1\"}".into()));
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(text("json={}", form), Ok("{}".into()));
        assert_eq!(text("json=", None), Ok(String::new()));
        for body in ["", "{}", "JSON={}", " json={}", "jso", "data=json={}"] {
            assert_eq!(text(body, None), Err("put data must start with json=".into()), "{body}");
        }
    }

    #[test]
    fn the_percent_encoded_form_is_decoded_once() {
        let body = "json=%7B%22state%22%3A%22run+ning%2B%2525%22%7D";
        assert_eq!(text(body, None), Ok("{\"state\":\"run ning+%25\"}".into()));
        assert_eq!(text("json=%zz", None), Ok("%zz".into()), "left to the JSON parser to refuse");
    }

    #[test]
    fn a_bare_document_needs_a_json_content_type() {
        for content_type in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"] {
            assert_eq!(text("{}", Some(content_type)), Ok("{}".into()));
        }
        for content_type in ["text/plain", "application/jsonp", "application/merge-patch+json", ""] {
            assert!(text("{}", Some(content_type)).is_err(), "{content_type}");
        }
        assert_eq!(text("json={}", Some("application/json")), Ok("{}".into()));
    }

    #[test]
    fn a_body_above_a_mebibyte_is_refused() {
        let problem = json_text(&vec![b' '; MAX_BODY + 1], None).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::TooLarge);
        assert_eq!(problem.message, "put data size exceeds 1048576");
    }
}
