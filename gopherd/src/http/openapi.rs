//! The OpenAPI document: made of the handlers' and documents' own descriptions, committed as
//! `api/openapi.json`, and compared by a test.

use super::error::Refusal;
use super::openapi_access::Guarded;
use super::query::{self, Nothing};
use super::{compat, health, metrics, native};
use actix_web::{HttpRequest, HttpResponse};
use gopher_api::Problem;
use utoipa::{IntoResponses, OpenApi};

/// What a reading request can be refused with.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum ReadErrors {
    /// A query key or value that is unknown.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No such feature.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// What a change of one feature can be refused with.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum ChangeErrors {
    /// Syntax, an unknown key, a wrong type, a value out of range; `path` says where.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No such feature.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(Problem),
    /// The generation is another one.
    #[response(status = 412, content_type = "application/problem+json")]
    Stale(Problem),
    /// The body is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Another content type.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(Problem),
    /// It cannot run here (`requirements` says why) or did not start; nothing has changed.
    #[response(status = 422, content_type = "application/problem+json")]
    Refused(Problem),
    /// Too many changes wait, or the daemon is stopping.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
    /// The probe has not started or ended in time; that goes on.
    #[response(status = 504, content_type = "application/problem+json")]
    Unfinished(Problem),
}

/// What a transaction can be refused with.
#[derive(Debug, IntoResponses)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum ApplyErrors {
    /// Syntax, an unknown key or feature, a wrong type, a value out of range; `faults` says where.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(Problem),
    /// The body is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Another content type.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(Problem),
    /// Some part cannot run here or did not start; nothing has changed.
    #[response(status = 422, content_type = "application/problem+json")]
    Refused(Problem),
    /// Too many changes wait, or the daemon is stopping.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
    /// A probe has not started or ended in time; that goes on.
    #[response(status = 504, content_type = "application/problem+json")]
    Unfinished(Problem),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gopherd",
        description = "Control and metrics of the node observability daemon.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Guarded),
    paths(
        compat::get,
        compat::put,
        native::probes::list,
        native::probes::get,
        native::probes::put,
        native::probes::patch,
        native::probes::delete,
        native::apply::apply,
        native::daemon::save,
        native::daemon::log_level,
        native::daemon::set_log_level,
        native::targets::get,
        native::spool::get,
        native::spool::purge,
        native::host::capabilities,
        get,
        metrics::configured,
        metrics::cumulative,
        metrics::per_period,
        health::healthz,
        health::readyz,
    )
)]
struct Document;

/// The document as committed: indented, with a newline at its end.
pub fn openapi() -> String {
    // The document is made of strings, maps and lists, which always serialize.
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "get_openapi", tag = "daemon", responses(
    (status = 200, description = "The OpenAPI document of this version.", body = Object),
    (status = 400, description = "A query key, of which there are none.", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let Nothing {} = query::parse(&request)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(openapi()))
}
