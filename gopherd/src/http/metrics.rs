//! The metrics endpoints. The store's expose module encodes; here is only which view, and that at most a few
//! expositions are encoded at the same time, off the worker that answers everybody else.

use super::error::{Door, RETRY_AFTER_S, Refusal};
use super::parts::{Parts, View};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;

/// The view that `metric.semantics` chose.
#[utoipa::path(get, path = "/metrics", operation_id = "get_metrics", tag = "metrics", responses(
    (status = 200, description = "Prometheus text, or OpenMetrics when `Accept` prefers it; gzip or zstd when `Accept-Encoding` has it.",
        content((String = "text/plain"), (String = "application/openmetrics-text"))),
    (status = 503, description = "Too much waits for clients that read slowly.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(super) async fn configured(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    expose(&request, &parts, View::Configured).await
}

/// Counters as the kernel counts.
#[utoipa::path(get, path = "/metrics/cumulative", operation_id = "get_metrics_cumulative", tag = "metrics", responses(
    (status = 200, description = "As `/metrics`, cumulative.",
        content((String = "text/plain"), (String = "application/openmetrics-text"))),
    (status = 503, description = "Too much waits for clients that read slowly.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(super) async fn cumulative(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    expose(&request, &parts, View::Cumulative).await
}

/// Values of the last completed report period, as gala-gopher's consumers need them.
#[utoipa::path(get, path = "/metrics/per_period", operation_id = "get_metrics_per_period", tag = "metrics", responses(
    (status = 200, description = "Text with timestamps and without HELP and TYPE; empty before the first period has ended.",
        content((String = "text/plain"))),
    (status = 503, description = "Too much waits for clients that read slowly.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(super) async fn per_period(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    expose(&request, &parts, View::PerPeriod).await
}

async fn expose(request: &HttpRequest, parts: &Parts, view: View) -> Result<HttpResponse, Refusal> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (accept, encoding) = (text(header::ACCEPT), text(header::ACCEPT_ENCODING));
    let failed =
        |_| Refusal::new(Door::Native, StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded");
    // The semaphore is never closed, so waiting for it does not fail.
    let turn = Arc::clone(&parts.encoders).acquire_owned().await.map_err(|_| failed(()))?;
    let metrics = Arc::clone(&parts.metrics);
    let exposition = web::block(move || {
        let _turn = turn;
        metrics.expose(view, accept.as_deref(), encoding.as_deref())
    })
    .await
    .map_err(|error| {
        tracing::error!(%error, "encoding the metrics failed");
        failed(())
    })?;
    let mut response = HttpResponse::Ok();
    response.content_type(exposition.content_type);
    response.insert_header((header::VARY, "Accept, Accept-Encoding"));
    if let Some(encoding) = exposition.content_encoding {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    let body = parts.sending.body(exposition.body).ok_or_else(|| {
        let detail = "other clients are too slow in reading their metrics; try again";
        Refusal::new(Door::Native, StatusCode::SERVICE_UNAVAILABLE, detail)
            .with(header::RETRY_AFTER, RETRY_AFTER_S)
    })?;
    Ok(response.body(body))
}
