//! A real Prometheus scrapes both views, next to a second scraper, and stores what was exposed.
//!
//! By default until a few scrapes are in; `GOPHERD_E2E_SCRAPE_SECONDS=120` is the two-minute form.

use gopher_e2e::daemon::free_port;
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

fn start_prometheus(setup: &Setup) -> (Background, Client) {
    let port = free_port();
    let config = setup.path("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n\
         - job_name: cumulative\n  metrics_path: /metrics/cumulative\n  static_configs: [{{targets: ['127.0.0.1:{0}']}}]\n\
         - job_name: per_period\n  metrics_path: /metrics/per_period\n  static_configs: [{{targets: ['127.0.0.1:{0}']}}]\n",
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
    let (prometheus, client) = start_prometheus(&setup);
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
