//! `/healthz`: the process answers. `/readyz`: it does what it was told to, and what it does not.

use super::answer;
use super::error::Refusal;
use super::parts::Parts;
use super::query;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{Ready, ReadyProblem};
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadyQuery {
    #[serde(default)]
    strict: Strict,
}

/// A switch in a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum Strict {
    #[default]
    #[serde(rename = "0")]
    Off,
    #[serde(rename = "1")]
    On,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "The process answers.", content_type = "text/plain", body = String),
))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Whether the daemon does what it was told to.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("strict" = inline(Option<Strict>), Query, description = "1: any problem is a 503.")),
    responses(
        (status = 200, description = "Ready; `problems` may still name some.", body = Ready),
        (status = 400, description = "A query key or value that is unknown.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 503, description = "Starting, stopping, or, when strict, any problem.", body = Ready),
))]
pub(super) async fn readyz(request: HttpRequest, parts: web::Data<Parts>) -> Result<HttpResponse, Refusal> {
    let ReadyQuery { strict } = query::parse(&request)?;
    let mut document = parts.readiness.document();
    let of_features = parts.manager.views().problems();
    document
        .problems
        .extend(of_features.map(|(source, detail)| ReadyProblem { source: source.into(), detail }));
    let well = document.ready && (strict == Strict::Off || document.problems.is_empty());
    Ok(answer::json(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &document))
}
