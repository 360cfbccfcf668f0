//! The daemon itself: metrics in Kafka, and what it says of brokers that are not there.

use gopher_e2e::kafka::{USER, shared};
use gopher_e2e::{Setup, eventually};
use rustix::process::Signal;

const MEMORY: &str = r#"{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}"#;

#[test]
fn metrics_arrive_as_gala_gophers_flat_documents() {
    let broker = shared();
    let setup = Setup::new()
        .section("metric", "out_channel = [\"web_server\", \"kafka\"]\nkafka_topic = \"metrics\"")
        .section("kafka", &format!("kafka_broker = \"{}\"", broker.address()));
    let daemon = setup.start();
    daemon.put("baseinfo", MEMORY);
    let read = broker.read_until("a message of memory", "metrics", |read| {
        let memory = |document: &serde_json::Value| {
            document["entity_name"] == "mem" && document["total_kB"].is_string()
        };
        read.iter().find(|read| memory(&read.document)).cloned()
    });
    let text = read.envelope["payload"].as_str().expect("a payload");
    assert!(text.starts_with("{\"timestamp\": "), "{text}");
    assert!(text.contains(", \"machine_id\": \"") && text.contains(", \"entity_name\": \"mem\""), "{text}");
    let total = daemon.scrape("/metrics").value("gala_gopher_mem_total_kB", &[]).expect("memory");
    let sent = read.document["total_kB"].as_str().expect("a text").parse::<f64>().expect("a number");
    assert!((total - sent).abs() < 0.5, "{total} {sent}");
    let machine = read.document["machine_id"].as_str().expect("a text");
    assert!(!machine.contains("127.0.0.1"), "without an address: {machine}");
    assert_eq!((read.header("content-type"), read.key()), (Some("application/json"), "system_meminfo"));
    let scrape = daemon.scrape("/metrics/cumulative");
    assert_eq!(scrape.value("gopherd_sink_errors_total", &[("sink", "kafka_metrics")]), Some(0.0));
    assert!(daemon.terminate().success());
}

#[test]
fn a_broker_that_is_not_there_is_a_problem_and_a_reload_mends_it() {
    let broker = shared();
    let dead = gopher_e2e::daemon::free_port();
    let setup = Setup::new()
        .section("event", "out_channel = \"kafka\"")
        .section("kafka", &format!("kafka_broker = \"127.0.0.1:{dead}\""));
    let daemon = setup.start();
    let problems = || daemon.socket().get("/readyz").json()["problems"].to_string();
    eventually("the problem", || problems().contains("kafka").then_some(()));
    let strict = daemon.socket().get("/readyz?strict=1");
    assert_eq!(strict.status, 503);
    eventually("the errors to be counted", || {
        let scrape = daemon.scrape("/metrics/cumulative");
        scrape.value("gopherd_sink_errors_total", &[("sink", "kafka")]).filter(|errors| *errors > 0.0)
    });
    let file = std::fs::read_to_string(setup.config_path()).expect("the file");
    let file = file.replace(&format!("127.0.0.1:{dead}"), &broker.address());
    std::fs::write(setup.config_path(), file).expect("written");
    daemon.signal(Signal::HUP);
    eventually("no problem", || (!problems().contains("kafka")).then_some(()));
    assert!(daemon.terminate().success());
}

/// With `GOPHERD_BIN_DIR` this tells of an installed daemon, whose OpenSSL is built without what nobody needs.
#[test]
fn the_daemon_itself_reaches_brokers_over_tls_and_with_passwords() {
    let broker = shared();
    let tls = format!("security_protocol = \"ssl\"\nssl_ca = \"{}\"", broker.ca().display());
    let with = |mechanism: &str| {
        format!("username = \"{}\"\npassword = \"{}\"\nsasl_mechanism = \"{mechanism}\"", USER.0, USER.1)
    };
    for (topic, address, more) in [
        ("by_tls", broker.tls_address(), tls),
        ("by_plain", broker.sasl_address(), with("PLAIN")),
        ("by_scram", broker.sasl_address(), with("SCRAM-SHA-256")),
    ] {
        let setup = Setup::new()
            .section(
                "metric",
                &format!("out_channel = [\"web_server\", \"kafka\"]\nkafka_topic = \"{topic}\""),
            )
            .section("kafka", &format!("kafka_broker = \"{address}\"\n{more}"));
        let daemon = setup.start();
        daemon.put("baseinfo", MEMORY);
        broker.read_until("a message of memory", topic, |read| {
            read.iter().any(|read| read.document["entity_name"] == "mem").then_some(())
        });
        assert!(daemon.terminate().success());
    }
}
