//! The native door: `/api/v1`. Strict where the compatible door is lenient; every refusal is a problem document.

pub(super) mod apply;
pub(super) mod daemon;
pub(super) mod events;
pub(super) mod host;
mod precondition;
pub(super) mod probes;
pub(super) mod spool;
pub(super) mod targets;

use super::body::media_type;
use super::error::{Door, Refusal};
use super::parts::Parts;
use crate::manager::FeatureView;
use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use std::sync::Arc;

#[cfg(any(test, feature = "testing"))]
pub(super) use events::any_head as any_events;
#[cfg(any(test, feature = "testing"))]
pub(super) use precondition::any_head as any_precondition;

const DOOR: Door = Door::Native;

/// The feature with exactly this name.
fn find(parts: &Parts, name: &str) -> Result<Arc<FeatureView>, Refusal> {
    parts.manager.views().get(name).ok_or_else(|| {
        Refusal::new(DOOR, StatusCode::NOT_FOUND, "no such feature; GET /api/v1/probes lists them")
    })
}

/// Refuses a body of another media type or with a coding.
fn expect_type(request: &HttpRequest, expected: &'static str) -> Result<(), Refusal> {
    let coded = request.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if coded {
        let detail = "the body must have no Content-Encoding";
        return Err(Refusal::new(DOOR, StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    if media_type(request).as_deref() == Some(expected) {
        return Ok(());
    }
    Err(Refusal::new(
        DOOR,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("the Content-Type must be {expected}"),
    ))
}
