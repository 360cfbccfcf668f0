//! The daemon itself: saving probes.init, the log level.

use super::{DOOR, expect_type};
use crate::access::audit;
use crate::http::error::Refusal;
use crate::http::parts::{Parts, SaveError};
use crate::http::query::{self, Nothing};
use crate::http::{answer, body, guard};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use gopher_api::{LogLevelDocument, SaveRequest, Saved};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;

/// Writes the present set to probes.init.
#[utoipa::path(post, path = "/api/v1/probes:save", operation_id = "save_probes", tag = "probes",
    request_body(description = "Nothing that matters; its type must be JSON all the same.", content = SaveRequest),
    responses(
        (status = 200, description = "It is on disk.", body = Saved),
        (status = 400, description = "A query key, or a body that says something.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 408, description = "The body did not arrive in time.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 413, description = "The body is larger than 1 MiB.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 409, description = "The set came from an environment variable, which is named.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 415, description = "Another content type.", content_type = "application/problem+json", body = gopher_api::Problem),
        (status = 500, description = "Writing did not work; the old file is still there.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn save(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    expect_type(&request, "application/json")?;
    let body = body::read(&request, payload, DOOR, parts.body_timeout).await?;
    if !body.is_empty() {
        let SaveRequest {} = document(&body)?;
    }
    let saver = Arc::clone(&parts.saver);
    let failed = |detail: String| Refusal::new(DOOR, StatusCode::INTERNAL_SERVER_ERROR, detail);
    match web::block(move || saver.save()).await {
        Ok(Ok(saved)) => {
            audit::record(&guard::actor(&request, DOOR), "probes.init", &json!({}), &json!(saved), None);
            Ok(answer::json(StatusCode::OK, &saved))
        }
        Ok(Err(error @ SaveError::FromEnvironment(_))) => {
            Err(Refusal::new(DOOR, StatusCode::CONFLICT, error.to_string()))
        }
        Ok(Err(error @ SaveError::Failed(_))) => Err(failed(error.to_string())),
        Err(error) => {
            tracing::error!(%error, "saving probes.init failed");
            Err(failed("saving failed; the log says why".into()))
        }
    }
}

/// The minimum level of the daemon's log.
#[utoipa::path(get, path = "/api/v1/log-level", operation_id = "get_log_level", tag = "daemon", responses(
    (status = 200, description = "The level.", body = LogLevelDocument),
    (status = 400, description = "A query key, of which there are none.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn log_level(
    request: HttpRequest,
    parts: web::Data<Parts>,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    Ok(answer::json(StatusCode::OK, &level_document(&parts)))
}

/// Changes it until the daemon ends or reads its configuration again.
#[utoipa::path(put, path = "/api/v1/log-level", operation_id = "put_log_level", tag = "daemon", request_body = LogLevelDocument, responses(
    (status = 200, description = "The level now.", body = LogLevelDocument),
    (status = 400, description = "No such level, or a query key.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 408, description = "The body did not arrive in time.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 413, description = "The body is larger than 1 MiB.", content_type = "application/problem+json", body = gopher_api::Problem),
    (status = 415, description = "Another content type.", content_type = "application/problem+json", body = gopher_api::Problem),
))]
pub(in crate::http) async fn set_log_level(
    request: HttpRequest,
    parts: web::Data<Parts>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    expect_type(&request, "application/json")?;
    let body = body::read(&request, payload, DOOR, parts.body_timeout).await?;
    let LogLevelDocument { level } = document(&body)?;
    let before = parts.log_level.get();
    parts.log_level.set(level);
    audit::record(&guard::actor(&request, DOOR), "log level", &json!(before), &json!(level), None);
    Ok(answer::json(StatusCode::OK, &level_document(&parts)))
}

/// A document that is nothing but its type.
pub(super) fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // serde takes an array for a struct, which no schema says.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    let error = match serde_json::from_slice(body) {
        Ok(document) if is_object => return Ok(document),
        Ok(_) => "expected an object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Refusal::new(DOOR, StatusCode::BAD_REQUEST, format!("invalid json format: {error}")))
}

fn level_document(parts: &Parts) -> LogLevelDocument {
    LogLevelDocument { level: parts.log_level.get() }
}
