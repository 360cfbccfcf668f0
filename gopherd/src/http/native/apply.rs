//! `POST /api/v1/probes:apply`: several features in one transaction.

use super::{DOOR, expect_type};
use crate::feature::{Edit, Path, Problem};
use crate::http::error::{Refusal, UNFINISHED};
use crate::http::openapi::ApplyErrors;
use crate::http::parts::Parts;
use crate::http::{answer, body, document, guard, query};
use crate::manager::{Change, Item, Origin};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{ApplyRequest, ApplyResult};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
}

/// All features' changes take effect, or none.
#[utoipa::path(post, path = "/api/v1/probes:apply", operation_id = "apply_probes", tag = "probes",
    params(("dry_run" = Option<bool>, Query, description = "Check everything, change nothing.")),
    request_body = ApplyRequest,
    responses(
        (status = 200, description = "All take effect, or would.", body = ApplyResult),
        ApplyErrors,
))]
pub(in crate::http) async fn apply(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let ApplyQuery { dry_run } = query::parse(&request)?;
    expect_type(&request, "application/json")?;
    let body = body::read(&request, payload, DOOR, parts.body_timeout).await?;
    let edits = Edit::apply(&body).map_err(|problem| Refusal::problem(DOOR, &problem))?;
    let views = parts.manager.views();
    let (mut items, mut unknown) = (Vec::with_capacity(edits.len()), Vec::new());
    for (feature, edit) in edits {
        match views.get(&feature) {
            Some(view) => items.push(Item { feature: view.descriptor.name, edit, if_match: None }),
            None => {
                let detail = "no such feature; GET /api/v1/probes lists them";
                unknown.push((feature, Problem::invalid(Path::default(), detail)));
            }
        }
    }
    // With a feature that does not exist nothing may change, but the faults of the others are told too.
    let (dry_run, actor) = (dry_run || !unknown.is_empty(), guard::actor(&request, DOOR));
    let change = Change { items, dry_run, origin: Origin::Request, actor };
    let answer = parts.manager.change(change).await;
    if answer.is_err() || !unknown.is_empty() {
        let others = answer.err().unwrap_or_default();
        unknown.extend(others.into_iter().map(|fault| (fault.feature.to_owned(), fault.problem)));
        return Err(Refusal::transaction(&unknown));
    }
    let changed = answer.unwrap_or_default();
    if changed.iter().any(|changed| changed.unfinished) {
        return Err(Refusal::new(DOOR, StatusCode::GATEWAY_TIMEOUT, UNFINISHED));
    }
    let generation = *parts.manager.changes().borrow();
    let applied = changed.into_iter().filter_map(|changed| {
        let view = views.get(changed.feature)?;
        Some((
            changed.feature.to_owned(),
            document::applied(changed, &view, dry_run, parts.metrics.cost(view.descriptor.name)),
        ))
    });
    Ok(answer::json(StatusCode::OK, &ApplyResult { dry_run, generation, probes: applied.collect() }))
}
