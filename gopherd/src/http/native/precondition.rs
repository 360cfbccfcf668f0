//! `If-Match`: a change only of the generation that the client has seen.

use super::DOOR;
use crate::http::error::Refusal;
use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use utoipa::IntoParams;

/// The header, as described to clients. No generation has a comma in it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct IfMatch {
    /// Only if the generation is this one, as in `"3"`; `*` is any.
    #[param(rename = "If-Match", required = false, pattern = r#"^(\*|(W/)?"[^",]*"( *, *(W/)?"[^",]*")*)$"#)]
    if_match: String,
}

/// The generation that the feature must have, for the manager to compare when the change's turn comes; `None`
/// when any will do. Of several tags the one that fits `now` is taken, else the first.
pub(super) fn if_match(request: &HttpRequest, now: u64) -> Result<Option<u64>, Refusal> {
    let mut tags = Vec::new();
    for value in request.headers().get_all(header::IF_MATCH) {
        let text = value.to_str().map_err(|_| malformed())?;
        for tag in text.split(',').map(str::trim) {
            if tag == "*" {
                return Ok(None);
            }
            tags.push(parse(tag)?);
        }
    }
    match tags.iter().copied().flatten().find(|tag| *tag == now).or(tags.iter().copied().flatten().next()) {
        Some(tag) => Ok(Some(tag)),
        None if tags.is_empty() => Ok(None),
        None => {
            let detail = format!("the generation is {now} now");
            Err(Refusal::new(DOOR, StatusCode::PRECONDITION_FAILED, detail))
        }
    }
}

/// A tag's generation; `None` for one that no generation has: weak tags never match (RFC 9110, 13.1.1).
fn parse(tag: &str) -> Result<Option<u64>, Refusal> {
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(malformed)?;
    let canonical = inner.parse::<u64>().ok().filter(|generation| generation.to_string() == inner);
    Ok(canonical.filter(|_| strong == tag))
}

fn malformed() -> Refusal {
    let detail = "If-Match must be * or quoted generations, as in \"3\"";
    Refusal::new(DOOR, StatusCode::BAD_REQUEST, detail)
}

/// What holds of any head: the generation that is asked for stands in it. Why it is refused, if it is.
#[cfg(any(test, feature = "testing"))]
pub(in crate::http) fn any_head(request: &HttpRequest) -> Option<Refusal> {
    let wanted = if_match(request, 3);
    if let Ok(Some(generation)) = wanted {
        let tag = format!("\"{generation}\"");
        let mut values = request.headers().get_all(header::IF_MATCH);
        assert!(values.any(|value| value.to_str().is_ok_and(|text| text.contains(&tag))), "{tag}");
    }
    wanted.err()
}
