//! Which handler answers which path and method, on either listener, and what answers when none does.

use super::error::{Door, Refusal};
use super::parts::Parts;
use super::{compat, health, metrics as exposition, native, openapi};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route, guard};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// A route for GET and HEAD; the server leaves the body of the latter out.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A path whose other methods are refused with `allow`.
fn resource(path: &str, door: Door, allow: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(Refusal::method_not_allowed(door, allow)) };
    web::resource(path).default_service(web::route().to(refuse))
}

async fn not_found(door: Door) -> Result<HttpResponse, Refusal> {
    Err(Refusal::not_found(door))
}

/// What the REST listener and the unix socket answer.
pub fn rest(parts: web::Data<Parts>) -> impl FnOnce(&mut ServiceConfig) {
    use native::{apply, daemon, host, probes, spool, targets};
    let native_at = |path: &str, allow| resource(path, Door::Native, allow);
    move |config| {
        config
            .app_data(parts)
            .configure(everywhere)
            .service(native_at("/api/v1/probes", "GET, HEAD").route(get().to(probes::list)))
            .service(native_at("/api/v1/probes:apply", "POST").route(web::post().to(apply::apply)))
            .service(native_at("/api/v1/probes:save", "POST").route(web::post().to(daemon::save)))
            .service(
                native_at("/api/v1/probes/{feature}", "GET, HEAD, PUT, PATCH, DELETE")
                    .route(get().to(probes::get))
                    .route(web::put().to(probes::put))
                    .route(web::patch().to(probes::patch))
                    .route(web::delete().to(probes::delete)),
            )
            .service(native_at("/api/v1/targets", "GET, HEAD").route(get().to(targets::get)))
            .service(native_at("/api/v1/capabilities", "GET, HEAD").route(get().to(host::capabilities)))
            .service(
                native_at("/api/v1/log-level", "GET, HEAD, PUT")
                    .route(get().to(daemon::log_level))
                    .route(web::put().to(daemon::set_log_level)),
            )
            .service(native_at("/api/v1/spool", "GET, HEAD").route(get().to(spool::get)))
            .service(native_at("/api/v1/spool:purge", "POST").route(web::post().to(spool::purge)))
            .service(native_at("/api/v1/openapi.json", "GET, HEAD").route(get().to(openapi::get)))
            // `api` is a reserved feature name: everything below it is the native door's.
            .route("/api", web::route().to(|| not_found(Door::Native)))
            .route("/api/{tail:.*}", web::route().to(|| not_found(Door::Native)))
            .service(
                resource("/{feature}", Door::Compatible, "GET, HEAD, PUT")
                    .route(get().to(compat::get))
                    .route(web::put().to(compat::put)),
            )
            .default_service(web::route().to(|| not_found(Door::Compatible)));
    }
}

/// What the metrics listener answers.
pub fn metrics(parts: web::Data<Parts>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(parts)
            .configure(everywhere)
            .service(resource("/", Door::Native, "GET, HEAD").route(get().to(exposition::configured)))
            .default_service(web::route().to(|| not_found(Door::Native)));
    }
}

fn everywhere(config: &mut ServiceConfig) {
    let plain = |path: &str| resource(path, Door::Native, "GET, HEAD");
    config
        .service(plain("/metrics").route(get().to(exposition::configured)))
        .service(plain("/metrics/cumulative").route(get().to(exposition::cumulative)))
        .service(plain("/metrics/per_period").route(get().to(exposition::per_period)))
        .service(plain("/healthz").route(get().to(health::healthz)))
        .service(plain("/readyz").route(get().to(health::readyz)));
}

/// A handler that panics is a 500 and a line in the log; the connection and the process go on.
pub(super) async fn contain<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    // The request itself cannot be kept: routing needs to be its only owner.
    let (method, path) = (request.method().clone(), request.path().to_owned());
    AssertUnwindSafe(next.call(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%method, path, "a handler panicked");
        let detail = "internal error; the log says more";
        Err(Refusal::new(Door::Native, StatusCode::INTERNAL_SERVER_ERROR, detail).into())
    })
}
