//! `/healthz` and `/readyz`, on both listeners.

use super::{Listener, ask, get, send};
use crate::http::testing::parts;
use crate::readiness::Readiness;
use actix_web::test::TestRequest;

#[actix_web::test]
async fn readiness_is_503_while_starting_and_stopping_only_unless_strict() {
    let mut parts = parts();
    parts.readiness = Readiness::default();
    assert_eq!(
        get(&parts, "/readyz").await.shown(),
        "503 application/json {\"ready\":false,\"problems\":[]}\n"
    );
    parts.readiness.serving();
    for listener in [Listener::Rest, Listener::Metrics] {
        let reply = ask(&parts, listener, TestRequest::get().uri("/readyz?strict=1")).await;
        assert_eq!(reply.shown(), "200 application/json {\"ready\":true,\"problems\":[]}\n");
    }
    parts.readiness.set("kafka", vec!["no broker answers".into()]);
    let body = "{\"ready\":true,\"problems\":[{\"source\":\"kafka\",\"detail\":\"no broker answers\"}]}\n";
    assert_eq!(get(&parts, "/readyz").await.shown(), format!("200 application/json {body}"));
    assert_eq!(get(&parts, "/readyz?strict=0").await.status, 200);
    assert_eq!(get(&parts, "/readyz?strict=1").await.shown(), format!("503 application/json {body}"));
    for value in ["", "true", "2", "maybe"] {
        assert_eq!(get(&parts, &format!("/readyz?strict={value}")).await.status, 400, "{value}");
    }
    parts.readiness.set("kafka", vec![]);
    assert_eq!(get(&parts, "/readyz?strict=1").await.status, 200);
    parts.readiness.stopping();
    assert_eq!(get(&parts, "/readyz").await.status, 503);
}

#[actix_web::test]
async fn a_sub_probe_that_is_refused_everywhere_is_a_problem_while_it_is() {
    let parts = parts();
    let change = async |body: &str| {
        let path = "/api/v1/probes/tcp";
        assert_eq!(send(&parts, "PATCH", path, "application/merge-patch+json", body).await.status, 200);
    };
    let readyz_until = async |told: usize| loop {
        let document = get(&parts, "/readyz").await.json();
        if document["problems"].as_array().expect("a list").len() == told {
            return document["problems"].clone();
        }
        tokio::task::yield_now().await;
    };
    change(r#"{"params":{"drops_thr":12},"state":"running"}"#).await;
    let problem = serde_json::json!({"source": "tcp", "detail": "first: it is refused everywhere"});
    assert_eq!(readyz_until(1).await, serde_json::json!([problem]));
    let document = get(&parts, "/api/v1/probes/tcp").await.json();
    assert_eq!(document["status"]["state"], "degraded");
    assert_eq!(
        document["status"]["sub_probes"][0]["missing"],
        serde_json::json!(["it is refused everywhere"])
    );
    change(r#"{"state":"stopped"}"#).await;
    readyz_until(0).await;
}

#[actix_web::test]
async fn the_process_answers_on_both_listeners() {
    for listener in [Listener::Rest, Listener::Metrics] {
        let reply = ask(&parts(), listener, TestRequest::get().uri("/healthz")).await;
        assert_eq!(reply.shown(), "200 text/plain; charset=utf-8 ok\n");
    }
}

#[test]
fn problems_are_bounded_and_the_rest_is_counted() {
    let readiness = Readiness::default();
    readiness.set("x", (0..250).map(|n| n.to_string()).collect());
    let problems = readiness.problems();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].detail, "150 more; the log has them");
}
