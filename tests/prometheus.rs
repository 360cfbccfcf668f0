//! A real Prometheus scrapes both views, next to a second scraper, and stores what was exposed.
//!
//! By default until a few scrapes are in; `GOPHERD_E2E_SCRAPE_SECONDS=120` is the two-minute form.

use gopher_e2e::daemon::free_port;
use gopher_e2e::disk::LoopDisk;
use gopher_e2e::process::{Background, command};
use gopher_e2e::{Client, Daemon, Setup, eventually};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Result rows of an instant query.
fn query(prometheus: &Client, expression: &str) -> Vec<Value> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let Ok(answer) = prometheus.try_send("GET", &format!("/api/v1/query?query={encoded}"), &[], Vec::new())
    else {
        return Vec::new();
    };
    answer.json()["data"]["result"].as_array().cloned().unwrap_or_default()
}

fn number(row: &Value) -> f64 {
    row["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number as text")
}

/// Starts one that scrapes both views, with `more` at the end of its configuration.
fn start_prometheus(setup: &Setup, more: &str) -> (Background, Client) {
    let port = free_port();
    let config = setup.path("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n\
         - job_name: cumulative\n  metrics_path: /metrics/cumulative\n  static_configs: [{{targets: ['127.0.0.1:{0}']}}]\n\
         - job_name: per_period\n  metrics_path: /metrics/per_period\n  static_configs: [{{targets: ['127.0.0.1:{0}']}}]\n{more}",
        setup.metrics_port
    );
    std::fs::write(&config, text).expect("prometheus.yml");
    let mut program = command("prometheus");
    program
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", setup.path("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(setup.path("."));
    let process = Background::start(program, &setup.path("prometheus.log"));
    let client = Client::port(port);
    eventually("Prometheus to be ready", || {
        let answer = client.try_send("GET", "/-/ready", &[], Vec::new()).ok()?;
        (answer.status == 200).then_some(())
    });
    (process, client)
}

fn scraped_value(daemon: &Daemon<'_>, name: &str) -> f64 {
    daemon.scrape("/metrics/cumulative").must(name, &[])
}

#[test]
fn prometheus_scrapes_both_views_without_a_failure() {
    let setup = Setup::new();
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["cpu","mem","net","fs"]},"params":{"report_period":5},"state":"running"}"#,
    );
    let (prometheus, client) = start_prometheus(&setup, "");
    let wanted = std::env::var("GOPHERD_E2E_SCRAPE_SECONDS").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_secs(wanted.unwrap_or(8));
    let start = Instant::now();
    eventually_for(span, "enough scrapes of both views", || {
        // The second scraper.
        daemon.scrape("/metrics");
        let scrapes = query(&client, "count_over_time(up[10m])");
        (start.elapsed() >= span && scrapes.len() == 2 && scrapes.iter().all(|row| number(row) >= 5.0))
            .then_some(())
    });
    for row in query(&client, "min_over_time(up[10m])") {
        assert_eq!(number(&row), 1.0, "a scrape failed: {row}");
    }
    for job in ["cumulative", "per_period"] {
        let rows = eventually("the memory in both jobs", || {
            let rows = query(&client, &format!("gala_gopher_mem_total_kB{{job=\"{job}\"}}"));
            (!rows.is_empty()).then_some(rows)
        });
        assert_eq!(number(&rows[0]), scraped_value(&daemon, "gala_gopher_mem_total_kB"));
    }
    // A counter counts: what Prometheus makes of two periods is near the one second per second that a CPU has.
    let rows = eventually("the increase of a counter", || {
        let rows = query(&client, "sum(last_over_time(gala_gopher_cpu_idle_msec{job=\"cumulative\"}[1m]))");
        (!rows.is_empty()).then_some(rows)
    });
    assert!(number(&rows[0]) > 0.0);
    // Prometheus asks for OpenMetrics, where a counter is only what ends in _total.
    for (name, kind) in [
        ("gala_gopher_cpu_user_msec", "unknown"),
        ("gala_gopher_mem_total_kB", "gauge"),
        // Its metadata is about the family, whose name has no _total.
        ("gopherd_samples", "counter"),
    ] {
        let metadata = client.get(&format!("/api/v1/metadata?metric={name}")).expect(200).json();
        assert!(metadata["data"].to_string().contains(&format!("\"type\":\"{kind}\"")), "{name}: {metadata}");
    }
    drop(prometheus);
}

/// Waits `span` longer than usual.
#[track_caller]
fn eventually_for(span: Duration, what: &str, look: impl FnMut() -> Option<()>) {
    let found = gopher_e2e::within(span + Duration::from_secs(60), look);
    assert!(found.is_some(), "waited in vain for: {what}");
}

/// The expressions of a dashboard's panels, with its variables filled.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let filled = |target: &Value| {
        let text = target["expr"].as_str().expect("an expression").replace("$__rate_interval", "30s");
        text.replace("$machine", ".*").replace("$instance", ".*")
    };
    targets.map(filled).collect()
}

/// What may have nothing to show on a host that is well, or has no such device.
const MAY_BE_EMPTY: [&str; 12] = [
    "_nic_",
    "_disk_",
    "swap_util",
    "> 0",
    "gopherd_sink_errors_total",
    "gopherd_http_refused_total",
    "gopherd_lost_total",
    "zero_win",
    "tcp_link_srtt",
    "tcp_link_syn_srtt",
    "retrans_ratio",
    "gopherd_series_limited_total",
];

#[test]
fn dashboards_and_alert_rules_are_valid_and_show_data_of_a_live_daemon() {
    let etc = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc");
    let rules = etc.join("prometheus/gopherd.rules.yml");
    let path = rules.to_str().expect("a path of text");
    let checked = gopher_e2e::process::run("promtool", &["check", "rules", path], b"");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let setup = Setup::new();
    let daemon = setup.start();
    let own = std::process::id();
    let baseinfo = serde_json::json!({
        "snoopers": {"proc_id": [own]}, "state": "running",
        // Everything is an event, so that there are some.
        "params": {"report_period": 5, "report_event": 1, "res_upper_thr": 1},
    });
    daemon.put("baseinfo", &baseinfo.to_string());
    for feature in ["tcp", "socket"] {
        let order = serde_json::json!({"blacklist": {}, "state": "running", "params": {"report_period": 5}});
        daemon.put(feature, &order.to_string());
    }
    let disk = LoopDisk::new(&setup.path("disk"), 1 << 20, 1 << 20);
    daemon.put("io", r#"{"state":"running","params":{"report_period":5}}"#);
    let (prometheus, client) = start_prometheus(&setup, &format!("rule_files: [{path}]\n"));
    // Connections of this process: it scrapes beside Prometheus.
    daemon
        .scrape_until("connections", |scrape| scrape.all("gala_gopher_tcp_link_tx_bytes").next().map(|_| ()));
    let mut waiting: Vec<(String, String)> = Vec::new();
    for name in ["baseinfo", "tcp", "io", "events", "gopherd"] {
        let text = std::fs::read_to_string(etc.join(format!("grafana/{name}.json"))).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for expression in expressions(&dashboard) {
            let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = client.get(&format!("/api/v1/query?query={encoded}"));
            assert_eq!(answer.status, 200, "{name}: {expression}: {}", answer.text());
            if !MAY_BE_EMPTY.iter().any(|part| expression.contains(part)) {
                waiting.push((name.to_owned(), expression));
            }
        }
    }
    assert!(waiting.len() > 30, "{}", waiting.len());
    gopher_e2e::within(Duration::from_secs(60), || {
        daemon.scrape("/metrics");
        let (from, to) = (format!("if={}", disk.path()), format!("of={}", disk.path()));
        for one in [[&*from, "of=/dev/null", "iflag=direct"], ["if=/dev/zero", &*to, "conv=fsync"]] {
            gopher_e2e::process::text_of("dd", &[&one[..], &["bs=4k", "count=16"]].concat());
        }
        waiting.retain(|(_, expression)| query(&client, expression).is_empty());
        waiting.is_empty().then_some(())
    });
    assert!(waiting.is_empty(), "no data: {waiting:#?}");
    let groups = client.get("/api/v1/rules").expect(200).json();
    let rules: Vec<&Value> = groups["data"]["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .collect();
    assert!(rules.len() > 10);
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
    drop(prometheus);
}
