//! The metric channels that are files: what they hold, that they move with their names, and that a full disk
//! costs lines that are counted, and nothing else.

use gopher_e2e::{Daemon, Scrape, Setup, SmallDisk, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

/// The whole lines of a file, none if it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole.lines().map(str::to_owned).collect()
}

fn document(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Fresh values at once instead of after a period: a start takes its second reading after a second.
fn again(daemon: &Daemon<'_>) {
    daemon.put("baseinfo", r#"{"state":"stopped"}"#);
    daemon.put("baseinfo", r#"{"state":"running"}"#);
}

#[test]
fn both_are_written_beside_the_listener_and_reopened_after_they_were_moved() {
    let setup = Setup::new().section("metric", "out_channel = [\"web_server\", \"logs\", \"json\"]");
    let metrics = setup.path("log/metrics");
    std::fs::create_dir_all(&metrics).expect("the folder");
    std::fs::write(metrics.join("gopher_metrics.json"), "{\"from\":\"before\"}\n").expect("an old file");
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    let (text, json) = (metrics.join("gopher_metrics.log"), metrics.join("gopher_metrics.json"));
    let line = eventually("a line of text", || {
        lines(&text).into_iter().find(|line| line.starts_with("gala_gopher_mem_total_kB"))
    });
    let sample = Scrape::parse(&format!("{line}\n")).samples.remove(0);
    assert!(sample.timestamp.is_some(), "{line}");
    assert_eq!(sample.value, daemon.scrape("/metrics").must("gala_gopher_mem_total_kB", &[]));
    let table = |json: &Path| {
        let documents: Vec<Value> = lines(json).iter().map(|line| document(line)).collect();
        documents.into_iter().find(|document| document["table_name"] == "system_meminfo")
    };
    let found = eventually("a line of JSON", || table(&json));
    assert_eq!(found["entity_name"], "mem");
    assert!(found["timestamp"].is_number() && found["labels"]["machine_id"].is_string(), "{found}");
    assert_eq!(found["metrics"]["total_kB"], sample.value.to_string(), "{found}");
    assert_eq!(lines(&json)[0], "{\"from\":\"before\"}", "what was there stays");

    for path in [&text, &json] {
        std::fs::rename(path, path.with_extension("moved")).expect("logrotate moves the file");
    }
    daemon.signal(Signal::USR1);
    eventually("the signal in the log", || daemon.log().contains("reopened").then_some(()));
    let moved = [&text, &json].map(|path| lines(&path.with_extension("moved")).len());
    again(&daemon);
    eventually("new lines under the old names", || {
        (table(&json).is_some() && !lines(&text).is_empty()).then_some(())
    });
    assert_eq!([&text, &json].map(|path| lines(&path.with_extension("moved")).len()), moved);
}

#[test]
fn a_full_disk_loses_counted_lines_and_recovers_by_itself() {
    let setup = Setup::new().section("metric", "out_channel = \"json\"");
    let Some(disk) = SmallDisk::mount(&setup.path("log"), "1m", 100) else { return };
    let daemon = setup.start();
    let filler = disk.path().join("filler");
    let full = std::fs::write(&filler, vec![b'x'; 2 << 20]).expect_err("a mebibyte holds no two");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    daemon.put("baseinfo", MEMORY);
    let own = |name: &str, labels: &[(&str, &str)]| {
        daemon.scrape("/metrics/cumulative").value(name, labels).unwrap_or(0.0)
    };
    let errors = || own("gopherd_sink_errors_total", &[("sink", "json")]);
    eventually("the failed write to be counted", || (errors() > 0.0).then_some(()));
    eventually("the lost lines to be counted", || {
        let scrape = daemon.scrape("/metrics/cumulative");
        let lost = scrape
            .all("gopherd_lost_total")
            .filter(|sample| sample.label("stage") == Some("sink") && sample.label("owner") == Some("json"));
        (lost.map(|sample| sample.value).sum::<f64>() > 0.0).then_some(())
    });
    // Nobody else is disturbed.
    assert_eq!(daemon.state("baseinfo"), "running");
    daemon.scrape_until("memory", |scrape| scrape.value("gala_gopher_mem_total_kB", &[]));

    std::fs::remove_file(&filler).expect("room again");
    let json = setup.path("log/metrics/gopher_metrics.json");
    again(&daemon);
    eventually("whole lines again", || {
        let found = lines(&json);
        found.iter().for_each(|line| drop(document(line)));
        (!found.is_empty()).then_some(())
    });
    assert!(daemon.terminate().success());
}

#[test]
fn sighup_opens_a_channel_that_was_not_there() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    let file = std::fs::read_to_string(setup.config_path()).expect("the file");
    std::fs::write(
        setup.config_path(),
        format!("{file}\n[metric]\nout_channel = [\"web_server\", \"logs\"]\n"),
    )
    .expect("the file");
    daemon.signal(Signal::HUP);
    eventually("the reload in the log", || daemon.log().contains("metric.out_channel").then_some(()));
    again(&daemon);
    eventually("lines", || {
        let found = lines(&setup.path("log/metrics/gopher_metrics.log"));
        found.iter().any(|line| line.starts_with("gala_gopher_mem_")).then_some(())
    });
}
