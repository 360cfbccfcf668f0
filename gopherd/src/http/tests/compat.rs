//! `/<feature>`: the reference's shapes, byte for byte.

use super::{get, send};
use crate::http::testing::{open_gate, parts, parts_with};
use gopher_api::Saved;
use std::time::Duration;

const FORM: &str = "application/x-www-form-urlencoded";

#[actix_web::test]
async fn a_change_answers_as_the_reference_does_and_get_shows_what_is_wanted_and_what_is() {
    let parts = parts();
    assert_eq!(get(&parts, "/tcp").await.shown(), "200 application/json {}\n");
    let body = r#"json={"cmd":{"probe":["first"]},"params":{"report_period":30},"state":"running"}"#;
    let reply = send(&parts, "PUT", "/TCP", FORM, body).await;
    let expected = "200 application/json {\"result\":\"success\",\"message\":\"New config takes effect\"}\n";
    assert_eq!(reply.shown(), expected);

    let mut document = get(&parts, "/Tcp").await.json();
    let status = document.as_object_mut().unwrap().remove("status").unwrap();
    assert_eq!(status["state"], "running");
    assert_eq!(document["state"], "running");
    assert_eq!(document["cmd"]["probe"], serde_json::json!(["first"]));
    assert_eq!(document["params"]["report_period"], 30);
}

#[actix_web::test]
async fn what_get_prints_is_accepted_without_a_warning_status_included() {
    let parts = parts();
    send(&parts, "PUT", "/tcp", FORM, r#"json={"blacklist":{},"state":"running"}"#).await;
    let document = get(&parts, "/tcp").await.body;
    let reply = send(&parts, "PUT", "/tcp", "application/json", &document).await;
    assert_eq!(reply.body, "{\"result\":\"success\",\"message\":\"New config takes effect\"}\n");
}

#[actix_web::test]
async fn what_was_ignored_is_named_in_warnings() {
    let reply =
        send(&parts(), "PUT", "/tcp", "application/json", r#"{"snooper":{},"state":"stopped"}"#).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["warnings"].as_array().unwrap().len(), 1, "{}", reply.body);
}

#[actix_web::test]
async fn a_bad_value_is_a_400_that_names_its_place_and_changes_nothing() {
    let parts = parts();
    let reply =
        send(&parts, "PUT", "/tcp", FORM, r#"json={"params":{"report_period":1},"state":"running"}"#).await;
    let expected = concat!(
        "400 application/json {\"result\":\"failed\",",
        "\"message\":\"params.report_period invalid value 1, must be in [5, 600]\",\"path\":\"params.report_period\"}\n"
    );
    assert_eq!(reply.shown(), expected);
    assert_eq!(get(&parts, "/tcp").await.body, "{}\n");
}

#[actix_web::test]
async fn a_message_with_quotes_is_valid_json() {
    let reply = send(&parts(), "PUT", "/tcp", FORM, r#"json={"cmd":{"probe":["a\"b\\"]}}"#).await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["message"].is_string());
}

#[actix_web::test]
async fn a_partial_start_succeeds_and_names_what_is_missing() {
    let parts = parts();
    let body = r#"{"cmd":{"probe":["first","broken"]},"state":"running"}"#;
    let reply = send(&parts, "PUT", "/tcp", "application/json", body).await;
    let expected = concat!(
        "200 application/json {\"result\":\"success\",\"message\":\"New config takes effect\",",
        "\"warnings\":[\"broken: kernel BTF\"]}\n"
    );
    assert_eq!(reply.shown(), expected);
    let document = get(&parts, "/tcp").await.json();
    assert_eq!((&document["state"], &document["status"]["state"]), (&"running".into(), &"degraded".into()));
}

#[actix_web::test]
async fn a_start_of_which_nothing_can_run_or_that_fails_is_a_400_and_nothing_changes() {
    let parts = parts();
    for body in [
        r#"{"cmd":{"probe":["broken"]},"state":"running"}"#,
        r#"{"params":{"drops_thr":11},"state":"running"}"#,
    ] {
        let reply = send(&parts, "PUT", "/tcp", "application/json", body).await;
        assert_eq!(reply.status, 400);
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("failed to start probe: "), "{message}");
        assert_eq!(get(&parts, "/tcp").await.body, "{}\n");
    }
}

#[actix_web::test]
async fn a_feature_that_is_not_built_keeps_its_configuration_and_does_not_start() {
    let parts = parts();
    let reply = send(&parts, "PUT", "/planned", FORM, r#"json={"state":"running"}"#).await;
    let expected = concat!(
        "400 application/json {\"result\":\"failed\",\"message\":\"not supported in the current version\",",
        "\"path\":\"state\"}\n"
    );
    assert_eq!(reply.shown(), expected);
    let reply = send(&parts, "PUT", "/planned", FORM, r#"json={"params":{"report_period":30}}"#).await;
    assert_eq!(reply.status, 200);
    let document = get(&parts, "/planned").await.json();
    assert_eq!(
        (&document["state"], &document["status"]["state"]),
        (&"stopped".into(), &"unavailable".into())
    );
}

#[actix_web::test]
async fn a_start_that_does_not_end_in_time_is_a_504_and_goes_on() {
    let parts = parts_with(Duration::ZERO, Ok(Saved { file: String::new(), features: 0 }));
    let reply = send(&parts, "PUT", "/slow", FORM, r#"json={"state":"running"}"#).await;
    assert_eq!(reply.status, 504, "{}", reply.body);
    assert_eq!(reply.json()["result"], "failed");
    let views = parts.manager.views();
    assert!(views.get("slow").unwrap().config.is_some(), "the wish is kept");
    open_gate();
}

#[actix_web::test]
async fn a_daemon_that_is_stopping_says_so_and_when_to_try_again() {
    let parts = parts();
    parts.manager.shutdown(Duration::from_secs(5)).await;
    let reply = send(&parts, "PUT", "/tcp", FORM, r#"json={"state":"running"}"#).await;
    assert_eq!(
        reply.shown(),
        "503 application/json {\"result\":\"failed\",\"message\":\"the daemon is stopping\"}\n"
    );
    assert_eq!(reply.header("retry-after"), "1");
}

#[actix_web::test]
async fn a_dry_run_says_what_the_configuration_would_be_and_changes_nothing() {
    let parts = parts();
    let body = r#"json={"cmd":{"probe":["first"]},"params":{"report_period":30},"state":"running"}"#;
    let reply = send(&parts, "PUT", "/tcp?dry_run=true", FORM, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let applied = &reply.json()["probes"]["tcp"];
    assert_eq!((&applied["generation"], &applied["state"]), (&0.into(), &"stopped".into()));
    assert_eq!(applied["config"]["params"], serde_json::json!({"report_period": 30}));
    assert!(applied.get("expected_cost").is_none(), "it does not run");
    assert_eq!(get(&parts, "/tcp").await.body, "{}\n");
    for query in ["dry_run=yes", "dry_run", "dry_run=true&x=1"] {
        let reply = send(&parts, "PUT", &format!("/tcp?{query}"), FORM, body).await;
        assert_eq!(reply.status, 400, "{query}");
    }
    assert_eq!(get(&parts, "/tcp").await.body, "{}\n");
    assert_eq!(send(&parts, "PUT", "/tcp?anything=else", FORM, body).await.status, 200);
    let running = send(&parts, "PUT", "/tcp?dry_run=true", FORM, body).await.json();
    assert_eq!(running["probes"]["tcp"]["expected_cost"]["map_bytes"], 4096);
    let stopped = send(&parts, "PUT", "/tcp?dry_run=true", FORM, r#"json={"state":"stopped"}"#).await.json();
    assert!(stopped["probes"]["tcp"].get("expected_cost").is_none(), "it would not run");
}
