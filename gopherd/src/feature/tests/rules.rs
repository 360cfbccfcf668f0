//! Rules that take more than one request to see.

use super::support::{Client, PIDS, Table};
use crate::feature::{Edit, FeatureConfig, Mode, Wanted, saved_document};
use probe_core::ProcKey;

#[test]
fn a_refused_request_changes_no_label_and_no_earlier_part() {
    let mut client = Client::of("tcp");
    client.put(r#"{"snoopers":{"proc_id":[1],"custom_labels":{"app":"web"}},"state":"running"}"#).unwrap();
    let before = client.config.clone();
    let body = r#"{"cmd":{"probe":["tcp_rtt"]},"snoopers":{"custom_labels":{"app":"db"}},"params":{"report_period":1}}"#;
    assert!(client.put(body).is_err());
    assert_eq!(client.config, before);
}

#[test]
fn a_pid_is_bound_to_the_process_alive_at_the_request() {
    let mut client = Client::of("tcp");
    let bound = |client: &Client| {
        let config = client.config.as_ref().unwrap();
        config.selection.selectors.proc_id.first().copied().unwrap().process
    };
    let key = |start_ticks| Some(ProcKey { tgid: 5, start_ticks });
    let body = r#"{"snoopers":{"proc_id":[5]}}"#;
    assert_eq!(client.put(body), Ok(vec![]));
    assert_eq!(bound(&client), key(7));
    client.pids = Table { start_ticks: 9, below: PIDS };
    assert_eq!(client.put("{\"params\":{}}"), Ok(vec![]));
    assert_eq!(bound(&client), key(7), "a request without the selector rebinds nothing");
    assert_eq!(client.put(body), Ok(vec![]));
    assert_eq!(bound(&client), key(9), "the pid has another process now");
    client.pids = Table { start_ticks: 9, below: 0 };
    assert_eq!(client.put(body), Ok(vec![]), "what GET prints is accepted in silence");
    assert_eq!(bound(&client), key(9));
}

#[test]
fn what_get_prints_is_accepted_without_a_warning_and_changes_nothing() {
    let bodies = [
        ("tcp", r#"{"params":{"report_period":30,"offline_thr":100,"kafka_port":9999}}"#),
        (
            "tcp",
            r#"{"snoopers":{"proc_id":[4000],"pod_id":["0de8c1f44c2f4f0c9d2b1a2b3c4d5e6f"],"pod_labels":["a/b"],"custom_labels":{"z":"1","a":"2"}},"state":"running"}"#,
        ),
        ("tcp", r#"{"blacklist":{"proc_name":[{"cmdline":"x","label":{"app":"y"}}]},"state":"stopped"}"#),
        ("baseinfo", r#"{"cmd":{"probe":["proc"]},"state":"running"}"#),
        ("proc", r#"{"params":{"offline_thr":100}}"#),
        ("io", r#"{"blacklist":{"proc_id":[1]}}"#),
        (
            "flamegraph",
            r#"{"params":{"output_dir":"/tmp/x","dev_name":["a","b"],"custom_param":[{"a":"b"}]}}"#,
        ),
        ("l7", r#"{"params":{"l7_protocol":["http"]}}"#),
        ("lvs", r#"{"cmd":{"probe":[]}}"#),
        ("jvm", r#"{"params":{"report_period":30}}"#),
    ];
    for (feature, body) in bodies {
        let mut client = Client::of(feature);
        client.put(body).unwrap();
        let printed = client.get();
        let text = printed.to_string();
        assert!(!text.contains('\n'));
        assert_eq!(client.put(&text), Ok(vec![]), "{text}");
        assert_eq!(client.get(), printed, "{text}");
    }
}

#[test]
fn a_second_line_of_probes_init_is_merged_over_the_first_and_the_wish_survives_saving() {
    let mut client = Client::of("jvm");
    client.from_init = true;
    client.put(r#"{"snoopers":{"proc_id":[1]},"state":"running"}"#).unwrap();
    client.put(r#"{"params":{"report_period":30}}"#).unwrap();
    let saved = saved_document(client.config.as_ref().unwrap()).to_string();
    let mut again = Client::of("jvm");
    again.from_init = true;
    again.put(&saved).unwrap();
    assert_eq!(again.config, client.config);
    assert_eq!(again.config.map(|config| config.state), Some(Wanted::Running));
}

#[test]
fn saving_a_feature_that_was_never_started_keeps_it_unstarted() {
    let mut client = Client::of("tcp");
    client.put(r#"{"params":{"report_period":30}}"#).unwrap();
    assert_eq!(client.get()["state"], "unknown");
    let saved = saved_document(client.config.as_ref().unwrap()).to_string();
    let mut again = Client::of("tcp");
    assert_eq!(again.put(&saved), Ok(vec![]));
    assert_eq!(again.config, client.config);
}

#[test]
fn only_a_stopped_feature_that_is_not_built_is_told_so_on_each_change_and_no_more() {
    let mut client = Client::of("jvm");
    assert_eq!(client.put(r#"{"state":"stopped"}"#).map(|warnings| warnings.len()), Ok(1));
    assert_eq!(client.put(r#"{"state":"stopped"}"#), Ok(vec![]), "nothing changed");
    assert_eq!(client.put(r#"{"params":{"report_period":10}}"#).map(|warnings| warnings.len()), Ok(1));
}

#[test]
fn at_most_a_thousand_rules_are_taken_all_lists_together() {
    let mut client = Client::of("tcp");
    let pids = |n: u32| (1..=n).map(|pid| pid.to_string()).collect::<Vec<_>>().join(",");
    let body = |n| format!(r#"{{"snoopers":{{"proc_id":[{}],"proc_name":[{{"comm":"x"}}]}}}}"#, pids(n));
    assert_eq!(client.put(&body(999)), Ok(vec![]));
    assert_eq!(client.put(&body(1000)), Err("snoopers has 1001 rules, must be at most 1000".into()));
    let names = (0..1000).map(|i| format!(r#"{{"comm":"^worker-{i}$","cmdline":"x{i}"}}"#));
    let names = names.collect::<Vec<_>>().join(",");
    assert_eq!(client.put(&format!(r#"{{"blacklist":{{"proc_name":[{names}]}}}}"#)), Ok(vec![]));
    let selection = client.config.unwrap().selection;
    assert_eq!((selection.mode, selection.selectors.len()), (Mode::Exclude, 1000));
}

#[test]
fn a_body_reaches_the_feature_with_or_without_its_prefix() {
    let mut client = Client::of("tcp");
    let json = Some("application/json; charset=utf-8");
    assert!(client.ask(Edit::compat(br#"{"state":"running"}"#, json)).is_ok());
    assert_eq!(client.config.as_ref().map(|config| config.state), Some(Wanted::Running));
    assert!(client.ask(Edit::compat(br#"{"state":"running"}"#, None)).is_err());
}

#[test]
fn a_default_that_is_given_leaves_the_configuration_as_if_it_was_not() {
    let mut client = Client::of("tcp");
    client.put(r#"{"params":{"report_period":60,"dev_name":"","latency_thr":0}}"#).unwrap();
    assert_eq!(client.config, Some(FeatureConfig::default()));
}
