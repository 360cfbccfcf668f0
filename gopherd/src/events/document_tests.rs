//! The documents, byte for byte, and against their schema.

use super::*;
use probe_core::{ProcKey, Table, Text, Trigger, When, params};
use proptest::prelude::*;
use serde_json::Value;
use std::time::Duration;

static LINK: Table = Table {
    name: "tcp_metric",
    entity: "tcp_link",
    sub_probe: "",
    keys: &["tgid", "role", "client_ip", "server_ip", "server_port"],
    labels: &["dev"],
    columns: &[],
};

static RETRANS: Trigger = Trigger {
    table: &LINK,
    metric: "retran_packets",
    when: When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 },
    severity: Severity::Warn,
    text: Text {
        en: "{value} segments of {role} were sent again, more than {threshold}{odd}.",
        zh: "重传 {value}。",
    },
    ip: "CIP({client_ip}), SIP({server_ip}:{server_port})",
    device: "dev",
};

fn event(what: What) -> Event {
    Event {
        feature: "tcp",
        trigger: &RETRANS,
        what,
        subject: Subject::Process(ProcKey { tgid: 4242, start_ticks: 1 }),
        labels: ["4242", "client", "10.0.0.1", "10.0.0.2", "80", "eth0"].map(Label::from).into(),
        args: vec![("odd", "!".into())],
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_661_088_145_123),
        entity_id: "m-1_tcp_link_4242".into(),
        suppressed: 0,
    }
}

const HOLDS: What = What::Holds { value: 12.5, threshold: 10.0 };

fn writer(change: impl FnOnce(&mut Style)) -> Writer {
    let mut style = Style { prefix: "gala_gopher".into(), machine: "m-1".into(), ..Style::default() };
    change(&mut style);
    Writer::new(style)
}

fn text(message: &Message) -> String {
    String::from_utf8(message.document.to_vec()).expect("UTF-8")
}

fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.document).expect("JSON")
}

/// The body without its time, which is local.
fn said(message: &Message) -> String {
    json(message)["Body"].as_str().expect("a text").chars().skip("Sun Aug 21 21:22:25 2022 ".len()).collect()
}

#[test]
fn a_document_has_the_members_of_gala_gophers_in_their_order() {
    let about = Fragment::new([("comm", "redis"), ("container_id", "0123456789ab"), ("pod_id", "u-1")]);
    let message = writer(|_| {}).message(&event(HOLDS), Some(&about));
    let shown = text(&message);
    let (before, body) = shown.split_once(r#""Body":""#).expect("a body");
    let expected = concat!(
        r#"{"Timestamp":1661088145123,"event_id":"1661088145123_m-1_tcp_link_4242","#,
        r#""Attributes":{"entity_id":"m-1_tcp_link_4242","event_id":"1661088145123_m-1_tcp_link_4242","event_type":"sys"},"#,
        r#""Resource":{"metric":"gala_gopher_tcp_link_retran_packets","labels":{"Host":"m-1","PID":"4242","COMM":"redis","#,
        r#""IP":"CIP(10.0.0.1), SIP(10.0.0.2:80)","ContainerID":"0123456789ab","POD":"u-1","Device":"eth0"}},"#,
        r#""SeverityText":"WARN","SeverityNumber":13,"#
    );
    assert_eq!(before, expected);
    assert!(body.ends_with(
        r#"2022 WARN Entity(4242_client_10.0.0.1_10.0.0.2_80) 12.5 segments of client were sent again, more than 10!."}"#
    ), "{body}");
    assert_eq!(
        (message.at_ms, &*message.key, message.live_only),
        (1_661_088_145_123, "m-1_tcp_link_4242", false)
    );
}

#[test]
fn what_is_not_known_is_an_empty_text_and_every_label_is_there() {
    let mut event = event(What::Told);
    event.subject = Subject::Host;
    event.labels = Box::from([]);
    let labels = json(&writer(|_| {}).message(&event, None))["Resource"]["labels"].clone();
    let wanted = serde_json::json!({"Host": "m-1", "PID": "", "COMM": "", "IP": "CIP(), SIP(:)", "ContainerID": "", "POD": "", "Device": ""});
    assert_eq!(labels, wanted);
}

#[test]
fn the_number_of_suppressed_events_and_the_old_spelling_are_there_when_they_are_wanted() {
    let mut event = event(HOLDS);
    event.suppressed = 9;
    let shown = text(&writer(|style| style.legacy_metrics_key = true).message(&event, None));
    assert!(shown.contains(r#""event_type":"sys","suppressed":9}"#), "{shown}");
    let both = r#""metric":"gala_gopher_tcp_link_retran_packets","metrics":"gala_gopher_tcp_link_retran_packets","labels""#;
    assert!(shown.contains(both), "{shown}");
}

#[test]
fn the_end_of_a_condition_is_an_event_of_its_own_kind_that_only_the_live_stream_has_unless_asked_for() {
    let message = writer(|_| {}).message(&event(What::Ended), None);
    let document = json(&message);
    assert_eq!(document["Attributes"]["event_type"], "recovered");
    assert_eq!((&document["SeverityText"], &document["SeverityNumber"]), (&"INFO".into(), &9.into()));
    let id = "Entity(4242_client_10.0.0.1_10.0.0.2_80)";
    assert_eq!(said(&message), format!("INFO {id} retran_packets of tcp_link is back to normal."));
    assert!(message.live_only);
    assert!(!writer(|style| style.recovery = true).message(&event(What::Ended), None).live_only);
}

#[test]
fn texts_are_chinese_where_that_is_set() {
    let mut writer = writer(|style| style.chinese = true);
    assert!(said(&writer.message(&event(HOLDS), None)).ends_with("重传 12.5。"));
    assert!(
        said(&writer.message(&event(What::Ended), None)).ends_with("tcp_link 的 retran_packets 已恢复正常。")
    );
}

#[test]
fn no_two_events_have_the_same_id_and_the_later_one_has_the_later_time() {
    let mut writer = writer(|_| {});
    let at = |writer: &mut Writer, ms| {
        let event = Event { at: SystemTime::UNIX_EPOCH + Duration::from_millis(ms), ..event(HOLDS) };
        writer.message(&event, None).at_ms
    };
    let times = [5, 5, 5, 6, 4, 4, 9].map(|ms| at(&mut writer, ms));
    assert_eq!(times, [5, 6, 7, 8, 4, 9, 10], "a clock that was set back stays set back");
    let other = Event { entity_id: "another".into(), ..event(HOLDS) };
    assert_eq!(writer.message(&other, None).at_ms, 1_661_088_145_123);
}

#[test]
fn a_body_is_cut_between_characters() {
    let mut event = event(HOLDS);
    event.labels = std::iter::repeat_n(Label::from("é".repeat(200)), 6).collect();
    let body = json(&writer(|_| {}).message(&event, None))["Body"].as_str().expect("a text").to_owned();
    assert!((MAX_BODY - 1..=MAX_BODY).contains(&body.len()), "{}", body.len());
}

/// The committed schema.
fn schema(name: &str) -> jsonschema::Validator {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../api").join(name);
    let text = std::fs::read_to_string(path).expect("the schema");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

#[test]
fn the_schema_refuses_what_is_not_as_it_says() {
    let schema = schema("event.schema.json");
    let good = json(&writer(|_| {}).message(&event(HOLDS), None));
    assert!(schema.is_valid(&good));
    for (pointer, bad) in [
        ("/Timestamp", Value::from("1")),
        ("/Attributes/event_type", "other".into()),
        ("/Attributes/entity_id", "a/b".into()),
        ("/SeverityNumber", 10.into()),
        ("/Resource/labels", serde_json::json!({"Host": "m"})),
        ("/Resource/labels/PID", 7.into()),
        ("/Body", Value::Null),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).expect("there") = bad;
        assert!(!schema.is_valid(&document), "{pointer}");
    }
    let table = probes::all().flat_map(|feature| feature.tables).next().expect("a table");
    let metadata: Value = serde_json::from_slice(&crate::metadata::write(table, 1)).expect("JSON");
    let schema = self::schema("metadata.schema.json");
    assert!(schema.is_valid(&metadata) && !schema.is_valid(&good), "{metadata}");
}

proptest! {
    #[test]
    fn any_text_of_the_host_makes_a_valid_document_on_one_line(
        labels in prop::collection::vec(".{0,60}", 6), comm in ".{0,20}", suppressed in 0u64..5, legacy: bool, ended: bool
    ) {
        let labels: Vec<Label> = labels.iter().map(Label::from).collect();
        let what = if ended { What::Ended } else { HOLDS };
        let entity_id = crate::events::entity_id("m-1", &LINK, &labels).into();
        let event = Event { labels: labels.into(), suppressed, entity_id, ..event(what) };
        let about = Fragment::new([("comm", comm)]);
        let message = writer(|style| style.legacy_metrics_key = legacy).message(&event, Some(&about));
        prop_assert!(!message.document.contains(&b'\n'));
        let document = json(&message);
        let schema = schema("event.schema.json");
        let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        prop_assert!(errors.is_empty(), "{:?} in {}", errors, document);
        let read: EventDocument<'_> = serde_json::from_slice(&message.document).expect("a document");
        prop_assert_eq!(serde_json::to_vec(&read).expect("written"), message.document.to_vec());
    }
}

#[test]
fn the_metadata_of_every_table_is_as_its_schema_says() {
    let schema = schema("metadata.schema.json");
    for table in probes::all().flat_map(|feature| feature.tables) {
        let document: Value = serde_json::from_slice(&crate::metadata::write(table, 1)).expect("JSON");
        let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {document}");
    }
}

#[test]
fn each_trigger_watches_what_its_table_shows_and_its_texts_have_no_open_place() {
    for trigger in probes::all().flat_map(|feature| feature.triggers) {
        let name = format!("{}.{}", trigger.table.entity, trigger.metric);
        assert!(crate::events::is_watchable(trigger), "{name}");
        let table = trigger.table;
        let what = if trigger.when == When::Told { What::Told } else { HOLDS };
        for chinese in [false, true] {
            let labels = table.keys.iter().chain(table.labels).map(|_| Label::from("x")).collect();
            let event = Event { trigger, labels, ..event(what) };
            let document = json(&writer(|style| style.chinese = chinese).message(&event, None));
            let body = document["Body"].as_str().expect("a text");
            // What is told brings words of its own for some places.
            let whole = !body.contains(['{', '}']) && body.contains("12.5");
            assert!(trigger.when == When::Told || whole, "{name}: {body}");
            let labels = &document["Resource"]["labels"];
            assert!(!labels["IP"].to_string().contains(['{', '}']), "{name}: {labels}");
            assert_eq!(labels["Device"] == "", trigger.device.is_empty(), "{name}: {labels}");
        }
    }
}
