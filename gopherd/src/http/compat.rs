//! The compatible door: `GET` and `PUT /<feature>`, in the reference's shapes.

use super::document::{self, Beside};
use super::error::{Door, Refusal, UNFINISHED};
use super::parts::Parts;
use super::{answer, body, guard, query};
use crate::feature::{self, Edit};
use crate::manager::{Change, FeatureView, Item, Origin};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{ApplyResult, CompatAnswer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

const DOOR: Door = Door::Compatible;

/// The feature that the path names, in any case.
fn find(parts: &Parts, name: &str) -> Result<Arc<FeatureView>, Refusal> {
    let mut all = parts.manager.views().all();
    all.find(|view| view.descriptor.name.eq_ignore_ascii_case(name)).ok_or_else(|| Refusal::not_found(DOOR))
}

/// The configuration in the reference's shape, and the true state.
#[utoipa::path(get, path = "/{feature}", operation_id = "compatible_get", tag = "compatible",
    params(("feature" = String, Path, example = "baseinfo", description = "Name of a feature, in any case.")),
    responses(
        (status = 200, description = "One line; `{}` if it was never configured.", body = Object),
        (status = 404, description = "No such feature.", body = CompatAnswer),
))]
pub(super) async fn get(name: web::Path<String>, parts: web::Data<Parts>) -> Result<HttpResponse, Refusal> {
    let view = find(&parts, &name)?;
    let mut document = feature::document(view.descriptor, view.config.as_ref());
    if let Some(members) = document.as_object_mut().filter(|_| view.config.is_some()) {
        // What is wanted is `state`; a start from somewhere else (a retry) shows in `status` alone.
        let status = document::status(&view, Beside::of(&parts, &view));
        members.insert("status".to_owned(), json!(status));
    }
    Ok(answer::json(StatusCode::OK, &document))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    dry_run: bool,
}

/// Whether nothing shall be changed. Any other query is ignored, as drop-in clients expect; a misspelt value
/// of this one must not make the change that it was to avoid.
fn dry_run(request: &HttpRequest) -> Result<bool, Refusal> {
    if !request.query_string().contains("dry_run") {
        return Ok(false);
    }
    query::parse_at::<PutQuery>(DOOR, request).map(|query| query.dry_run)
}

/// What a PUT is answered with, as described to clients.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum PutAnswer {
    /// To a change.
    Changed(CompatAnswer),
    /// To one with `dry_run`.
    DryRun(ApplyResult),
}

/// A change, merged over what is configured.
#[utoipa::path(put, path = "/{feature}", operation_id = "compatible_put", tag = "compatible",
    params(
        ("feature" = String, Path, example = "baseinfo", description = "Name of a feature, in any case."),
        ("dry_run" = Option<bool>, Query, description = "Check everything, change nothing; answered as `apply_probes` answers."),
    ),
    request_body(description = "`json=` and a JSON object; or the object alone, as `application/json`.",
        content((String = "application/x-www-form-urlencoded"), (Object = "application/json"))),
    responses(
        (status = 200, description = "It takes effect, or would.", body = PutAnswer),
        (status = 400, description = "Refused, nothing changed.", body = CompatAnswer),
        (status = 404, description = "No such feature.", body = CompatAnswer),
        (status = 408, description = "The body did not arrive in time.", body = CompatAnswer),
        (status = 413, description = "The body is larger than 1 MiB.", body = CompatAnswer),
        (status = 503, description = "Too many changes wait, or the daemon is stopping.", body = CompatAnswer),
        (status = 504, description = "The probe has not started in time; the start goes on.", body = CompatAnswer),
))]
pub(super) async fn put(
    request: HttpRequest,
    name: web::Path<String>,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let view = find(&parts, &name)?;
    let dry_run = dry_run(&request)?;
    let body = body::read(&request, payload, DOOR, parts.body_timeout).await?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let edit = Edit::compat(&body, content_type).map_err(|problem| Refusal::problem(DOOR, &problem))?;
    let item = Item { feature: view.descriptor.name, edit, if_match: None };
    let actor = guard::actor(&request, DOOR);
    let change = Change { items: vec![item], dry_run, origin: Origin::Request, actor };
    let changed = parts.manager.change(change).await.map_err(|faults| Refusal::single(DOOR, &faults))?;
    if changed.iter().any(|changed| changed.unfinished) {
        return Err(Refusal::new(DOOR, StatusCode::GATEWAY_TIMEOUT, UNFINISHED));
    }
    if dry_run {
        let applied = changed.into_iter().map(|changed| {
            (
                changed.feature.to_owned(),
                document::applied(changed, &view, dry_run, parts.metrics.cost(view.descriptor.name)),
            )
        });
        let generation = *parts.manager.changes().borrow();
        let result = ApplyResult { dry_run, generation, probes: applied.collect() };
        return Ok(answer::json(StatusCode::OK, &result));
    }
    let warnings = changed.into_iter().flat_map(|changed| changed.warnings).collect();
    Ok(answer::json(StatusCode::OK, &CompatAnswer::success(warnings)))
}
