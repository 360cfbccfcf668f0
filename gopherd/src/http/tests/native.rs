//! `/api/v1`: documents, entity tags, refusals.

use super::{Listener, Reply, ask, get, send};
use crate::http::testing::{parts, parts_with};
use crate::http::{Parts, SaveError};
use crate::readiness::PROBES_INIT;
use actix_web::test::TestRequest;
use serde_json::json;
use std::time::Duration;

const JSON: &str = "application/json";
const PATCH: &str = "application/merge-patch+json";
const TCP: &str = "/api/v1/probes/tcp";

fn problem(reply: &Reply) -> (u16, &str, String, serde_json::Value) {
    let document = reply.json();
    assert_eq!(document["status"], reply.status);
    assert_eq!(document["type"], "about:blank");
    let detail = document["detail"].as_str().expect("a detail").to_owned();
    (reply.status, reply.header("content-type"), detail, document["path"].clone())
}

#[actix_web::test]
async fn a_probe_is_put_shown_patched_and_forgotten_and_each_answer_has_its_generation() {
    let parts = parts();
    let body = r#"{"cmd":{"probe":["first"]},"params":{"report_period":30},"state":"running"}"#;
    let reply = send(&parts, "PUT", TCP, JSON, body).await;
    assert_eq!((reply.status, reply.header("etag")), (200, "\"1\""), "{}", reply.body);
    let document = get(&parts, TCP).await;
    assert_eq!(document.header("etag"), "\"1\"");
    assert_eq!(document.json()["config"]["params"], json!({"report_period": 30}));
    let status = document.json()["status"].clone();
    assert_eq!(status["state"], "running");
    assert_eq!(status["sub_probes"], json!([{"name": "first", "state": "running", "missing": []}]));
    assert_eq!(status["targets"], json!({"processes": 2}));
    assert_eq!((&status["series"], &status["lost"]), (&json!(7), &json!({"queue": 0, "probe/late_tick": 3})));
    assert_eq!(status["samples"], 0);

    let reply = send(&parts, "PATCH", TCP, PATCH, r#"{"params":{"report_period":null}}"#).await;
    assert_eq!((reply.status, reply.header("etag")), (200, "\"2\""), "{}", reply.body);
    assert_eq!(reply.json()["config"]["params"], json!({}));
    assert_eq!(reply.json()["status"]["state"], "running");

    let reply = ask(&parts, Listener::Rest, TestRequest::delete().uri(TCP)).await;
    assert_eq!((reply.status, reply.header("etag")), (200, "\"3\""), "{}", reply.body);
    assert_eq!(reply.json()["status"]["state"], "stopped");
    assert_eq!(get(&parts, "/tcp").await.body, "{}\n");
}

#[actix_web::test]
async fn a_probe_that_was_never_configured_shows_the_defaults() {
    let document = get(&parts(), TCP).await.json();
    assert_eq!(document["generation"], 0);
    assert_eq!(document["config"]["state"], "stopped");
    assert!(document.get("warnings").is_none());
    let since = document["status"]["since"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(since).is_ok(), "{since}");
}

async fn put_if(parts: &Parts, tag: &str) -> Reply {
    let request =
        TestRequest::put().uri(TCP).insert_header(("content-type", JSON)).insert_header(("if-match", tag));
    ask(parts, Listener::Rest, request.set_payload(r#"{"state":"stopped"}"#)).await
}

#[actix_web::test]
async fn if_match_is_honoured() {
    let parts = parts();
    for (tag, status) in [
        ("\"0\"", 200),
        ("\"0\"", 412),
        ("*", 200),
        ("\"7\", \"1\"", 200),
        ("W/\"1\"", 412),
        ("\"01\"", 412),
        ("\"x\"", 412),
        ("1", 400),
        ("\"1", 400),
        ("", 400),
    ] {
        let reply = put_if(&parts, tag).await;
        assert_eq!(reply.status, status, "{tag}: {}", reply.body);
        if status == 412 {
            assert_eq!(problem(&reply).2, "the generation is 1 now");
        }
    }
}

#[actix_web::test]
async fn strictness_is_a_problem_document_with_the_place() {
    let parts = parts();
    for (body, place) in [
        (r#"{"snooper":{}}"#, "/snooper"),
        (r#"{"params":{"report_period":"5"}}"#, "/params/report_period"),
        (r#"{"params":{"report_period":1}}"#, "/params/report_period"),
        (r#"{"cmd":{"probe":["first","nope"]}}"#, "/cmd/probe/1"),
        (r#"{"snoopers":{"proc_name":[{"comm":"("}]}}"#, "/snoopers/proc_name/0/comm"),
    ] {
        let reply = send(&parts, "PUT", TCP, JSON, body).await;
        let (status, content_type, _, path) = problem(&reply);
        assert_eq!((status, content_type), (400, "application/problem+json"), "{body}");
        assert_eq!(path, place, "{body}: {}", reply.body);
    }
    let reply = send(&parts, "PUT", TCP, JSON, "{\"state\": // no\n\"running\"}").await;
    assert_eq!(reply.status, 400, "comments are for the other door");
    assert_eq!(get(&parts, TCP).await.json()["generation"], 0);
}

#[actix_web::test]
async fn a_start_that_cannot_be_is_a_422_with_what_is_missing() {
    let parts = parts();
    let reply = send(&parts, "PUT", TCP, JSON, r#"{"cmd":{"probe":["broken"]},"state":"running"}"#).await;
    assert_eq!(problem(&reply).0, 422);
    assert_eq!(reply.json()["requirements"], json!(["broken: kernel BTF"]));
    let reply = send(&parts, "PUT", "/api/v1/probes/planned", JSON, r#"{"state":"running"}"#).await;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.json()["requirements"], json!(["not supported in the current version"]));
    let reply = send(&parts, "PUT", TCP, JSON, r#"{"params":{"drops_thr":11},"state":"running"}"#).await;
    assert_eq!(problem(&reply).0, 422);
    assert_eq!(get(&parts, TCP).await.json()["generation"], 0);
}

#[actix_web::test]
async fn a_transaction_takes_effect_whole_or_not_at_all() {
    let parts = parts();
    let uri = "/api/v1/probes:apply";
    let good = r#"{"probes":{"tcp":{"state":"running"},"io":{"state":"running"}}}"#;
    let reply = send(&parts, "POST", &format!("{uri}?dry_run=true"), JSON, good).await;
    assert_eq!((reply.status, &reply.json()["dry_run"]), (200, &json!(true)), "{}", reply.body);
    assert_eq!(get(&parts, TCP).await.json()["generation"], 0);

    let bad =
        r#"{"probes":{"tcp":{"state":"running"},"io":{"params":{"report_period":1}},"planned":{"x":1}}}"#;
    let reply = send(&parts, "POST", uri, JSON, bad).await;
    assert_eq!(problem(&reply).0, 400);
    let faults = reply.json()["faults"].clone();
    assert_eq!(
        faults,
        json!([
            {"feature": "io", "path": "/params/report_period", "detail": "params.report_period invalid value 1, must be in [5, 600]"},
            {"feature": "planned", "path": "/x", "detail": faults[1]["detail"]},
        ])
    );
    assert_eq!(get(&parts, TCP).await.json()["status"]["state"], "stopped");

    let reply = send(&parts, "POST", uri, JSON, good).await;
    assert_eq!(
        reply.json(),
        json!({"dry_run": false, "generation": 1, "probes": {
            "io": {"generation": 1, "state": "running", "warnings": []},
            "tcp": {"generation": 1, "state": "running", "warnings": []},
        }})
    );
    let body = r#"{"probes":{"tcp":{},"nope":{},"io":{"params":{"report_period":1}}}}"#;
    let reply = send(&parts, "POST", uri, JSON, body).await.json();
    let faults = reply["faults"].as_array().unwrap().iter();
    let faults: Vec<_> = faults.map(|fault| (fault["feature"].as_str(), fault["path"].as_str())).collect();
    assert_eq!(reply["status"], 400);
    assert_eq!(faults, [(Some("nope"), Some("")), (Some("io"), Some("/params/report_period"))]);
    assert_eq!(get(&parts, TCP).await.json()["status"]["state"], "running");
}

#[actix_web::test]
async fn the_list_says_what_each_feature_is_and_what_is_wrong_with_the_daemon() {
    let parts = parts();
    parts.readiness.set("kafka", vec!["no broker answers".into()]);
    parts.readiness.set(PROBES_INIT, vec!["probes.init:3: no such feature".into()]);
    let list = get(&parts, "/api/v1/probes").await.json();
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|i| i["feature"].as_str().unwrap()).collect();
    assert_eq!(names, ["tcp", "io", "slow", "planned"]);
    assert_eq!(
        list["problems"],
        json!([{"source": "probes.init", "detail": "probes.init:3: no such feature"}])
    );
    let tcp = &list["items"][0];
    assert_eq!((&tcp["state"], &tcp["scope"]), (&json!("stopped"), &json!("processes")));
    let period = &tcp["params"][0];
    assert_eq!(
        (
            &period["key"],
            &period["unit"],
            &period["type"],
            &period["default"],
            &period["min"],
            &period["max"]
        ),
        (&json!("report_period"), &json!("s"), &json!("integer"), &json!(60), &json!(5), &json!(600))
    );
    assert_eq!(
        (&tcp["targets"], &tcp["series"], &tcp["samples"]),
        (&json!({"processes": 2}), &json!(7), &json!(0))
    );
    assert_eq!((&tcp["lost"], &tcp["tables"]), (&json!({"queue": 0, "probe/late_tick": 3}), &json!([])));
    assert_eq!((&list["daemon"]["version"], &list["daemon"]["series"]), (&json!("1.2.3"), &json!(7)));
    let planned = &list["items"][3];
    assert_eq!(planned["state"], "unavailable");
    assert_eq!(planned["sub_probes"][0]["missing"], json!(["not supported in the current version"]));
}

#[actix_web::test]
async fn targets_are_listed_and_a_pid_is_explained() {
    let parts = parts();
    let page = get(&parts, "/api/v1/targets?feature=tcp").await.json();
    assert_eq!((&page["feature"], page["items"].as_array().unwrap().len()), (&json!("tcp"), 1));
    assert!(page.get("verdict").is_none());
    let page = get(&parts, "/api/v1/targets?feature=tcp&pid=5").await.json();
    assert_eq!(page["verdict"], json!({"pid": 5, "observed": false, "reason": "because"}));
}

#[actix_web::test]
async fn saving_answers_what_was_written_or_why_not() {
    let uri = "/api/v1/probes:save";
    let reply = send(&parts(), "POST", uri, JSON, "").await;
    assert_eq!(
        reply.shown(),
        "200 application/json {\"file\":\"/etc/gopherd/probes.init\",\"features\":2}\n"
    );
    for (error, status, word) in [
        (SaveError::FromEnvironment("GOPHER_PROBES_INIT"), 409, "GOPHER_PROBES_INIT"),
        (SaveError::Failed("no space left".into()), 500, "no space left"),
    ] {
        let reply = send(&parts_with(Duration::from_secs(30), Err(error)), "POST", uri, JSON, "").await;
        let (got, _, detail, _) = problem(&reply);
        assert_eq!(got, status);
        assert!(detail.contains(word), "{detail}");
    }
}

#[actix_web::test]
async fn the_log_level_can_be_read_and_changed() {
    let parts = parts();
    let uri = "/api/v1/log-level";
    assert_eq!(get(&parts, uri).await.body, "{\"level\":\"info\"}\n");
    assert_eq!(send(&parts, "PUT", uri, JSON, r#"{"level":"debug"}"#).await.body, "{\"level\":\"debug\"}\n");
    assert_eq!(get(&parts, uri).await.body, "{\"level\":\"debug\"}\n");
    for body in [r#"{"level":"loud"}"#, r#"{"level":"info","x":1}"#, "{}", "", "[]"] {
        assert_eq!(send(&parts, "PUT", uri, JSON, body).await.status, 400, "{body}");
    }
    assert_eq!(get(&parts, uri).await.body, "{\"level\":\"debug\"}\n");
}

#[actix_web::test]
async fn capabilities_tell_about_this_kernel() {
    let document = get(&parts(), "/api/v1/capabilities").await.json();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(document["kernel_release"], release.trim());
    let btf = std::path::Path::new("/sys/kernel/btf/vmlinux").exists();
    assert_eq!(document["btf"]["available"], btf);
    for kind in ["tp_btf", "raw_tp", "tracepoint", "fentry", "kprobe", "iter/task_file"] {
        let support = &document["attach_kinds"][kind];
        assert_ne!(support["available"].as_bool(), None, "{kind} was tried: {document}");
        assert_eq!(support["available"] == false, support["reason"].is_string(), "{kind}: {support}");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let held = u64::from_str_radix(held, 16).unwrap().count_ones();
    let told = document["capabilities"].as_array().unwrap().len();
    assert_eq!(u32::try_from(told), Ok(held), "{document}");
}

#[actix_web::test]
async fn a_handler_that_panics_is_a_500_and_the_next_request_is_answered() {
    let parts = parts();
    let reply = send(&parts, "PUT", "/api/v1/log-level", JSON, r#"{"level":"error"}"#).await;
    assert_eq!(problem(&reply).0, 500);
    assert_eq!(get(&parts, TCP).await.status, 200);
}

#[actix_web::test]
async fn the_spool_is_shown_and_given_up_for_a_sink_that_there_is() {
    const PURGE: &str = "/api/v1/spool:purge";
    let parts = parts();
    let spool = get(&parts, "/api/v1/spool").await.json();
    assert_eq!(
        (&spool["sinks"][0]["sink"], &spool["sinks"][0]["pending_records"]),
        (&json!("kafka"), &json!(3))
    );
    let purged = send(&parts, "POST", PURGE, JSON, r#"{"sink":"kafka"}"#).await;
    assert_eq!((purged.status, purged.json()), (200, json!({"sink": "kafka", "discarded": 3})));
    let nobody = send(&parts, "POST", PURGE, JSON, r#"{"sink":"nobody"}"#).await;
    assert_eq!(problem(&nobody).0, 404);
    for body in ["{}", r#"{"sink":1}"#, r#"{"sink":"kafka","all":true}"#, "[\"kafka\"]"] {
        assert_eq!(send(&parts, "POST", PURGE, JSON, body).await.status, 400, "{body}");
    }
    assert_eq!(send(&parts, "POST", PURGE, "text/plain", r#"{"sink":"kafka"}"#).await.status, 415);
}
