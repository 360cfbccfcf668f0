//! What waits to be delivered: showing it, and giving it up.

use super::daemon::document;
use super::{DOOR, expect_type};
use crate::access::audit;
use crate::http::error::Refusal;
use crate::http::parts::Parts;
use crate::http::query::{self, Nothing};
use crate::http::{answer, body, guard};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{PurgeRequest, Purged, SpoolDocument};
use serde_json::json;

/// The spool, and how far every sink is that reads it.
#[utoipa::path(get, path = "/api/v1/spool", operation_id = "get_spool", tag = "daemon", responses(
    (status = 200, description = "What waits.", body = SpoolDocument),
    (status = 400, description = "A query key, of which there are none.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn get(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    Ok(answer::json(StatusCode::OK, &parts.spool.document()))
}

/// Gives up what waits for one sink. It is counted as lost.
#[utoipa::path(post, path = "/api/v1/spool:purge", operation_id = "purge_spool", tag = "daemon", request_body = PurgeRequest, responses(
    (status = 200, description = "It is given up.", body = Purged),
    (status = 400, description = "Syntax, an unknown key, or a query key.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 404, description = "No such sink.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 408, description = "The body did not arrive in time.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 413, description = "The body is larger than 1 MiB.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 415, description = "Another content type.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn purge(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    expect_type(&request, "application/json")?;
    let body = body::read(&request, payload, DOOR, parts.body_timeout).await?;
    let PurgeRequest { sink } = document(&body)?;
    let Some(discarded) = parts.spool.purge(&sink) else {
        let detail = "there is no such sink; GET /api/v1/spool lists them";
        return Err(Refusal::new(DOOR, StatusCode::NOT_FOUND, detail));
    };
    let purged = Purged { sink, discarded };
    audit::record(&guard::actor(&request, DOOR), "spool", &json!({}), &json!(purged), None);
    Ok(answer::json(StatusCode::OK, &purged))
}
