//! URLs and headers that nobody should send, with the exact answers.

use super::send;
use crate::http::testing::parts;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PATCH: &str = "application/merge-patch+json";

/// The compatible door's 404.
const LOST: &str = r#"404 application/json {"result":"failed","message":"url not found"}"#;
/// The native door's.
const NO_URL: &str = r#"404 application/problem+json {"type":"about:blank","title":"Not Found","status":404,"detail":"url not found"}"#;
/// The native door's for a feature.
const NO_FEATURE: &str = r#"404 application/problem+json {"type":"about:blank","title":"Not Found","status":404,"detail":"no such feature; GET /api/v1/probes lists them"}"#;

#[actix_web::test]
async fn what_is_no_url_is_not_found_at_the_door_that_it_belongs_to() {
    let long = format!("/{}", "a".repeat(60_000));
    let deep = "/a".repeat(10_000);
    let parts = parts();
    for (method, uri, expected) in [
        ("GET", "/", LOST),
        ("PUT", "/", LOST),
        ("GET", "/nope", LOST),
        ("PUT", "/nope", LOST),
        ("GET", "/tcp/", LOST),
        ("GET", "//tcp", LOST),
        ("GET", "/tcp/x", LOST),
        ("GET", "/tcp%00", LOST),
        ("GET", "/tcp%2f", LOST),
        ("GET", "/%2e%2e%2fetc%2fpasswd", LOST),
        ("GET", "/../etc/passwd", LOST),
        ("GET", "/%ff%fe", LOST),
        ("GET", "/%zz", LOST),
        ("GET", "/%", LOST),
        ("GET", "/tcp;x=1", LOST),
        ("GET", "/%F0%9F%90%BF", LOST),
        ("GET", "/tcp%20", LOST),
        ("GET", "/healthz/", LOST),
        ("GET", "/metrics/x", LOST),
        ("GET", &long, LOST),
        ("GET", &deep, LOST),
        ("GET", "/api", NO_URL),
        ("PUT", "/api", NO_URL),
        ("GET", "/api/", NO_URL),
        ("GET", "/api/v1", NO_URL),
        ("GET", "/api/v2/probes", NO_URL),
        ("GET", "/api/v1/event", NO_URL),
        ("GET", "/api/v1/probes/", NO_URL),
        ("GET", "/api/v1/probes/tcp/x", NO_URL),
        ("POST", "/api/v1/probes:explode", NO_URL),
        ("GET", "/api/v1/probes/%ff", NO_FEATURE),
        ("GET", "/api/v1/probes/nope", NO_FEATURE),
        ("GET", "/api/v1/probes/TCP", NO_FEATURE),
        ("PUT", "/api/v1/probes/nope", NO_FEATURE),
        ("DELETE", "/api/v1/probes/nope", NO_FEATURE),
        ("GET", "/api/v1/targets?feature=nope", NO_FEATURE),
    ] {
        let reply = send(&parts, method, uri, "", "").await;
        assert_eq!(reply.shown(), format!("{expected}\n"), "{method} {}", uri.get(..80).unwrap_or(uri));
    }
}

#[actix_web::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() {
    let parts = parts();
    for (path, allow, others) in [
        ("/tcp", "GET, HEAD, PUT", &["POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"][..]),
        ("/nope", "GET, HEAD, PUT", &["POST"]),
        ("/api/v1/probes", "GET, HEAD", &["PUT", "POST", "DELETE"]),
        ("/api/v1/probes/tcp", "GET, HEAD, PUT, PATCH, DELETE", &["POST", "OPTIONS"]),
        ("/api/v1/probes:apply", "POST", &["GET", "PUT", "HEAD"]),
        ("/api/v1/probes:save", "POST", &["GET", "PUT"]),
        ("/api/v1/targets", "GET, HEAD", &["POST"]),
        ("/api/v1/capabilities", "GET, HEAD", &["POST"]),
        ("/api/v1/log-level", "GET, HEAD, PUT", &["POST", "DELETE"]),
        ("/api/v1/openapi.json", "GET, HEAD", &["PUT"]),
        ("/metrics", "GET, HEAD", &["PUT", "POST"]),
        ("/healthz", "GET, HEAD", &["PUT"]),
        ("/readyz", "GET, HEAD", &["POST"]),
    ] {
        for method in others {
            let reply = send(&parts, method, path, JSON, "{}").await;
            assert_eq!((reply.status, reply.header("allow")), (405, allow), "{method} {path}");
            let message = format!("method not allowed; this path has {allow}");
            if path == "/tcp" || path == "/nope" {
                let body = format!("{{\"result\":\"failed\",\"message\":\"{message}\"}}\n");
                assert_eq!(reply.body, body, "{method} {path}");
            } else {
                assert_eq!(reply.json()["detail"], message, "{method} {path}");
            }
        }
    }
}

#[actix_web::test]
async fn a_query_that_is_not_known_is_refused_at_the_native_door_and_ignored_at_the_other() {
    let parts = parts();
    for uri in [
        "/api/v1/probes?x=1",
        "/api/v1/probes/tcp?x",
        "/api/v1/capabilities?x=1",
        "/api/v1/log-level?x=1",
        "/api/v1/openapi.json?x=1",
        "/api/v1/targets",
        "/api/v1/targets?pid=1",
        "/api/v1/targets?feature=tcp&feature=io",
        "/api/v1/targets?feature=tcp&pid=-1",
        "/api/v1/targets?feature=tcp&pid=4294967296",
        "/api/v1/targets?feature=tcp&x=1",
        "/readyz?x=1",
        "/readyz?strict=1&strict=1",
    ] {
        let reply = send(&parts, "GET", uri, "", "").await;
        assert_eq!((reply.status, reply.header("content-type")), (400, "application/problem+json"), "{uri}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("query string: "), "{uri}: {detail}");
    }
    for uri in
        ["/api/v1/probes:apply?dry_run=1", "/api/v1/probes:apply?dry-run=true", "/api/v1/probes:save?x"]
    {
        assert_eq!(send(&parts, "POST", uri, JSON, r#"{"probes":{}}"#).await.status, 400, "{uri}");
    }
    assert_eq!(send(&parts, "GET", "/tcp?x=1", "", "").await.status, 200);
    assert_eq!(send(&parts, "GET", "/%74cp", "", "").await.status, 200, "an encoded letter is that letter");
}

#[actix_web::test]
async fn a_content_type_that_a_path_does_not_take_is_a_415() {
    let parts = parts();
    for (method, uri, content_type, status) in [
        ("PUT", "/api/v1/probes/tcp", "", 415),
        ("PUT", "/api/v1/probes/tcp", FORM, 415),
        ("PUT", "/api/v1/probes/tcp", "text/plain", 415),
        ("PUT", "/api/v1/probes/tcp", PATCH, 415),
        ("PUT", "/api/v1/probes/tcp", "application/jsonp", 415),
        ("PUT", "/api/v1/probes/tcp", JSON, 200),
        ("PUT", "/api/v1/probes/tcp", "Application/JSON; charset=utf-8", 200),
        ("PATCH", "/api/v1/probes/tcp", JSON, 415),
        ("PATCH", "/api/v1/probes/tcp", PATCH, 200),
        ("POST", "/api/v1/probes:apply", "text/plain", 415),
        ("POST", "/api/v1/probes:save", "", 415),
        ("PUT", "/api/v1/log-level", FORM, 415),
    ] {
        let reply = send(&parts, method, uri, content_type, "{}").await;
        assert_eq!(reply.status, status, "{method} {uri} {content_type}: {}", reply.body);
    }
    let reply = send(&parts, "PUT", "/tcp", "text/plain", "{}").await;
    let expected = r#"400 application/json {"result":"failed","message":"put data must start with json="}"#;
    assert_eq!(reply.shown(), format!("{expected}\n"));
}
