//! The configuration as an operator meets it: all errors at once, both formats, environment, reload.

use gopher_e2e::{Setup, eventually};
use rustix::process::Signal;
use std::process::Output;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn check_config_tells_a_clean_a_bad_and_a_half_bad_set_apart() {
    let clean = Setup::new().probes_init("baseinfo {\"state\":\"stopped\"}\n").run(&["--check-config"]);
    assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));

    let lines =
        "# fine\nbaseinfo {\"state\":\"stopped\"}\nnosuch {}\nbaseinfo {\"params\":{\"report_period\":1}}\n";
    let half = Setup::new().probes_init(lines).run(&["--check-config"]);
    let text = said(&half);
    assert_eq!(half.status.code(), Some(2), "{text}");
    for named in ["nosuch", "report_period", "3", "4"] {
        assert!(text.contains(named), "no {named} in {text}");
    }

    let bad = Setup::new().section("event", "timeout = \"soon\"").run(&["--check-config"]);
    assert_eq!(bad.status.code(), Some(1), "{}", said(&bad));
}

#[test]
fn every_error_is_listed_with_its_line_and_the_daemon_does_not_start() {
    let setup = Setup::new();
    let text = format!(
        "[web_server]\nport = {}\nprot = 1\n\n[rest_api_server]\nport = \"{}\"\n\n[nosuch]\nx = 1\n",
        setup.metrics_port, setup.rest_port
    );
    let output = setup.file("gopherd.toml", text).run(&[]);
    assert!(!output.status.success());
    let text = said(&output);
    for (line, key) in [("3", "prot"), ("6", "port"), ("8", "nosuch")] {
        assert!(
            text.lines().any(|said| said.contains(line) && said.contains(key)),
            "line {line}, {key}: {text}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let setup = Setup::new();
    setup.write();
    std::fs::remove_file(setup.config_path()).expect("the file was written");
    let output = setup.command(&[]).output().expect("gopherd can be executed");
    assert!(!output.status.success());
    assert!(said(&output).contains("gopherd.toml"), "{}", said(&output));
}

/// A gala-gopher.conf as it shipped, with one historical section and keys of older releases.
fn legacy(setup: &Setup, rest_address: &str) -> String {
    format!(
        r#"ingress = {{ interval = 5; }};
global = {{ log_file_name = "gopher.log"; log_level = "info"; pin_path = "/sys/fs/bpf/x"; }};
metric = {{ out_channel = "web_server"; kafka_topic = "gala_gopher"; }};
event = {{ out_channel = "logs"; kafka_topic = "gala_gopher_event"; timeout = 600; desc_language = "zh_CN"; }};
meta = {{ out_channel = "logs"; kafka_topic = "gala_gopher_metadata"; }};
imdb = {{ max_tables_num = 1024; max_records_num = 1024; max_metrics_num = 64; record_timeout = 60; }};
# the listeners
web_server = {{ bind_addr = "127.0.0.1"; port = {}; ssl_auth = "off"; private_key = ""; cert_file = ""; ca_file = ""; }};
rest_api_server = {{ bind_addr = "{rest_address}"; port = {}; ssl_auth = "off"; private_key = ""; cert_file = ""; ca_file = ""; }};
kafka = {{ kafka_broker = ""; batch_num_messages = 10000; compression_codec = "none"; }};
logs = {{ metric_total_size = 100; metric_dir = "{dir}/metrics"; event_dir = "{dir}/event"; meta_dir = "{dir}/meta"; debug_dir = "{dir}/debug"; }};
"#,
        setup.metrics_port,
        setup.rest_port,
        dir = setup.path("log").display(),
    )
}

#[test]
fn an_existing_gala_gopher_conf_starts_it_unchanged() {
    let setup = Setup::new();
    let text = legacy(&setup, "127.0.0.1");
    let setup = setup.file("gala-gopher.conf", text);
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#);
    let sample = daemon.scrape_until("the view of a period, as gala-gopher served it", |scrape| {
        scrape.all("gala_gopher_mem_total_kB").next().cloned()
    });
    assert!(sample.timestamp.is_some(), "{sample:?}");
    let log = daemon.log();
    for word in ["pin_path", "ingress"] {
        assert!(log.contains(word), "no warning about {word}: {log}");
    }
}

#[test]
fn an_open_rest_address_in_a_conf_falls_back_to_loopback_and_says_so() {
    let setup = Setup::new();
    let text = legacy(&setup, "0.0.0.0");
    let setup = setup.file("gala-gopher.conf", text);
    let daemon = setup.start();
    let ready = daemon.rest().get("/readyz").expect(200).json();
    assert!(ready["problems"].to_string().contains("allow_plaintext"), "{ready}");
    // Every address of 127.0.0.0/8 reaches a listener on all addresses, only one reaches this.
    let elsewhere = std::net::TcpStream::connect(("127.0.0.2", setup.rest_port));
    assert_eq!(elsewhere.map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::ConnectionRefused));
    daemon.rest().get("/readyz?strict=1").expect(503);
    assert!(daemon.log().contains("allow_plaintext"));
}

#[test]
fn an_open_rest_address_in_toml_refuses_to_start_unless_allowed() {
    let output = Setup::new().section("rest_api_server", "bind_addr = \"0.0.0.0\"").run(&["--check-config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("allow_plaintext"), "{}", said(&output));
    let allowed = Setup::new().section("rest_api_server", "bind_addr = \"0.0.0.0\"\nallow_plaintext = true");
    assert_eq!(allowed.run(&["--check-config"]).status.code(), Some(0));
}

#[test]
fn what_is_asked_for_and_not_built_is_never_silently_dropped() {
    // Kafka stands in readyz until it exists; once it does, these values still fail: no broker is named. TLS does
    // not start without its files.
    for (section, lines) in [
        (
            "rest_api_server",
            "ssl_auth = \"on\"\nprivate_key = \"/nonexistent/key.pem\"\ncert_file = \"/nonexistent/cert.pem\"",
        ),
        ("event", "out_channel = \"kafka\""),
        ("metric", "out_channel = \"kafka\""),
    ] {
        let setup = Setup::new().section(section, lines);
        let mut daemon = setup.spawn();
        let socket = daemon.socket();
        let shown = eventually("a refused start or a problem in readyz", || {
            if let Ok(answer) = socket.try_send("GET", "/readyz", &[], Vec::new()) {
                return (answer.status == 200).then(|| answer.json()["problems"].to_string());
            }
            daemon.ended().map(|status| {
                assert!(!status.success());
                daemon.log()
            })
        });
        assert!(
            shown.contains("kafka") || shown.contains("rest_api_server.cert_file"),
            "[{section}]: {shown}"
        );
    }
}

#[test]
fn the_environment_is_above_the_file() {
    let setup = Setup::new();
    let port = gopher_e2e::daemon::free_port();
    let setup = setup
        .env("GOPHER_METRIC_PORT", port.to_string())
        .env(
            "GOPHER_PROBES_INIT",
            "baseinfo {\"cmd\":{\"probe\":[\"mem\"]},\"params\":{\"report_period\":77}}\n",
        )
        .probes_init("baseinfo {\"params\":{\"report_period\":55}}\n");
    let daemon = setup.start();
    gopher_e2e::Client::port(port).get("/metrics").expect(200);
    assert_eq!(daemon.rest().get("/baseinfo").expect(200).json()["params"]["report_period"], 77);
    let refused = daemon.rest().send_json("POST", "/api/v1/probes:save", &serde_json::json!({}));
    assert!(refused.clone().expect(409).text().contains("GOPHER_PROBES_INIT"));
}

#[test]
fn sighup_reads_probes_init_again_for_features_that_nobody_touched() {
    let setup = Setup::new().probes_init("baseinfo {\"params\":{\"report_period\":20}}\n");
    let daemon = setup.start();
    let period = |feature: &str| {
        daemon.rest().get(&format!("/{feature}")).expect(200).json()["params"]["report_period"].clone()
    };
    assert_eq!(period("baseinfo"), 20);
    daemon.put("tcp", r#"{"params":{"report_period":30}}"#);
    std::fs::write(
        setup.probes_init_path(),
        "baseinfo {\"params\":{\"report_period\":21}}\ntcp {\"params\":{\"report_period\":31}}\n",
    )
    .expect("probes.init");
    daemon.signal(Signal::HUP);
    eventually("the new line of baseinfo", || (period("baseinfo") == 21).then_some(()));
    assert_eq!(period("tcp"), 30, "somebody configured tcp since the start");
    eventually("the skipped line in the log", || daemon.log().contains("tcp").then_some(()));
}

#[test]
fn sighup_changes_the_log_level_and_keeps_the_old_settings_when_the_file_is_bad() {
    let setup = Setup::new();
    let daemon = setup.start();
    let level = || daemon.rest().get("/api/v1/log-level").expect(200).text();
    assert!(level().contains("info"), "{}", level());
    let text = std::fs::read_to_string(setup.config_path()).expect("the file");
    std::fs::write(setup.config_path(), format!("{text}\n[global]\nlog_level = \"debug\"\n"))
        .expect("the file");
    daemon.signal(Signal::HUP);
    eventually("the new level", || level().contains("debug").then_some(()));
    std::fs::write(setup.config_path(), format!("{text}\n[global]\nlog_level = \"loud\"\n"))
        .expect("the file");
    daemon.signal(Signal::HUP);
    eventually("the refusal in the log", || daemon.log().contains("loud").then_some(()));
    assert!(level().contains("debug"));
    daemon.rest().get("/healthz").expect(200);
}
