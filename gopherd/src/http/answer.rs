//! Answers that are documents: one line of JSON and a newline.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

/// A document as its line.
pub(super) fn line(document: &impl Serialize) -> String {
    // Serializing fails only for maps whose keys are no strings, which no document has; were there one, an
    // empty object is still JSON.
    let mut text = serde_json::to_string(document).unwrap_or_else(|error| {
        tracing::error!(%error, "a document could not be serialized");
        "{}".into()
    });
    text.push('\n');
    text
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(line(document))
}

/// A JSON answer with the generation as its ETag.
pub(super) fn tagged(generation: u64, document: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, format!("\"{generation}\"")))
        .content_type("application/json")
        .body(line(document))
}
