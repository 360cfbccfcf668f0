//! The compatible door: everything that drives gala-gopher drives this, with its answers.

use gopher_e2e::{Daemon, Response, Setup};
use serde_json::{Value, json};

/// The message of gala-gopher's success.
const TAKEN: &str = "New config takes effect";

/// A setup whose daemon does not care how fast requests come.
fn setup() -> Setup {
    Setup::new()
}

#[track_caller]
fn refused(answer: Response) -> (String, Value) {
    let answer = answer.expect(400).json();
    assert_eq!(answer["result"], "failed", "{answer}");
    let message = answer["message"].as_str().expect("a message").to_owned();
    assert!(!message.is_empty());
    (message, answer)
}

fn warnings(answer: &Response) -> Vec<String> {
    let list = answer.json()["warnings"].as_array().cloned().unwrap_or_default();
    list.iter().map(|warning| warning.as_str().expect("a warning of text").to_owned()).collect()
}

fn params(daemon: &Daemon<'_>) -> Value {
    daemon.rest().get("/baseinfo").expect(200).json()["params"].clone()
}

#[test]
fn success_is_answered_as_gala_gopher_answers_it() {
    let setup = setup();
    let daemon = setup.start();
    let answer = daemon.put("baseinfo", r#"{"cmd":{"probe":["cpu","mem"]},"state":"running"}"#);
    assert_eq!(answer.json(), json!({"result": "success", "message": TAKEN}));
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
}

/// Bodies of gala-gopher's public documents and of its users' recipes, by feature.
const DOCUMENTED: &[(&str, &str)] = &[
    (
        "tcp",
        r#"{"cmd":{"probe":["tcp_rtt","tcp_abnormal","tcp_stats"]},"snoopers":{"proc_name":[{"comm":"^nginx$","cmdline":""}]},"params":{"report_period":30,"sample_period":200,"report_event":1,"drops_thr":10},"state":"running"}"#,
    ),
    (
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","fs","host"]},"snoopers":{"proc_id":[1]},"state":"running"}"#,
    ),
    ("tcp", r#"{"blacklist":{},"state":"running"}"#),
    ("tcp", r#"{"state":"stopped"}"#),
    (
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","nic","net","disk","fs","host"]},"snoopers":{},"params":{},"state":"running"}"#,
    ),
    (
        "baseinfo",
        r#"{"cmd":{"probe":["cpu"]},"snoopers":{"proc_name":[{"comm":"bash","cmdline":"","debugging_dir":""}]},"params":{"metrics_type":["raw","telemetry"],"report_period":60},"state":"running"}"#,
    ),
    ("baseinfo", r#"{"snoopers":{"custom_labels":{"task":"aaa","env":"test"}}}"#),
    ("baseinfo", r#"{"snoopers":{"pod_labels":["app","example/role"]}}"#),
    (
        "baseinfo",
        r#"{"cmd":{"bin":"/opt/gala-gopher/extend_probes/x","check_cmd":"","probe":["mem"]},"state":"running"}"#,
    ),
    ("baseinfo", r#"{"cmd":{},"state":"running"}"#),
    (
        "baseinfo",
        "{\"cmd\":{\"probe\":[\"mem\",],}, // the host\n \"params\":{\"report_period\":5,/* s */},\n}",
    ),
    ("baseinfo", r#"{"params":{"svg_dir":"/tmp","env":"","host_ip_fields":""}}"#),
    (
        "io",
        r#"{"cmd":{"probe":["io_trace","io_err","io_count","page_cache"]},"params":{"report_period":60,"sample_period":1000},"state":"running"}"#,
    ),
    ("virt", r#"{"state":"running"}"#),
    (
        "proc",
        r#"{"cmd":{"probe":["proc_syscall","proc_fs","base_metrics"]},"snoopers":{"proc_name":[{"comm":"^java$"}]},"state":"running"}"#,
    ),
    ("jvm", r#"{"cmd":{},"snoopers":{"proc_name":[{"comm":"^java$"}]},"state":"running"}"#),
    (
        "container",
        r#"{"cmd":{},"snoopers":{"proc_name":[{"comm":"^java$"}]},"params":{"cadvisor_port":8083},"state":"running"}"#,
    ),
    ("Container", r#"{"state":"stopped"}"#),
    (
        "l7",
        r#"{"cmd":{"probe":["l7_bytes_metrics","l7_rpc_metrics"]},"snoopers":{"container_id":["0123456789ab"]},"params":{"l7_protocol":["http","redis"],"support_ssl":0},"state":"running"}"#,
    ),
    (
        "flamegraph",
        r#"{"cmd":{"probe":["oncpu","offcpu","mem"]},"snoopers":{"proc_name":[{"comm":"cadvisor"}]},"params":{"perf_sample_period":100,"svg_period":300,"svg_dir":"/tmp","flame_dir":"/tmp"},"state":"running"}"#,
    ),
    ("ksli", r#"{"params":{"dev_name":["lo","eth0"],"continuous_sampling":1},"state":"running"}"#),
    ("nginx", r#"{"params":{"elf_path":"/bin/sh"},"state":"running"}"#),
    ("kafka", r#"{"params":{"dev_name":"lo","kafka_port":9092},"state":"running"}"#),
    ("sli", r#"{"cmd":{"probe":["cpu","node","histogram"]},"state":"running"}"#),
    ("dnsmasq", r#"{"state":"stopped"}"#),
    ("haproxy", r#"{"state":"stopped"}"#),
];

#[test]
fn every_documented_body_is_understood() {
    let setup = setup();
    let daemon = setup.start();
    for (feature, body) in DOCUMENTED {
        let built = daemon.has_built(&feature.to_lowercase());
        let answer = daemon.rest().put(&format!("/{feature}"), body);
        // A feature that this version has not built checks the whole body and refuses only to run.
        if !built && body.contains("\"running\"") {
            let (message, _) = refused(answer);
            assert_eq!(message, "not supported in the current version", "{feature} {body}");
        } else {
            assert_eq!(answer.clone().expect(200).json()["message"], TAKEN, "{feature} {body}");
        }
    }
}

#[test]
fn the_percent_encoded_and_the_bare_json_form_work_too() {
    let setup = setup();
    let daemon = setup.start();
    let encoded = "json=%7B%22params%22%3A%7B%22report_period%22%3A17%7D%7D";
    daemon.rest().send("PUT", "/baseinfo", &[], encoded).expect(200);
    assert_eq!(params(&daemon)["report_period"], 17);
    daemon.rest().send_json("PUT", "/baseinfo", &json!({"params": {"report_period": 18}})).expect(200);
    assert_eq!(params(&daemon)["report_period"], 18);
    // A percent sign that is not the first character is text, never decoded.
    daemon.put("baseinfo", r#"{"snoopers":{"proc_name":[{"comm":"a%41"}]}}"#);
    let document = daemon.rest().get("/baseinfo").expect(200).json();
    assert_eq!(document["snoopers"]["proc_name"][0]["comm"], "a%41");
}

#[test]
fn what_get_prints_is_accepted_by_put_without_a_warning() {
    let setup = setup();
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["mem","cpu"]},"snoopers":{"proc_id":[1],"proc_name":[{"comm":"^a$","cmdline":"b","label":{"role":"x"}}],
           "custom_labels":{"task":"t"},"pod_labels":["app"]},"params":{"report_period":9,"res_upper_thr":80},"state":"running"}"#,
    );
    let first = daemon.rest().get("/baseinfo").expect(200);
    let mut document = first.json();
    assert_eq!(document["state"], "running");
    assert_eq!(document["snoopers"]["custom_labels"]["task"], "t");
    assert!(document["cmd"].get("bin").is_none());
    let answer = daemon.put("baseinfo", &first.text());
    assert_eq!(answer.json(), json!({"result": "success", "message": TAKEN}));
    let mut again = daemon.rest().get("/baseinfo").expect(200).json();
    for value in [&mut document, &mut again] {
        value.as_object_mut().expect("a document").remove("status");
    }
    assert_eq!(again, document);
}

#[test]
fn params_merge_sub_probes_replace_and_absent_keys_change_nothing() {
    let setup = setup();
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem"]},"params":{"report_period":30,"res_upper_thr":70}}"#,
    );
    daemon.put("baseinfo", r#"{"params":{"res_upper_thr":80}}"#);
    assert_eq!(
        (&params(&daemon)["report_period"], &params(&daemon)["res_upper_thr"]),
        (&json!(30), &json!(80))
    );
    daemon.put("baseinfo", r#"{"cmd":{"probe":["net"]}}"#);
    let document = daemon.rest().get("/baseinfo").expect(200).json();
    assert_eq!(document["cmd"]["probe"], json!(["net"]));
    assert_eq!(document["params"]["report_period"], 30);
    for nothing in ["{}", r#"{"cmd":{}}"#, r#"{"params":{}}"#] {
        daemon.put("baseinfo", nothing);
    }
    assert_eq!(daemon.rest().get("/baseinfo").expect(200).json(), document);
    // A threshold can be switched off again.
    daemon.put("baseinfo", r#"{"params":{"res_upper_thr":0,"drops_thr":0,"latency_thr":0}}"#);
    assert_eq!(params(&daemon)["res_upper_thr"], 0);
}

#[test]
fn selectors_replace_labels_stay_and_both_can_be_cleared() {
    let setup = setup();
    let daemon = setup.start();
    let snoopers = || daemon.rest().get("/baseinfo").expect(200).json()["snoopers"].clone();
    daemon.put("baseinfo", r#"{"snoopers":{"proc_id":[1],"custom_labels":{"a":"1"},"pod_labels":["app"]}}"#);
    daemon.put("baseinfo", r#"{"snoopers":{"custom_labels":{"b":"2"}}}"#);
    assert_eq!(snoopers()["proc_id"], json!([1]), "labels alone leave the selectors");
    assert_eq!(snoopers()["custom_labels"], json!({"b": "2"}));
    daemon.put("baseinfo", r#"{"snoopers":{"proc_name":[{"comm":"^x$"}]}}"#);
    assert!(matches!(snoopers().get("proc_id"), None | Some(Value::Array(_))));
    assert_eq!(snoopers()["proc_id"].as_array().map_or(0, Vec::len), 0, "one selector replaces all");
    assert_eq!(snoopers()["custom_labels"], json!({"b": "2"}));
    let answer = daemon.put("baseinfo", r#"{"snoopers":{}}"#);
    assert!(!warnings(&answer).is_empty(), "from scoped to the whole host is said");
    assert_eq!(snoopers()["proc_name"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(snoopers()["custom_labels"], json!({"b": "2"}));
    daemon.put("baseinfo", r#"{"snoopers":{"custom_labels":{},"pod_labels":[]}}"#);
    assert_eq!(snoopers()["custom_labels"].as_object().map_or(0, serde_json::Map::len), 0);
    daemon.put("tcp", r#"{"blacklist":{}}"#);
    assert!(daemon.rest().get("/tcp").expect(200).json().get("blacklist").is_some());
}

#[test]
fn what_is_ignored_is_named() {
    let setup = setup();
    let daemon = setup.start();
    // A feature that was configured and never started is `unknown` in GET, and PUT takes that back silently.
    daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    for (body, named) in [
        (r#"{"snooper":{"proc_id":[1]}}"#, "snooper"),
        (r#"{"cmd":{"bin":"/bin/sh","probe":["mem"]}}"#, "bin"),
        (r#"{"params":{"metrics_type":["raw"]}}"#, "metrics_type"),
        (r#"{"params":{"report_event":true}}"#, "report_event"),
        (r#"{"params":{"report_period":6,}}"#, "comma"),
        ("{\"params\":{\"report_period\":6} // six\n}", "comment"),
        (r#"{"snoopers":{"proc_id":[4194000]}}"#, "4194000"),
        (r#"{"state":"unknown"}"#, "unknown"),
    ] {
        let said = warnings(&daemon.put("baseinfo", body));
        assert!(said.iter().any(|warning| warning.contains(named)), "{body}: {said:?}");
    }
    assert_eq!(params(&daemon)["report_event"], 1);
    let idle = daemon.put("baseinfo", r#"{"cmd":{"probe":["proc"]},"snoopers":{},"state":"running"}"#);
    assert!(!warnings(&idle).is_empty(), "`proc` under an empty scope stays idle and says so");
}

#[test]
fn a_refusal_says_what_and_where_and_changes_nothing() {
    let setup = setup();
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":30}}"#);
    let before = daemon.rest().get("/baseinfo").expect(200).json();
    for (body, message, path) in [
        (
            r#"{"params":{"report_period":4}}"#,
            "params.report_period invalid value 4, must be in [5, 600]",
            "params.report_period",
        ),
        (
            r#"{"params":{"report_period":"5"}}"#,
            "params.report_period invalid data type",
            "params.report_period",
        ),
        (
            r#"{"params":{"report_period":5.5}}"#,
            "params.report_period invalid data type",
            "params.report_period",
        ),
        (
            r#"{"params":{"report_period":null}}"#,
            "params.report_period invalid data type",
            "params.report_period",
        ),
        (r#"{"params":{"report_period":99999999999999999999}}"#, "", "params.report_period"),
        (r#"{"params":{"report_period":10,"report_period":11}}"#, "report_period", ""),
        (r#"{"cmd":{"probe":["nosuch"]}}"#, "unsupported probe range: nosuch.", ""),
        (r#"{"cmd":{"probe":[1]}}"#, "Invalid probe range: must be string.", ""),
        (r#"{"cmd":{"probe":"mem"}}"#, "", "cmd.probe"),
        (r#"{"cmd":[]}"#, "", "cmd"),
        (r#"{"state":"up"}"#, "invalid state up: must be running or stopped", "state"),
        (r#"{"state":1}"#, "invalid state: must be string", "state"),
        (r#"{"snoopers":{},"blacklist":{}}"#, "snoopers and blacklist are mutually exclusive", ""),
        (r#"{"snoopers":{"proc_name":[{"comm":"["}]}}"#, "", ""),
        (r#"{"snoopers":{"proc_name":[{"comm":"","cmdline":""}]}}"#, "", ""),
        (r#"{"snoopers":{"proc_id":[-1]}}"#, "", ""),
        (r#"{"snoopers":{"custom_labels":{"1 bad":"x"}}}"#, "", ""),
        (r#"{"snoopers":{"custom_labels":{"__x":"x"}}}"#, "", ""),
        (r#"{"snoopers":{"custom_labels":{"machine_id":"x"}}}"#, "", ""),
        (r#"{"snoopers":{"custom_labels":{"a":1}}}"#, "", ""),
        (r#"{"params":{"report_period":5}} trailing"#, "", ""),
        (r#"{"params":{"report_period":20},"state":"up"}"#, "", "state"),
        ("", "", ""),
        ("{", "", ""),
        ("[]", "", ""),
        ("1", "", ""),
        ("\"x\"", "", ""),
        ("null", "", ""),
        (r#"{"params": {"report_period" 5}}"#, "", ""),
        (r#"{"params": {"report_period": 1e400}}"#, "", ""),
    ] {
        let (said, answer) = refused(daemon.rest().put("/baseinfo", body));
        assert!(said.contains(message), "{body}: {said}");
        if !path.is_empty() {
            assert_eq!(answer["path"], path, "{body}: {answer}");
        }
        assert_eq!(daemon.rest().get("/baseinfo").expect(200).json(), before, "{body} changed something");
    }
    let (said, _) = refused(daemon.rest().send("PUT", "/baseinfo", &[], "{}"));
    assert!(said.contains("put data must start with json="), "{said}");
}

#[test]
fn bad_json_is_answered_with_line_column_and_what_was_expected() {
    let setup = setup();
    let daemon = setup.start();
    for (body, place, expected) in [
        // The comma is missing where the value before it ends, not where the next key is.
        ("{\"cmd\":{\"probe\":[\"mem\"]}\n \"state\":\"running\"}", "line 1, column 25", "','"),
        ("{\n  \"state\": \"running\n}", "line 2, column 20", "closing double quote"),
        ("{\"params\":\n{\"report_period\" 5}}", "line 2, column 18", "':'"),
        ("{\"cmd\":{\"probe\":[\"mem\"}}", "line 1, column 23", "']'"),
    ] {
        let (said, _) = refused(daemon.rest().put("/baseinfo", body));
        assert!(said.contains(place) && said.contains(expected), "{body}: {said}");
    }
}

#[test]
fn limits_of_labels_and_nesting_are_refused_with_400() {
    let setup = setup();
    let daemon = setup.start();
    let eleven = (0..11).map(|n| format!("\"l{n}\":\"v\"")).collect::<Vec<_>>().join(",");
    let long = "v".repeat(1025);
    let deep = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
    for body in [
        format!("{{\"snoopers\":{{\"custom_labels\":{{{eleven}}}}}}}"),
        format!("{{\"snoopers\":{{\"custom_labels\":{{\"a\":\"{long}\"}}}}}}"),
        deep,
        "[".repeat(100_000),
    ] {
        refused(daemon.rest().put("/baseinfo", &body));
    }
    let longest = "v".repeat(1024);
    daemon.put("baseinfo", &format!("{{\"snoopers\":{{\"custom_labels\":{{\"a\":\"{longest}\"}}}}}}"));
}

#[test]
fn unknown_features_and_wrong_methods_are_told_apart() {
    let setup = setup();
    let daemon = setup.start();
    for path in ["/nosuch", "/", "/baseinfo/cpu", "/%00"] {
        for answer in [daemon.rest().get(path), daemon.rest().put(path, "{}")] {
            let answer = answer.expect(404).json();
            assert_eq!(
                (answer["result"].as_str(), answer["message"].as_str()),
                (Some("failed"), Some("url not found"))
            );
        }
    }
    for method in ["POST", "DELETE", "PATCH"] {
        let answer = daemon.rest().send(method, "/baseinfo", &[], "").expect(405);
        let allow = answer.header("allow").expect("an Allow header");
        assert!(allow.contains("GET") && allow.contains("PUT"), "{allow}");
    }
    daemon.rest().get("/BASEINFO").expect(200);
}

#[test]
fn an_unbuilt_feature_keeps_its_configuration_and_refuses_to_run() {
    let setup = setup();
    let daemon = setup.start();
    let Some(feature) = ["tcp", "l7", "jvm", "ksli"].into_iter().find(|feature| !daemon.has_built(feature))
    else {
        return; // every one of them is built by now
    };
    let answer = daemon.put(feature, r#"{"params":{"report_period":33}}"#);
    assert!(!warnings(&answer).is_empty());
    let (message, _) = refused(
        daemon.rest().put(&format!("/{feature}"), r#"{"params":{"report_period":44},"state":"running"}"#),
    );
    assert_eq!(message, "not supported in the current version");
    let document = daemon.rest().get(&format!("/{feature}")).expect(200).json();
    assert_eq!((&document["params"]["report_period"], &document["state"]), (&json!(33), &json!("stopped")));
}

#[test]
fn puts_to_one_feature_are_serialised() {
    let setup = setup();
    let daemon = setup.start();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let rest = daemon.rest();
            scope.spawn(move || {
                for step in 0..20 {
                    let value = 10 + writer * 20 + step;
                    let body = format!(
                        "{{\"params\":{{\"report_period\":{value},\"res_upper_thr\":{}}}}}",
                        value % 100
                    );
                    rest.put("/baseinfo", &body).expect(200);
                }
            });
        }
    });
    let params = params(&daemon);
    let period = params["report_period"].as_u64().expect("a number");
    assert_eq!(params["res_upper_thr"].as_u64(), Some(period % 100), "never half of one and half of another");
}
