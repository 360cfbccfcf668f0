//! The native door: strict, versioned, transactional; errors are problem documents that name the place.

use gopher_e2e::{Response, Setup, process};
use serde_json::{Value, json};

const BASEINFO: &str = "/api/v1/probes/baseinfo";

#[track_caller]
fn problem(answer: Response, status: u16) -> Value {
    let kind = answer.header("content-type").unwrap_or("").to_owned();
    let document = answer.expect(status).json();
    assert!(kind.starts_with("application/problem+json"), "{kind}: {document}");
    for key in ["type", "title", "status", "detail"] {
        assert!(document.get(key).is_some(), "no {key} in {document}");
    }
    assert_eq!(document["status"], status);
    document
}

#[test]
fn every_feature_is_listed_with_its_sub_probes_and_parameters() {
    let setup = Setup::new();
    let daemon = setup.start();
    let list = daemon.rest().get("/api/v1/probes").expect(200).json();
    let items = list["items"].as_array().expect("items");
    let baseinfo = items.iter().find(|item| item["feature"] == "baseinfo").expect("baseinfo");
    assert!(baseinfo["summary"].is_string(), "{baseinfo}");
    let text = baseinfo.to_string();
    for word in ["\"cpu\"", "\"mem\"", "report_period", "res_upper_thr"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

#[test]
fn a_document_is_put_whole_and_its_generation_guards_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    let fresh = rest.get(BASEINFO).expect(200);
    assert_eq!(fresh.json()["status"]["state"], "stopped");
    let body = json!({"cmd": {"probe": ["mem"]}, "params": {"report_period": 7}, "state": "running"});
    rest.send_json("PUT", BASEINFO, &body).expect(200);
    let first = rest.get(BASEINFO).expect(200);
    let document = first.json();
    assert_eq!(document["config"]["params"]["report_period"], 7);
    assert_eq!(document["status"]["state"], "running");
    let etag = first.header("etag").expect("an ETag").to_owned();
    assert_eq!(etag.trim_matches('"'), document["generation"].to_string());

    let put = |tag: &str, period: u32| {
        let headers = [("content-type", "application/json"), ("if-match", tag)];
        rest.send("PUT", BASEINFO, &headers, json!({"params": {"report_period": period}}).to_string())
    };
    problem(put("\"999999\"", 8), 412);
    assert_eq!(rest.get(BASEINFO).expect(200).json()["config"], document["config"]);
    put(&etag, 9).expect(200);
    problem(put(&etag, 10), 412);
    // Whole: what the second document did not name is at its default again.
    let last = rest.get(BASEINFO).expect(200).json();
    assert_eq!(last["config"]["state"], "stopped");
    assert_eq!(last["config"]["params"]["report_period"], 9);
}

#[test]
fn a_patch_merges_and_null_restores_the_default() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    rest.send_json("PUT", BASEINFO, &json!({"params": {"report_period": 7, "res_upper_thr": 50}}))
        .expect(200);
    let merge = [("content-type", "application/merge-patch+json")];
    rest.send("PATCH", BASEINFO, &merge, r#"{"params":{"report_period":null}}"#).expect(200);
    // The native document has what was set; what is in force stands in the compatible one.
    assert_eq!(rest.get(BASEINFO).expect(200).json()["config"]["params"], json!({"res_upper_thr": 50}));
    assert_eq!(rest.get("/baseinfo").expect(200).json()["params"]["report_period"], 60);
}

#[test]
fn delete_stops_and_forgets() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"state":"running"}"#);
    let status = daemon.rest().send("DELETE", BASEINFO, &[], "").status;
    assert!(matches!(status, 200 | 204), "{status}");
    assert_eq!(daemon.rest().get("/baseinfo").expect(200).json(), json!({}));
    assert_eq!(daemon.state("baseinfo"), "stopped");
}

#[test]
fn anything_not_known_is_refused_with_its_place() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    for (body, pointer) in [
        (json!({"params": {"report_period": 4}}), "/params/report_period"),
        (json!({"params": {"report_period": "5"}}), "/params/report_period"),
        (json!({"params": {"report_event": true}}), "/params/report_event"),
        (json!({"params": {"nosuch": 1}}), "/params/nosuch"),
        (json!({"snooper": {}}), "/snooper"),
        (json!({"cmd": {"probe": ["nosuch"]}}), "/cmd/probe/0"),
        (json!({"state": "up"}), "/state"),
        (json!({"snoopers": {"proc_name": [{"comm": "["}]}}), "/snoopers/proc_name/0/comm"),
    ] {
        let answer = rest.send_json("PUT", BASEINFO, &body);
        let status = answer.status;
        assert!(matches!(status, 400 | 422), "{body}: {status}");
        let document = problem(answer, status);
        assert_eq!(document["path"], pointer, "{body}: {document}");
    }
    problem(rest.get("/api/v1/probes/nosuch"), 404);
    problem(rest.get("/api/v1/nosuch"), 404);
    problem(rest.send("POST", BASEINFO, &[("content-type", "application/json")], "{}"), 405);
    assert_eq!(rest.get(BASEINFO).expect(200).json()["generation"], 0);
}

#[test]
fn several_features_change_together_or_not_at_all() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rest = daemon.rest();
    let apply =
        |query: &str, body: Value| rest.send_json("POST", &format!("/api/v1/probes:apply{query}"), &body);
    let good = json!({"probes": {"baseinfo": {"cmd": {"probe": ["mem"]}, "state": "running"}, "tcp": {"params": {"report_period": 20}}}});
    let bad = json!({"probes": {"baseinfo": {"cmd": {"probe": ["mem"]}, "state": "running"}, "tcp": {"params": {"report_period": 1}}, "nosuch": {}}});

    let answer = apply("", bad);
    let status = answer.status;
    assert!(matches!(status, 400 | 422), "{status}");
    let said = problem(answer, status);
    let mut named: Vec<(String, String)> = said["faults"]
        .as_array()
        .expect("one entry a fault")
        .iter()
        .map(|fault| (fault["feature"].as_str().expect("a feature").to_owned(), fault["path"].to_string()))
        .collect();
    named.sort();
    let expected = [("nosuch", "\"\""), ("tcp", "\"/params/report_period\"")];
    assert_eq!(named, expected.map(|(feature, path)| (feature.to_owned(), path.to_owned())), "{said}");
    assert_eq!(daemon.state("baseinfo"), "stopped");

    apply("?dry_run=true", good.clone()).expect(200);
    assert_eq!(daemon.state("baseinfo"), "stopped");
    apply("", good).expect(200);
    assert_eq!(daemon.state("baseinfo"), "running");
    assert_eq!(rest.get("/tcp").expect(200).json()["params"]["report_period"], 20);
}

#[test]
fn the_served_openapi_document_is_the_printed_one_and_names_every_path() {
    let setup = Setup::new();
    let daemon = setup.start();
    let served = daemon.rest().get("/api/v1/openapi.json").expect(200).json();
    let printed = process::run(process::built("gopherd"), &["--dump-openapi"], b"");
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("the printed document");
    assert_eq!(served, printed);
    for path in [
        "/api/v1/probes",
        "/api/v1/probes/{feature}",
        "/api/v1/probes:apply",
        "/api/v1/probes:save",
        "/readyz",
    ] {
        assert!(served["paths"].get(path).is_some(), "no {path}");
    }
}

#[test]
fn targets_say_why_a_process_is_or_is_not_matched() {
    let setup = Setup::new();
    let daemon = setup.start();
    let me = std::process::id();
    daemon.put(
        "baseinfo",
        &format!(r#"{{"cmd":{{"probe":["proc"]}},"snoopers":{{"proc_id":[{me}]}},"state":"running"}}"#),
    );
    let targets = daemon.rest().get("/api/v1/targets?feature=baseinfo").expect(200).json();
    assert!(targets.to_string().contains(&me.to_string()), "{targets}");
    let why = daemon.rest().get(&format!("/api/v1/targets?feature=baseinfo&pid={me}")).expect(200).json();
    assert!(why.to_string().contains("proc_id"), "{why}");
    daemon.rest().get("/api/v1/targets?feature=baseinfo&pid=1").expect(200);
    problem(daemon.rest().get("/api/v1/targets?feature=nosuch"), 404);
}

#[test]
fn capabilities_and_log_level_can_be_read_and_the_level_changed() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.rest().get("/api/v1/capabilities").expect(200).json();
    let level = || daemon.rest().get("/api/v1/log-level").expect(200).json();
    let before = level();
    let mut wanted = before.clone();
    let key = wanted.as_object().and_then(|object| object.keys().next().cloned()).expect("one key");
    wanted[&key] = json!("debug");
    daemon.rest().send_json("PUT", "/api/v1/log-level", &wanted).expect(200);
    assert_eq!(level(), wanted);
    assert_ne!(level(), before);
}

#[test]
fn the_unix_socket_speaks_the_same_api() {
    let setup = Setup::new();
    let daemon = setup.start();
    let body = json!({"cmd": {"probe": ["mem"]}, "state": "running"});
    daemon.socket().send_json("PUT", BASEINFO, &body).expect(200);
    assert_eq!(
        daemon.socket().get(BASEINFO).expect(200).json()["config"],
        daemon.rest().get(BASEINFO).expect(200).json()["config"]
    );
    daemon.socket().put("/baseinfo", r#"{"state":"stopped"}"#).expect(200);
    assert_eq!(daemon.state("baseinfo"), "stopped");
}

#[test]
fn the_socket_works_when_rest_is_off() {
    let setup = Setup::new().section("global", "rest_api_on = false");
    let daemon = setup.start();
    daemon.socket().get("/api/v1/probes").expect(200);
    assert!(daemon.rest().try_send("GET", "/healthz", &[], Vec::new()).is_err());
}
