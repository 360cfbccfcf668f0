//! `GET /api/v1/targets`: what a feature's scope resolves to, and why.

use super::{DOOR, find};
use crate::http::error::Refusal;
use crate::http::openapi::ReadErrors;
use crate::http::parts::Parts;
use crate::http::{answer, query};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::TargetPage;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetQuery {
    feature: String,
    pid: Option<u32>,
}

/// What the scope resolves to now, and why a pid is or is not matched.
#[utoipa::path(get, path = "/api/v1/targets", operation_id = "get_targets", tag = "probes",
    params(
        ("feature" = String, Query, example = "baseinfo", description = "Name of a feature."),
        ("pid" = Option<u32>, Query, description = "A pid to explain."),
    ),
    responses((status = 200, description = "What is observed.", body = TargetPage), ReadErrors))]
pub(in crate::http) async fn get(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let TargetQuery { feature, pid } = query::parse(&request)?;
    let feature = find(&parts, &feature)?.descriptor.name;
    let targets = Arc::clone(&parts.targets);
    // Explaining reads /proc.
    let list = web::block(move || targets.list(feature, pid)).await.map_err(|error| {
        tracing::error!(%error, "listing targets failed");
        Refusal::new(DOOR, StatusCode::INTERNAL_SERVER_ERROR, "the targets could not be listed")
    })?;
    Ok(answer::json(StatusCode::OK, &list))
}
