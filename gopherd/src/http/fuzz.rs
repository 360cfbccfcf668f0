//! What holds of any query and any headers: they have a meaning, or a refusal that is a document.

use super::body::media_type;
use super::error::Refusal;
use super::native::{any_events, any_precondition};
use super::query::{self, Nothing};
use crate::access::{decide, hosts};
use crate::expose::negotiate;
use actix_web::ResponseError as _;
use actix_web::body::MessageBody as _;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;

/// The headers that somebody reads.
const NAMES: [&str; 9] = [
    "if-match",
    "content-type",
    "accept",
    "accept-encoding",
    "host",
    "authorization",
    "last-event-id",
    "content-encoding",
    "content-length",
];

/// The head of a request: the query, then a header in each line, whose first byte says which one.
pub(crate) fn head(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let query = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let Ok(uri) = format!("/api/v1/events?{query}").parse::<Uri>() else { return };
    let mut request = TestRequest::default().uri(&uri.to_string());
    for (first, value) in lines.filter_map(<[u8]>::split_first) {
        let name = NAMES[usize::from(first.wrapping_sub(b'a')) % NAMES.len()];
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        hosts::any_bytes(value.as_bytes());
        decide::any_bytes(value.as_bytes());
        if let Ok(text) = value.to_str() {
            let _ = (negotiate::format(Some(text)), negotiate::encoding(Some(text)));
        }
        request = request.append_header((HeaderName::from_static(name), value));
    }
    let request = request.to_http_request();
    let none = query::parse::<Nothing>(&request);
    assert!(none.is_err() || request.query_string().split('&').all(str::is_empty), "{uri}");
    refused(none.err());
    refused(any_events(&request));
    refused(any_precondition(&request));
    assert!(media_type(&request).is_none_or(|media| !media.contains(';')));
}

/// A refusal is a problem document of its own status.
fn refused(refusal: Option<Refusal>) {
    let Some(refusal) = refusal else { return };
    let body = refusal.error_response().into_body().try_into_bytes().unwrap_or_default();
    let problem = serde_json::from_slice::<gopher_api::Problem>(&body).ok();
    assert_eq!(problem.map(|problem| problem.status), Some(refusal.status_code().as_u16()), "{refusal}");
}
