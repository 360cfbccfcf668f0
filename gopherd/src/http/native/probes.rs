//! `/api/v1/probes` and one probe: listed, shown, replaced, patched, forgotten.

use super::precondition::{IfMatch, if_match};
use super::{DOOR, expect_type, find};
use crate::feature::{Edit, Problem};
use crate::http::document::{self, Beside};
use crate::http::error::{Refusal, UNFINISHED};
use crate::http::openapi::{ChangeErrors, ReadErrors};
use crate::http::parts::Parts;
use crate::http::query::{self, Nothing};
use crate::http::{answer, body, guard};
use crate::manager::{Change, Changed, Item, Origin};
use crate::readiness::PROBES_INIT;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{ProbeDocument, ProbeList};

/// Every feature: what it is and how it fares.
#[utoipa::path(get, path = "/api/v1/probes", operation_id = "list_probes", tag = "probes", responses(
    (status = 200, description = "Every feature.", body = ProbeList),
    (status = 400, description = "A query key, of which there are none.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn list(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    let items = parts.manager.views().all().map(|view| document::item(&view, Beside::of(&parts, &view)));
    let mut problems = parts.readiness.problems();
    problems.retain(|problem| problem.source == PROBES_INIT);
    let list = ProbeList { items: items.collect(), daemon: parts.metrics.daemon(), problems };
    Ok(answer::json(StatusCode::OK, &list))
}

/// The probe document.
#[utoipa::path(get, path = "/api/v1/probes/{feature}", operation_id = "get_probe", tag = "probes",
    params(("feature" = String, Path, example = "baseinfo", description = "Name of a feature.")),
    responses(
        (status = 200, description = "The document.", body = ProbeDocument,
            headers(("ETag" = String, description = "The generation, quoted."))),
        ReadErrors,
))]
pub(in crate::http) async fn get(
    request: HttpRequest,
    name: web::Path<String>,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    let view = find(&parts, &name)?;
    Ok(answer::tagged(view.generation, &document::probe(&view, Beside::of(&parts, &view), Vec::new())))
}

/// The desired configuration, whole.
#[utoipa::path(put, path = "/api/v1/probes/{feature}", operation_id = "put_probe", tag = "probes",
    params(
        ("feature" = String, Path, example = "baseinfo", description = "Name of a feature."),
        IfMatch,
    ),
    request_body = gopher_api::ProbeConfig,
    responses(
        (status = 200, description = "It takes effect.", body = ProbeDocument,
            headers(("ETag" = String, description = "The generation, quoted."))),
        ChangeErrors,
))]
pub(in crate::http) async fn put(
    request: HttpRequest,
    name: web::Path<String>,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    with_body(&request, &name, &parts, payload, "application/json", Edit::replace).await
}

/// A merge patch (RFC 7396); null restores the default.
#[utoipa::path(patch, path = "/api/v1/probes/{feature}", operation_id = "patch_probe", tag = "probes",
    params(
        ("feature" = String, Path, example = "baseinfo", description = "Name of a feature."),
        IfMatch,
    ),
    request_body(content((gopher_api::ProbePatch = "application/merge-patch+json"))),
    responses(
        (status = 200, description = "It takes effect.", body = ProbeDocument,
            headers(("ETag" = String, description = "The generation, quoted."))),
        ChangeErrors,
))]
pub(in crate::http) async fn patch(
    request: HttpRequest,
    name: web::Path<String>,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    with_body(&request, &name, &parts, payload, "application/merge-patch+json", Edit::patch).await
}

/// Stops the probe and forgets its configuration.
#[utoipa::path(delete, path = "/api/v1/probes/{feature}", operation_id = "forget_probe", tag = "probes",
    params(
        ("feature" = String, Path, example = "baseinfo", description = "Name of a feature."),
        IfMatch,
    ),
    responses(
        (status = 200, description = "Forgotten.", body = ProbeDocument,
            headers(("ETag" = String, description = "The generation, quoted."))),
        ReadErrors,
        (status = 412, description = "The generation is another one.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 503, description = "Too many changes wait, or the daemon is stopping.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 504, description = "The probe has not ended in time; that goes on.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn delete(
    request: HttpRequest,
    name: web::Path<String>,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    change(&request, &name, &parts, Edit::Forget).await
}

async fn with_body(
    request: &HttpRequest,
    name: &str,
    parts: &Parts,
    payload: web::Payload,
    media_type: &'static str,
    read: fn(&[u8]) -> Result<Edit, Problem>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(request)?;
    // Before the body is read, so that nobody uploads to nowhere.
    find(parts, name)?;
    expect_type(request, media_type)?;
    let body = body::read(request, payload, DOOR, parts.body_timeout).await?;
    let edit = read(&body).map_err(|problem| Refusal::problem(DOOR, &problem))?;
    change(request, name, parts, edit).await
}

async fn change(
    request: &HttpRequest,
    name: &str,
    parts: &Parts,
    edit: Edit,
) -> Result<HttpResponse, Refusal> {
    let view = find(parts, name)?;
    let if_match = if_match(request, view.generation)?;
    let items = vec![Item { feature: view.descriptor.name, edit, if_match }];
    let actor = guard::actor(request, DOOR);
    let change = Change { items, dry_run: false, origin: Origin::Request, actor };
    let changed = parts.manager.change(change).await.map_err(|faults| Refusal::single(DOOR, &faults))?;
    if changed.iter().any(|changed| changed.unfinished) {
        return Err(Refusal::new(DOOR, StatusCode::GATEWAY_TIMEOUT, UNFINISHED));
    }
    let Some(Changed { view, warnings, .. }) = changed.into_iter().next() else {
        return Err(Refusal::not_found(DOOR));
    };
    Ok(answer::tagged(view.generation, &document::probe(&view, Beside::of(parts, &view), warnings)))
}
