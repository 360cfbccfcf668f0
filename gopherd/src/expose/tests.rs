//! Both text formats and the JSON document against other people's tools: `promtool`, the `prometheus` crate
//! and `serde_json`.

use crate::expose::{Format, strict, write_document};
use crate::store::tests::{Driver, FEATURE, Flow, Host as HostRow, flow, fragment, histogram, process};
use probe_core::{Baseline::Zero, Subject::Host};
use prometheus::{Encoder, Gauge, Histogram, HistogramOpts, IntCounter, Opts, Registry, TextEncoder};
use std::io::Write;
use std::process::{Command, Stdio};

/// A store with every kind of column, hostile labels and two tables.
fn filled() -> Driver {
    let mut driver = Driver::new();
    driver.known.0.insert(7, fragment(&[("comm", "we\"ird\\\n"), ("start_time", "12345")]));
    driver.store.want_periods();
    driver.close(|batch| {
        for (peer, count) in [("a", 5), ("b\u{7f}é", 9)] {
            let row = Flow { rtt: histogram([1, 0, 2], 215.5), ..flow(peer, count) };
            batch.push(process(7, 1), Zero, row);
        }
        batch.push(Host, Zero, HostRow { forks: Some(u64::MAX), load: Some(1e20) });
    });
    driver
}

#[test]
fn types_follow_the_format_and_names_do_not() {
    let driver = filled();
    let text = strict::parse(Format::Text, &driver.text(Format::Text));
    let open = strict::parse(Format::OpenMetrics, &driver.text(Format::OpenMetrics));
    for (family, kind) in [
        ("gala_gopher_flow_bytes_total", Some("counter")),
        ("gala_gopher_flow_packets", Some("counter")),
        ("gala_gopher_flow_ratio", Some("gauge")),
        ("gala_gopher_flow_rtt", Some("histogram")),
        ("gala_gopher_flow_rtt_max", Some("gauge")),
    ] {
        assert_eq!(text.kind(family), kind, "{family}");
    }
    for (family, kind) in [
        ("gala_gopher_flow_bytes", Some("counter")),
        ("gala_gopher_flow_bytes_total", None),
        ("gala_gopher_flow_packets", Some("unknown")),
        ("gala_gopher_flow_rtt", Some("histogram")),
    ] {
        assert_eq!(open.kind(family), kind, "{family}");
    }
    let sorted = |parsed: &strict::Parsed| {
        let mut samples: Vec<_> = parsed.samples().cloned().collect();
        samples.sort_by(|a, b| (&a.name, &a.labels).partial_cmp(&(&b.name, &b.labels)).expect("texts"));
        samples
    };
    assert_eq!(sorted(&text), sorted(&open), "the samples are the same in both");
    assert!(
        driver.text(Format::Text).contains("# HELP gala_gopher_flow_bytes_total Bytes, from \"here\".\n")
    );
    assert!(driver.text(Format::Text).contains("Packets \\\\ frames.\n"));
    assert!(driver.text(Format::OpenMetrics).contains("Bytes, from \\\"here\\\".\n"));
}

/// The same families made by the `prometheus` crate read back as the same samples.
#[test]
fn the_prometheus_crate_says_the_same() {
    let (registry, mut driver) = (Registry::new(), Driver::new());
    let opts = |name: &str, help: &str| {
        Opts::new(name, help)
            .const_label("tgid", "7")
            .const_label("peer", "a\"\\\nb")
            .const_label("role", "client")
            .const_label("machine_id", "m")
    };
    let bytes = IntCounter::with_opts(opts("gala_gopher_flow_bytes_total", "b")).expect("valid");
    let ratio = Gauge::with_opts(opts("gala_gopher_flow_ratio", "r")).expect("valid");
    let rtt = HistogramOpts::from(opts("gala_gopher_flow_rtt", "h")).buckets(vec![10.0, 100.0]);
    let rtt = Histogram::with_opts(rtt).expect("valid");
    registry.register(Box::new(bytes.clone())).expect("new");
    registry.register(Box::new(ratio.clone())).expect("new");
    registry.register(Box::new(rtt.clone())).expect("new");
    bytes.inc_by(1 << 40);
    ratio.set(0.1 + 0.2);
    let mut ours = probe_core::Histogram::new(crate::store::tests::BOUNDS);
    for value in [0.0, 10.0, 11.0, 100.5, 0.25] {
        rtt.observe(value);
        ours.observe(crate::store::tests::BOUNDS, value);
    }
    let ours = probe_core::Histogram::from_buckets(ours.buckets().into(), ours.sum(), None);
    driver.send(|batch| {
        let row = flow("a\"\\\nb", 0);
        let row = Flow {
            bytes_total: Some(1 << 40),
            packets: None,
            ratio: Some(0.1 + 0.2),
            rtt: Some(ours),
            ..row
        };
        batch.push(Host, Zero, row);
    });
    let mut theirs = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut theirs).expect("encoded");
    let theirs = strict::parse(Format::Text, &String::from_utf8(theirs).expect("UTF-8"));
    let samples = |parsed: &strict::Parsed| {
        let mut samples: Vec<_> = parsed.samples().cloned().collect();
        samples.iter_mut().for_each(|sample| sample.labels.sort());
        samples
    };
    assert_eq!(samples(&driver.shown()), samples(&theirs));
}

/// Findings of `promtool check metrics` about names, which are the catalogue's.
const NAMING: [&str; 5] = [
    "counter metrics should have \"_total\" suffix",
    "non-counter metrics should not have \"_total\" suffix",
    "use base unit",
    "abbreviated",
    "non-histogram and non-summary metrics should not have",
];

/// What `promtool check metrics` says about `text`; `None` if it is not installed, which is an error where
/// CI is set.
#[allow(clippy::disallowed_methods)] // a child process is the point
pub(crate) fn promtool(text: &[u8]) -> Option<Vec<String>> {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "promtool is needed where CI is set: {error}");
            eprintln!("promtool is not installed; nothing was checked: {error}");
            return None;
        }
    };
    child.stdin.take().expect("a pipe").write_all(text).expect("written");
    let output = child.wait_with_output().expect("ended");
    // 3: only lint. Anything it could not read is 1.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    Some(String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect())
}

#[test]
fn promtool_finds_no_error() {
    let Some(findings) = promtool(filled().text(Format::Text).as_bytes()) else { return };
    let other: Vec<_> =
        findings.iter().filter(|line| !NAMING.iter().any(|waived| line.contains(waived))).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn the_json_document_is_the_originals_with_counters_in_it() {
    let driver = filled();
    let mut documents = Vec::new();
    driver.store.period_rows(FEATURE, &mut |row| {
        let mut line = Vec::new();
        write_document(row, &mut line);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        documents.push(serde_json::from_slice::<serde_json::Value>(&line).expect("JSON"));
    });
    assert_eq!(documents.len(), 3);
    let expected = serde_json::json!({
        "timestamp": 1_700_000_001_000u64,
        "entity_name": "flow",
        "table_name": "flow",
        "labels": {
            "tgid": "7", "peer": "a", "role": "client",
            "comm": "we\"ird\\\n", "start_time": 12345, "machine_id": "m"
        },
        "metrics": { "bytes_total": "5", "packets": "5", "ratio": "0.5" },
        "histos": { "rtt": { "10": 1, "100": 1, "count": 3, "sum": 215.5, "max": 215.5 } }
    });
    assert_eq!(documents[0], expected);
}
