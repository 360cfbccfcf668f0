//! The native door: what is tolerated elsewhere is refused, a PUT is whole, a PATCH is a merge patch.

use super::support::Client;
use crate::feature::{Budget, Edit, Limits, Mode, Wanted, native_document};

fn put(client: &mut Client, text: &str) -> Result<Vec<String>, (String, String)> {
    let answer = client.ask(Edit::replace(text.as_bytes()));
    answer.map(|plan| plan.warnings).map_err(|problem| (problem.path.pointer(), problem.message))
}

fn patch(client: &mut Client, text: &str) -> Result<Vec<String>, (String, String)> {
    let answer = client.ask(Edit::patch(text.as_bytes()));
    answer.map(|plan| plan.warnings).map_err(|problem| (problem.path.pointer(), problem.message))
}

#[test]
fn what_the_compatible_door_tolerates_is_refused_with_a_pointer() {
    let cases = [
        (r#"{"snooper":{}}"#, "/snooper", "unknown key"),
        (r#"{"status":{}}"#, "/status", "unknown key"),
        (r#"{"cmd":{"bin":"x"}}"#, "/cmd/bin", "unknown key"),
        (r#"{"cmd":{"probe":["udp"]}}"#, "/cmd/probe/0", "unsupported probe range: udp."),
        (
            r#"{"snoopers":{"proc_name":[{"comm":"a","debugging_dir":""}]}}"#,
            "/snoopers/proc_name/0/debugging_dir",
            "unknown key",
        ),
        (r#"{"params":{"a/b~":1}}"#, "/params/a~1b~0", "unknown key"),
        (r#"{"params":{"svg_dir":"/a"}}"#, "/params/svg_dir", "the old name of params.output_dir"),
        (
            r#"{"params":{"report_event":true}}"#,
            "/params/report_event",
            "params.report_event invalid data type",
        ),
        (r#"{"params":{"kafka_port":1}}"#, "/params/kafka_port", "has no effect on tcp"),
        (r#"{"state":"RUNNING"}"#, "/state", "invalid state RUNNING: must be running or stopped"),
        (r#"{"state":"unknown"}"#, "/state", "invalid state unknown: must be running or stopped"),
        (r#"{"snoopers":{},"blacklist":{}}"#, "/blacklist", "snoopers and blacklist are mutually exclusive"),
        (r#"{"cmd":null}"#, "/cmd", "cmd invalid data type, must be an object"),
        (r#"[]"#, "", "Bad request: the document must be a JSON object"),
        (r#"{"budget":{"cpu":0}}"#, "/budget/cpu", "must be a share of one core, above 0 and at most 1024"),
        (r#"{"budget":{"series":1.5}}"#, "/budget/series", "must be a whole number, at least 1"),
        (r#"{"budget":{"cost":1}}"#, "/budget/cost", "unknown key"),
        (r#"{"budget":"none"}"#, "/budget", "must be an object of limits or \"off\""),
    ];
    for (text, pointer, message) in cases {
        let mut client = Client::of("tcp");
        assert_eq!(put(&mut client, text), Err((pointer.into(), message.into())), "{text}");
        assert_eq!(client.config, None);
    }
    assert!(Edit::replace(b"{\"state\":\"running\",}").is_err());
    assert!(Edit::patch(b"{} // comment").is_err());
    let mut proc = Client::of("proc");
    let refused = put(&mut proc, r#"{"cmd":{"probe":["base_metrics"]}}"#);
    assert_eq!(refused.unwrap_err().1, "base_metrics is the old name of proc_syscall");
}

#[test]
fn a_put_is_the_whole_configuration() {
    let mut client = Client::of("tcp");
    client
        .put(r#"{"cmd":{"probe":["tcp_rtt"]},"snoopers":{"proc_id":[1],"custom_labels":{"a":"b"}},"params":{"report_period":30},"state":"running"}"#)
        .unwrap();
    let warnings = put(&mut client, r#"{"params":{"drops_thr":10},"state":"running"}"#);
    assert_eq!(
        warnings,
        Ok(vec!["snoopers: the scope was narrowed before and is the whole host now".into()])
    );
    let expected = r#"{"budget":{},"cmd":{"probe":[]},"params":{"drops_thr":10},"snoopers":{"container_id":[],"container_name":[],"pod_id":[],"proc_id":[],"proc_name":[]},"state":"running"}"#;
    assert_eq!(native_document(client.config.as_ref().unwrap()).to_string(), expected);
    put(&mut client, "{}").unwrap();
    assert_eq!(client.config.map(|config| config.state), Some(Wanted::Stopped));
}

#[test]
fn a_patch_changes_what_it_names_and_null_restores_the_default() {
    let mut client = Client::of("tcp");
    let body = r#"{"snoopers":{"proc_id":[1],"custom_labels":{"a":"b","c":"d"}},"params":{"report_period":30,"drops_thr":10},"state":"running"}"#;
    put(&mut client, body).unwrap();
    let text = r#"{"snoopers":{"custom_labels":{"a":null}},"params":{"report_period":null},"cmd":{"probe":["tcp_rtt"]}}"#;
    assert_eq!(patch(&mut client, text), Ok(vec![]));
    let expected = r#"{"budget":{},"cmd":{"probe":["tcp_rtt"]},"params":{"drops_thr":10},"snoopers":{"container_id":[],"container_name":[],"custom_labels":{"c":"d"},"pod_id":[],"proc_id":[1],"proc_name":[]},"state":"running"}"#;
    assert_eq!(native_document(client.config.as_ref().unwrap()).to_string(), expected);
    patch(&mut client, r#"{"params":null,"cmd":null,"state":null}"#).unwrap();
    let config = client.config.as_ref().unwrap();
    assert_eq!((config.params.iter().count(), config.state), (0, Wanted::Stopped));
    assert!(config.sub_probes.is_empty());
    assert_eq!(
        patch(&mut client, r#"{"params":{"report_period":1}}"#).unwrap_err().0,
        "/params/report_period"
    );
    assert_eq!(patch(&mut client, "[]").unwrap_err().1, "Bad request: the document must be a JSON object");
}

#[test]
fn a_patch_with_a_blacklist_takes_the_place_of_the_snoopers() {
    let mut client = Client::of("tcp");
    put(&mut client, r#"{"snoopers":{"proc_id":[1]}}"#).unwrap();
    patch(&mut client, r#"{"blacklist":{"proc_id":[2]}}"#).unwrap();
    let selection = &client.config.as_ref().unwrap().selection;
    assert_eq!((selection.mode, selection.selectors.len()), (Mode::Exclude, 1));
    let both = patch(&mut client, r#"{"blacklist":{},"snoopers":{}}"#);
    assert_eq!(both.unwrap_err().1, "snoopers and blacklist are mutually exclusive");
}

#[test]
fn a_budget_is_kept_and_the_other_door_leaves_it_alone() {
    let mut client = Client::of("tcp");
    let text = r#"{"budget":{"cpu":0.01,"memory_bytes":1048576,"series":1000,"events_per_s":5}}"#;
    assert_eq!(put(&mut client, text), Ok(vec![]));
    let limits =
        Limits { cpu: Some(0.01), memory_bytes: Some(1 << 20), series: Some(1000), events_per_s: Some(5) };
    assert_eq!(client.config.as_ref().map(|config| config.budget), Some(Budget::Limits(limits)));
    assert_eq!(put(&mut client, r#"{"budget":"off"}"#), Ok(vec![]));
    client.put(r#"{"params":{"report_period":30}}"#).unwrap();
    assert_eq!(client.config.map(|config| config.budget), Some(Budget::Off));
}

#[test]
fn what_only_a_stopped_probe_can_change_stays_while_it_runs() {
    let mut client = Client::of("tcp");
    put(&mut client, r#"{"params":{"ringbuf_map_size":4},"state":"running"}"#).unwrap();
    client.running = true;
    let refused = (
        "/params/ringbuf_map_size".to_owned(),
        "params.ringbuf_map_size invalid can only be changed when probe is stopped".to_owned(),
    );
    assert_eq!(patch(&mut client, r#"{"params":{"ringbuf_map_size":null}}"#), Err(refused.clone()));
    assert_eq!(put(&mut client, r#"{"state":"running"}"#), Err(refused));
    assert_eq!(patch(&mut client, r#"{"params":{"report_period":5}}"#), Ok(vec![]));
}

#[test]
fn a_patch_of_a_feature_that_is_not_built_keeps_the_wish_of_probes_init() {
    let mut client = Client::of("jvm");
    client.from_init = true;
    client.put(r#"{"state":"running"}"#).unwrap();
    client.from_init = false;
    assert_eq!(patch(&mut client, r#"{"params":{"report_period":5}}"#).map(|w| w.len()), Ok(1));
    assert_eq!(client.config.as_ref().map(|config| config.state), Some(Wanted::Running));
    assert_eq!(
        put(&mut client, r#"{"state":"running"}"#).unwrap_err().1,
        "not supported in the current version"
    );
}

#[test]
fn an_apply_request_is_one_replacement_for_each_feature() {
    let edits = Edit::apply(br#"{"probes":{"tcp":{"state":"running"},"io":{}}}"#).unwrap();
    assert_eq!(edits.iter().map(|(feature, _)| feature.as_str()).collect::<Vec<_>>(), ["tcp", "io"]);
    let (_, edit) = edits.into_iter().next().unwrap();
    let mut client = Client::of("tcp");
    client.ask(Ok(edit)).unwrap();
    assert_eq!(client.config.map(|config| config.state), Some(Wanted::Running));
    let refused =
        |text: &str| Edit::apply(text.as_bytes()).map_err(|problem| problem.to_string()).unwrap_err();
    assert_eq!(refused("{}"), "probes: must be given");
    assert_eq!(refused("[]"), "must be an object with the member probes");
    assert_eq!(refused(r#"{"probes":[]}"#), "probes: must be an object");
    assert_eq!(refused(r#"{"probes":{},"dry_run":true}"#), "dry_run: unknown key");
    assert!(refused(r#"{"probes":{"tcp":{},"tcp":{}}}"#).contains("duplicate key \"tcp\""));
}

#[test]
fn the_native_document_is_what_the_published_schema_says() {
    let mut client = Client::of("tcp");
    let text = r#"{"cmd":{"probe":["tcp_rtt"]},"blacklist":{"proc_id":[1],"proc_name":[{"comm":"a","label":{"app":"web"}}],"custom_labels":{"z":"1"},"pod_labels":["team"]},"params":{"dev_name":["a","b"]},"budget":{"cpu":0.5},"state":"running"}"#;
    for text in ["{}", text, r#"{"budget":"off"}"#] {
        put(&mut client, text).unwrap();
        let document = native_document(client.config.as_ref().unwrap());
        let published: gopher_api::ProbeConfig = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(published).unwrap(), document);
    }
}

#[test]
fn delete_forgets() {
    let mut client = Client::of("tcp");
    put(&mut client, r#"{"state":"running"}"#).unwrap();
    assert!(client.ask(Ok(Edit::Forget)).is_ok());
    assert_eq!(client.config, None);
    assert_eq!(client.get().to_string(), "{}");
}
