//! The metrics endpoints.

use super::{Listener, ask};
use crate::http::testing::{PANIC, parts};
use actix_web::test::TestRequest;

#[actix_web::test]
async fn each_path_has_its_view_on_either_listener() {
    let parts = parts();
    for (listener, path, view) in [
        (Listener::Metrics, "/", "Configured"),
        (Listener::Metrics, "/metrics", "Configured"),
        (Listener::Metrics, "/metrics/cumulative", "Cumulative"),
        (Listener::Metrics, "/metrics/per_period", "PerPeriod"),
        (Listener::Rest, "/metrics", "Configured"),
        (Listener::Rest, "/metrics/cumulative", "Cumulative"),
        (Listener::Rest, "/metrics/per_period", "PerPeriod"),
    ] {
        let reply = ask(&parts, listener, TestRequest::get().uri(path)).await;
        assert_eq!(reply.shown(), format!("200 text/plain; version=0.0.4; charset=utf-8 # {view} -\n"));
        assert_eq!(reply.header("vary"), "Accept, Accept-Encoding");
        assert_eq!(reply.header("content-encoding"), "");
    }
}

#[actix_web::test]
async fn what_the_scraper_accepts_is_handed_on_and_the_coding_is_told() {
    let request = TestRequest::get()
        .uri("/metrics?ignored=1")
        .insert_header(("accept", "application/openmetrics-text"))
        .insert_header(("accept-encoding", "gzip, zstd"));
    let reply = ask(&parts(), Listener::Metrics, request).await;
    assert_eq!(reply.body, "# Configured application/openmetrics-text\n");
    assert_eq!(reply.header("content-encoding"), "gzip");
}

#[actix_web::test]
async fn other_methods_and_paths_are_refused() {
    let parts = parts();
    let reply = ask(&parts, Listener::Metrics, TestRequest::put().uri("/metrics")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"));
    for path in ["/tcp", "/api/v1/probes", "/metrics/", "/metrics/x"] {
        assert_eq!(ask(&parts, Listener::Metrics, TestRequest::get().uri(path)).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn an_encoder_that_panics_is_a_500_and_gives_its_turn_back() {
    let parts = parts();
    for _ in 0..3 {
        let request = TestRequest::get().uri("/metrics").insert_header(("accept", PANIC));
        assert_eq!(ask(&parts, Listener::Metrics, request).await.status, 500);
    }
    assert_eq!(ask(&parts, Listener::Metrics, TestRequest::get().uri("/metrics")).await.status, 200);
}
