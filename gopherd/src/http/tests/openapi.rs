//! `api/openapi.json` is what the handlers say about themselves.

use super::get;
use crate::http::openapi;
use crate::http::testing::parts;
use std::path::Path;

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/openapi.json");
    let generated = openapi();
    if std::env::var_os("CI").is_none() {
        std::fs::write(&path, &generated).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let command = "cargo test -p gopherd the_committed_document";
    assert!(committed == generated, "api/openapi.json is not up to date; run `{command}` and commit it");
}

#[actix_web::test]
async fn the_document_is_served_and_names_every_path() {
    let reply = get(&parts(), "/api/v1/openapi.json").await;
    assert_eq!(reply.body, openapi());
    let document = reply.json();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in [
        "/api/v1/probes",
        "/api/v1/probes/{feature}",
        "/api/v1/probes:apply",
        "/api/v1/probes:save",
        "/api/v1/targets",
        "/api/v1/events",
        "/api/v1/spool",
        "/api/v1/spool:purge",
        "/api/v1/capabilities",
        "/api/v1/log-level",
        "/api/v1/openapi.json",
        "/{feature}",
        "/metrics",
        "/metrics/cumulative",
        "/metrics/per_period",
        "/healthz",
        "/readyz",
    ] {
        assert!(paths.iter().any(|known| *known == path), "{path} is not in {paths:?}");
    }
    assert_eq!(paths.len(), 17, "a path is described that this test does not know: {paths:?}");
}

/// Each `$ref` leads somewhere.
#[test]
fn every_reference_is_defined() {
    let text = openapi();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    for part in text.split("\"$ref\": \"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let text = openapi();
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("\"operationId\":")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), all), (22, 22), "{names:?}");
}

#[test]
fn every_operation_says_what_the_guard_refuses_with_and_health_is_for_everybody() {
    let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let health = matches!(path.as_str(), "/healthz" | "/readyz");
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            for (status, wanted) in [("401", !health), ("403", true), ("429", true)] {
                assert_eq!(responses.contains_key(status), wanted, "{method} {path} {status}");
            }
            assert_eq!(operation["security"].is_array(), !health, "{method} {path}");
        }
    }
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["token"]["scheme"], "bearer");
    assert_eq!(schemes["certificate"]["type"], "mutualTLS");
}
