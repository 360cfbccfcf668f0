//! The exposition: both views, every encoding, two scrapers, and what independent readers of the format say.

use gopher_e2e::{Daemon, Response, Scrape, Setup, eventually, process};
use std::io::Read;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// One probe with a long period: after its second reading, a second after the start, its values stand still.
fn still(daemon: &Daemon<'_>) {
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","net","nic","disk","fs","host"]},"params":{"report_period":600},"state":"running"}"#,
    );
    // The second reading repeats each value of the first: when it is in as a whole, and not before, there are
    // more samples than series. A scrape in between may show a part of it.
    daemon.scrape_until("two readings", |scrape| {
        let samples = scrape.value("gopherd_samples_total", &[("probe", "baseinfo")])?;
        let series = scrape.under("gala_gopher_").len();
        (series > 0 && samples > series as f64).then_some(())
    });
}

fn asked(daemon: &Daemon<'_>, path: &str, headers: &[(&str, &str)]) -> Response {
    daemon.metrics().send("GET", path, headers, "").expect(200)
}

fn catalogue_lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with("gala_gopher_")).map(str::to_owned).collect()
}

#[test]
fn two_scrapers_see_the_same_and_a_scrape_changes_nothing() {
    let setup = Setup::new();
    let daemon = setup.start();
    still(&daemon);
    let first = catalogue_lines(&asked(&daemon, "/metrics", &[]).text());
    assert!(!first.is_empty());
    for path in ["/metrics", "/", "/metrics/cumulative", "/metrics"] {
        assert_eq!(catalogue_lines(&asked(&daemon, path, &[]).text()), first, "{path}");
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(catalogue_lines(&asked(&daemon, "/metrics", &[]).text()), first));
        }
    });
}

#[test]
fn gzip_and_zstd_carry_the_same_text() {
    let setup = Setup::new();
    let daemon = setup.start();
    still(&daemon);
    let plain = asked(&daemon, "/metrics", &[]);
    assert!(plain.header("content-encoding").is_none_or(|encoding| encoding == "identity"));
    let plain = catalogue_lines(&plain.text());

    let gzip = asked(&daemon, "/metrics", &[("accept-encoding", "gzip")]);
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice()).read_to_string(&mut text).expect("gzip");
    assert_eq!(catalogue_lines(&text), plain);
    let unpacked = process::run("gzip", &["-dc"], &gzip.body);
    assert_eq!(catalogue_lines(&String::from_utf8_lossy(&unpacked.stdout)), plain);

    let zstd = asked(&daemon, "/metrics", &[("accept-encoding", "zstd")]);
    assert_eq!(zstd.header("content-encoding"), Some("zstd"));
    let text = zstd::decode_all(zstd.body.as_slice()).expect("zstd");
    assert_eq!(catalogue_lines(&String::from_utf8(text).expect("text")), plain);
    assert!(zstd.body.len() * 2 < plain.iter().map(String::len).sum());
}

#[test]
fn every_family_has_help_and_type_and_no_line_has_a_time() {
    let setup = Setup::new();
    let daemon = setup.start();
    still(&daemon);
    let answer = asked(&daemon, "/metrics", &[]);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let scrape = Scrape::parse(&answer.text());
    for sample in &scrape.samples {
        let family = scrape.family(&sample.name);
        assert!(scrape.types.contains_key(family), "no TYPE of {family}");
        assert!(scrape.helps.get(family).is_some_and(|help| !help.is_empty()), "no HELP of {family}");
        assert_eq!(sample.timestamp, None, "{}", sample.name);
        if sample.name.starts_with("gala_gopher_") {
            assert_eq!(sample.labels.last().map(|(key, _)| key.as_str()), Some("machine_id"), "{sample:?}");
        }
    }
    // What the catalogue counts is a counter, what it measures is a gauge.
    assert_eq!(scrape.types["gala_gopher_cpu_user_msec"], "counter");
    assert_eq!(scrape.types["gala_gopher_mem_total_kB"], "gauge");
}

/// What promtool says about names that the catalogue has fixed. Nothing else is waived.
const NAMING: [&str; 5] = [
    "counter metrics should have \"_total\" suffix",
    "label names should be written in 'snake_case' not 'camelCase'",
    "metric names should be written in 'snake_case' not 'camelCase'",
    "metric names should not contain abbreviated units",
    "non-histogram and non-summary metrics should not have \"_count\" suffix",
];

#[test]
fn promtool_finds_no_error() {
    let setup = Setup::new();
    let daemon = setup.start();
    still(&daemon);
    let exposition = asked(&daemon, "/metrics", &[]);
    let output = process::run("promtool", &["check", "metrics"], &exposition.body);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 3)), "promtool cannot read it: {said}");
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        let (name, finding) = line.split_once(' ').expect("a name and a finding");
        assert!(name.starts_with("gala_gopher_") && NAMING.contains(&finding), "{line}");
    }
    // A waiver that nothing needs would hide the next mistake.
    for finding in NAMING {
        assert!(said.lines().any(|line| line.ends_with(finding)), "nobody needs to waive: {finding}");
    }
}

#[test]
fn openmetrics_has_the_same_names_and_ends_with_eof() {
    let setup = Setup::new();
    let daemon = setup.start();
    still(&daemon);
    let text = Scrape::parse(&asked(&daemon, "/metrics", &[]).text());
    let answer = asked(&daemon, "/metrics", &[("accept", OPENMETRICS)]);
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    let body = answer.text();
    assert!(body.ends_with("# EOF\n"));
    let open = Scrape::parse(&body);
    assert_eq!(open.names("gala_gopher_"), text.names("gala_gopher_"));
    assert_eq!(open.names("gopherd_"), text.names("gopherd_"));
    // A counter whose name cannot change and does not end in _total has no type there.
    assert_eq!(open.types["gala_gopher_cpu_user_msec"], "unknown");
    assert_eq!(open.types["gala_gopher_mem_total_kB"], "gauge");
}

#[test]
fn the_view_of_a_period_is_what_gala_gopher_serves() {
    let setup = Setup::new();
    let daemon = setup.start();
    let empty = asked(&daemon, "/metrics/per_period", &[]);
    assert_eq!(empty.text(), "");
    daemon
        .put("baseinfo", r#"{"cmd":{"probe":["cpu","mem"]},"params":{"report_period":5},"state":"running"}"#);
    let text = eventually("a completed period", || {
        let text = asked(&daemon, "/metrics/per_period", &[]).text();
        text.contains("gala_gopher_cpu_user_msec").then_some(text)
    });
    assert!(!text.contains('#'), "no HELP, no TYPE");
    let scrape = Scrape::parse(&text);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    for sample in &scrape.samples {
        assert!(
            sample.name.starts_with("gala_gopher_"),
            "self metrics are in the other view: {}",
            sample.name
        );
        let age = i64::try_from(now.as_millis()).expect("milliseconds") - sample.timestamp.expect("a time");
        assert!((-1000..600_000).contains(&age), "{age} ms old");
    }
    assert_eq!(asked(&daemon, "/metrics/per_period", &[]).text(), text, "a scrape changes nothing");
}

/// A counter's value per CPU, of one that moves in every period however busy or idle the host is.
fn timers(scrape: &Scrape) -> Vec<f64> {
    scrape.all("gala_gopher_cpu_timer").map(|sample| sample.value).collect()
}

#[test]
fn a_counter_of_a_period_is_what_it_grew_by_in_that_period() {
    let setup = Setup::new();
    let daemon = setup.start();
    assert_eq!(asked(&daemon, "/metrics/per_period", &[]).text(), "", "from now on it is wanted");
    daemon.put("baseinfo", r#"{"cmd":{"probe":["cpu"]},"params":{"report_period":5},"state":"running"}"#);
    let (mut totals, mut periods): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    eventually("three readings and the periods between them", || {
        for (path, seen) in [("/metrics/cumulative", &mut totals), ("/metrics/per_period", &mut periods)] {
            let now = timers(&daemon.scrape(path));
            if !now.is_empty() && seen.last() != Some(&now) {
                seen.push(now);
            }
        }
        (totals.len() >= 3 && periods.len() >= 2).then_some(())
    });
    let grown: Vec<Vec<f64>> = totals
        .windows(2)
        .map(|pair| pair[1].iter().zip(&pair[0]).map(|(now, before)| now - before).collect())
        .collect();
    for period in &periods[..2] {
        assert!(grown.contains(period), "{period:?} is none of {grown:?}, the steps of {totals:?}");
    }
}

#[test]
fn the_configured_view_is_served_at_the_short_paths() {
    let setup = Setup::new().section("metric", "semantics = \"per_period\"\nprefix = \"node\"");
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#);
    for path in ["/", "/metrics"] {
        eventually("the view of a period under another prefix", || {
            let scrape = daemon.scrape(path);
            let sample = scrape.all("node_mem_total_kB").next()?;
            sample.timestamp.map(|_| ())
        });
    }
}

#[test]
fn labels_of_any_text_are_escaped_so_that_promtool_reads_them_back() {
    let setup = Setup::new();
    let daemon = setup.start();
    let value = "q\" b\\ n\n } fake_metric{x=\"1\"} 1";
    let body = serde_json::json!({"cmd": {"probe": ["mem"]}, "snoopers": {"custom_labels": {"task": value}},
        "params": {"report_period": 5}, "state": "running"});
    daemon.put("baseinfo", &body.to_string());
    daemon.scrape_until("the label as it was given", |scrape| {
        scrape.value("gala_gopher_mem_total_kB", &[("task", value)])
    });
    for path in ["/metrics", "/metrics/per_period"] {
        let exposition = eventually("this view", || {
            let text = asked(&daemon, path, &[]).text();
            text.contains("gala_gopher_mem_total_kB").then_some(text)
        });
        let output = process::run("promtool", &["check", "metrics"], exposition.as_bytes());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{path}: {said}");
        assert!(!exposition.lines().any(|line| line.starts_with("fake_metric")));
    }
}

#[test]
fn counters_never_go_back_and_series_are_counted() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon
        .put("baseinfo", r#"{"cmd":{"probe":["cpu","net"]},"params":{"report_period":5},"state":"running"}"#);
    let first = daemon.scrape_until("counters", |scrape| {
        scrape.all("gala_gopher_cpu_user_msec").next().map(|_| scrape.clone())
    });
    let later = daemon.scrape_until("the next period", |scrape| {
        let moved = scrape.samples.iter().any(|sample| {
            sample.name == "gala_gopher_cpu_timer"
                && first.samples.iter().any(|old| {
                    old.name == sample.name && old.labels == sample.labels && old.value < sample.value
                })
        });
        moved.then(|| scrape.clone())
    });
    for old in first.under("gala_gopher_") {
        if first.types.get(&old.name).is_some_and(|kind| kind == "counter") {
            let new = later.samples.iter().find(|new| new.name == old.name && new.labels == old.labels);
            assert!(new.is_some_and(|new| new.value >= old.value), "{old:?} then {new:?}");
        }
    }
    let counted = later.must("gopherd_series", &[("probe", "baseinfo")]);
    assert!(counted >= 1.0, "{counted}");
    assert_eq!(later.must("gopherd_probe_state", &[("probe", "baseinfo"), ("state", "running")]), 1.0);
}

#[test]
fn other_paths_and_methods_of_the_metrics_listener_are_refused() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.metrics().get("/baseinfo").expect(404);
    daemon.metrics().send("PUT", "/metrics", &[], "").expect(405);
    let head = daemon.metrics().send("HEAD", "/metrics", &[], "").expect(200);
    assert!(head.body.is_empty());
}
