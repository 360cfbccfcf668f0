//! Bodies that no text table can hold: raw bytes, great sizes, great numbers of faults.

use super::support::Client;
use crate::feature::{Edit, body::MAX_BODY};

fn answer(body: &[u8]) -> Result<Vec<String>, String> {
    let mut client = Client::of("tcp");
    let answer = client.ask(Edit::compat(body, None));
    answer.map(|plan| plan.warnings).map_err(|problem| problem.to_string())
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_are() {
    let place =
        |column: u32, what: &str| Err(format!("invalid json format: line 1, column {column}: {what}"));
    assert_eq!(answer(b"json={\"state\":\"\xff\"}"), place(11, "expected UTF-8"));
    assert_eq!(answer(b"json={}\0garbage"), place(3, "expected text without NUL bytes"));
    assert_eq!(answer(b"json=\0"), place(1, "expected text without NUL bytes"));
    assert_eq!(answer(b"json=%7B%00%7D"), place(2, "expected text without NUL bytes"));
}

#[test]
fn a_million_brackets_and_a_body_at_the_limit_are_answered() {
    let deep = "invalid json format: line 1, column 65: nested deeper than 64 levels";
    let nested = format!("json={}", "[".repeat(1_000_000));
    assert_eq!(answer(nested.as_bytes()), Err(deep.into()));
    let many = format!("json={{\"cmd\":{{\"probe\":[\"tcp_rtt\"{}]}}}}", ",\"tcp_rtt\"".repeat(100_000));
    assert_eq!(answer(many.as_bytes()), Ok(vec![]));
    let digits = format!("json={{\"params\":{{\"report_period\":{}}}}}", "9".repeat(1_000_000));
    let message = answer(digits.as_bytes()).unwrap_err();
    assert!(message.len() < 200 && message.ends_with("…, must be in [5, 600]"), "{message}");
    assert_eq!(answer(&vec![b'x'; MAX_BODY + 1]), Err("put data size exceeds 1048576".into()));
}

#[test]
fn ninety_thousand_unknown_keys_make_a_short_answer() {
    let keys: Vec<String> = (0..90_000).map(|i| format!("\"k{i}\":0")).collect();
    let warnings = answer(format!("json={{{}}}", keys.join(",")).as_bytes()).unwrap();
    assert_eq!(warnings.len(), 33);
    assert_eq!(warnings.last().map(String::as_str), Some("and 89968 more"));
    let long = format!("json={{\"{}\":0}}", "k".repeat(1_000_000));
    assert!(answer(long.as_bytes()).unwrap().concat().len() < 200);
}

#[test]
fn long_names_and_values_are_refused() {
    let comm = format!(r#"json={{"snoopers":{{"proc_name":[{{"comm":"{}"}}]}}}}"#, "a".repeat(10_000));
    assert!(answer(comm.as_bytes()).unwrap_err().ends_with("longer than 1024 bytes"));
    let value = |n| format!(r#"json={{"snoopers":{{"custom_labels":{{"app":"{}"}}}}}}"#, "v".repeat(n));
    assert_eq!(answer(value(1024).as_bytes()), Ok(vec![]));
    assert!(answer(value(5000).as_bytes()).unwrap_err().ends_with("the value is longer than 1024 bytes"));
}

#[test]
fn costly_expressions_are_refused_or_bounded_in_number() {
    let names = vec![r#"{"comm":"\\w{100}\\pL{50}"}"#; 1000].join(",");
    let body = format!(r#"json={{"snoopers":{{"proc_name":[{names}]}}}}"#);
    assert!(answer(body.as_bytes()).unwrap_err().ends_with("too large a regular expression"));
}
