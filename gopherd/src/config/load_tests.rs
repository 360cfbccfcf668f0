//! What the loader takes from files, environment and flags, order and gala-gopher's ways included.

use super::super::words::{DescLanguage, EventChannel, LogLevel, MetricChannel, Semantics, SslAuth};
use super::*;
use proptest::prelude::*;

pub(super) fn sources(name: &str, text: &str, env: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some(SourceFile { path: format!("/e/{name}").into(), bytes: text.as_bytes().to_vec() }),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..Sources::default()
    }
}

pub(super) fn lines(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// The faults of a file, as they are printed.
pub(super) fn refused(name: &str, text: &str, env: &[(&str, &str)]) -> Vec<String> {
    load(&sources(name, text, env))
        .map_or_else(|rejected| lines(&rejected.faults), |_| vec!["accepted".into()])
}

fn loaded(name: &str, text: &str, env: &[(&str, &str)]) -> Loaded {
    load(&sources(name, text, env)).unwrap_or_else(|rejected| panic!("{:?}", lines(&rejected.faults)))
}

#[test]
fn tls_is_asked_for_by_the_file_or_the_environment_and_needs_a_key_and_a_certificate() {
    let text = "[rest_api_server]\nssl_auth = \"on\"\n";
    let needs = |name: &str| {
        format!(
            "rest_api_server.ssl_auth: needs rest_api_server.{name}, which is not set; set {name} to the file's path"
        )
    };
    let faults = |origin: &str| ["private_key", "cert_file"].map(|name| format!("{origin}: {}", needs(name)));
    assert_eq!(refused("g.toml", text, &[]), faults("/e/g.toml:2"));
    assert_eq!(refused("g.conf", "", &[("GOPHER_REST_AUTH", "yes")]), faults("GOPHER_REST_AUTH"));
    let env = [
        ("GOPHER_REST_AUTH", "yes"),
        ("GOPHER_REST_PRIVATE_KEY", "/k"),
        ("GOPHER_REST_CERT", "/c"),
        ("GOPHER_REST_ADDR", "0.0.0.0"),
    ];
    let loaded = loaded("g.conf", "", &env);
    assert_eq!(loaded.config.rest_api_server.ssl_auth, SslAuth::On);
    // With TLS it may be reached from everywhere.
    assert_eq!(loaded.config.rest_listen(), Some(([0, 0, 0, 0], 9999).into()));
    assert_eq!(lines(&loaded.problems), [""; 0]);
}

#[test]
fn roles_for_certificates_need_an_authority_and_tokens_that_are_sent_in_the_open_are_named() {
    let roles = "client_roles = [{ subject = \"x\", role = \"read\" }]\n";
    let wanted = "rest_api_server.client_roles: no client shows a certificate; set rest_api_server.ssl_auth to \"on\" and rest_api_server.ca_file";
    let tls = "ssl_auth = \"on\"\nprivate_key = \"/k\"\ncert_file = \"/c\"\n";
    for text in [String::new(), tls.to_owned()] {
        let faults = refused("g.toml", &format!("[rest_api_server]\n{roles}{text}"), &[]);
        assert_eq!(faults, [format!("/e/g.toml:2: {wanted}")]);
    }
    let mutual = format!("[rest_api_server]\n{roles}{tls}ca_file = \"/a\"\n");
    assert_eq!(loaded("g.toml", &mutual, &[]).config.rest_api_server.client_roles.len(), 1);

    let open = "[rest_api_server]\nbind_addr = \"0.0.0.0\"\nallow_plaintext = true\ntokens_file = \"/t\"\n";
    let warnings = lines(&loaded("g.toml", open, &[]).warnings);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("rest_api_server.tokens_file: tokens can be read on the network"),
        "{warnings:?}"
    );
}

#[test]
fn deliveries_that_are_not_there_are_problems_and_the_rest_works() {
    let text = "[kafka]\nkafka_broker = \"k\"\n[metric]\nout_channel = [\"web_server\", \"kafka\"]\n\
        [[webhook]]\nurl = \"https://h\"\n[spool]\nwhen_full = \"block\"\n[limits.budget]\ncpu_percent = 5\n";
    let loaded = loaded("g.toml", text, &[]);
    let keys: Vec<&str> = loaded.problems.iter().map(|problem| problem.key.as_str()).collect();
    let missing: &[&str] = if cfg!(feature = "kafka") { &[] } else { &["metric.out_channel"] };
    assert_eq!(keys, missing);
    assert_eq!(loaded.config.kafka.kafka_broker, "k:9092");
    assert_eq!(loaded.config.metric.out_channel, [MetricChannel::WebServer, MetricChannel::Kafka]);
}

#[test]
fn defaults_are_below_the_file_below_the_environment_below_flags() {
    let file = "[global]\nlog_level = \"warn\"\n";
    let level = |env: &[(&str, &str)], flags: Vec<(&'static str, String)>, text: &str| {
        let sources = Sources { flags, ..sources("g.toml", text, env) };
        load(&sources).map(|loaded| loaded.config.global.log_level).expect("loads")
    };
    let env = [("GOPHER_LOG_LEVEL", "ERROR")];
    assert_eq!(level(&[], vec![], ""), LogLevel::Info);
    assert_eq!(level(&[], vec![], file), LogLevel::Warn);
    assert_eq!(level(&env, vec![], file), LogLevel::Error);
    assert_eq!(level(&env, vec![("--log-level", "debug".into())], file), LogLevel::Debug);
    assert_eq!(level(&[("GOPHER_LOG_LEVEL", "")], vec![], file), LogLevel::Warn, "empty is not set");
}

#[test]
fn every_environment_variable_sets_its_key() {
    let env = [
        ("GOPHER_LOG_LEVEL", "debug"),
        ("GOPHER_EVENT_CHANNEL", "logs,kafka"),
        ("GOPHER_META_CHANNEL", "kafka"),
        ("GOPHER_KAKFA_SERVER", "broker"),
        ("GOPHER_METRIC_ADDR", "0.0.0.0"),
        ("GOPHER_METRIC_PORT", "18888"),
        ("GOPHER_REST_ADDR", "::"),
        ("GOPHER_REST_PORT", "19999"),
        ("GOPHER_REST_AUTH", "no"),
        ("GOPHER_REST_PRIVATE_KEY", "/k"),
        ("GOPHER_REST_CERT", "/c"),
        ("GOPHER_REST_CAFILE", "/a"),
        ("GOPHER_METRIC_LOGS_TOTAL_SIZE", "7"),
        ("GOPHER_PROBES_INIT", "tcp {}\n"),
        ("GOPHER_HOST_PATH", "/host"),
        ("GOPHER_REST_ALLOW_PLAINTEXT", "yes"),
    ];
    let loaded = loaded("g.toml", "", &env);
    let config = &loaded.config;
    assert_eq!(config.global.log_level, LogLevel::Debug);
    assert_eq!(config.event.out_channel, [EventChannel::Logs, EventChannel::Kafka]);
    assert_eq!(config.meta.out_channel, [EventChannel::Kafka]);
    assert_eq!(config.kafka.kafka_broker, "broker:9092");
    assert_eq!(config.metrics_listen().map(|a| a.to_string()).as_deref(), Some("0.0.0.0:18888"));
    assert_eq!(config.rest_listen().map(|a| a.to_string()).as_deref(), Some("[::]:19999"));
    let rest = &config.rest_api_server;
    let files = [&rest.private_key, &rest.cert_file, &rest.ca_file].map(|file| file.as_deref());
    assert_eq!(files, [Some(Path::new("/k")), Some(Path::new("/c")), Some(Path::new("/a"))]);
    assert!(rest.allow_plaintext);
    assert_eq!(config.logs.metric_total_size, 7);
    assert_eq!(config.host().proc, Path::new("/host/proc"));
    assert_eq!(loaded.init, InitSource::Env("tcp {}\n".into(), "/e/probes.init".into()));
}

#[test]
fn bad_and_doubtful_variables_are_named() {
    assert_eq!(
        refused("g.toml", "", &[("GOPHER_METRIC_PORT", "http")]),
        [
            "GOPHER_METRIC_PORT: web_server.port: a text stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888"
        ]
    );
    assert_eq!(
        refused("g.toml", "", &[("GOPHER_REST_AUTH", "sure")]),
        [
            "GOPHER_REST_AUTH: rest_api_server.ssl_auth: `sure` is unknown; write yes or no, where no leaves it to the file"
        ]
    );
    let env = [("GOPHER_KAFKA_SERVER", "a"), ("GOPHER_KAKFA_SERVER", "b"), ("GOPHER_LOG_LEVLE", "x")];
    let both = loaded("g.toml", "", &env);
    assert_eq!(both.config.kafka.kafka_broker, "a:9092");
    assert_eq!(
        lines(&both.warnings),
        [
            "GOPHER_KAKFA_SERVER: kafka.kafka_broker: is set too, to something else; GOPHER_KAFKA_SERVER is taken; unset GOPHER_KAKFA_SERVER",
            "GOPHER_LOG_LEVLE: unknown variable, ignored; did you mean `GOPHER_LOG_LEVEL`?",
        ]
    );
}

#[test]
fn no_in_the_environment_does_not_take_away_the_tls_that_the_file_asks_for() {
    let text = "rest_api_server = { ssl_auth = \"on\"; private_key = \"/k\"; cert_file = \"/c\"; };";
    let loaded = loaded("g.conf", text, &[("GOPHER_REST_AUTH", "no")]);
    assert_eq!(loaded.config.rest_api_server.ssl_auth, SslAuth::On);
}

/// What the shipped file of 2.0.1, 2.0.2 and HEAD says, with lower-case keys in gala-gopher's syntax.
const SHIPPED: &str = r#"
global =
{
    log_file_name = "gopher.log";
    log_level = "info";
    rest_api_on = true;
};

metric =
{
    out_channel = "web_server";
    kafka_topic = "gala_gopher";
};

event =
{
    out_channel = "logs";
    kafka_topic = "gala_gopher_event";
    timeout = 600;
};

meta =
{
    out_channel = "logs";
    kafka_topic = "gala_gopher_metadata";
};

imdb =
{
    max_tables_num = 1024;
    max_records_num = 1024;
    max_metrics_num = 64;
    record_timeout = 60;
};

web_server =
{
    bind_addr = "127.0.0.1";
    port = 8888;
    ssl_auth = "off";
    private_key = "";
    cert_file = "";
    ca_file = "";
};

rest_api_server =
{
    bind_addr = "127.0.0.1";
    port = 9999;
    ssl_auth = "off";
    private_key = "";
    cert_file = "";
    ca_file = "";
};

kafka =
{
    kafka_broker = "";
    batch_num_messages = 10000;
    compression_codec = "none";
    queue_buffering_max_messages = 100000;
    queue_buffering_max_kbytes = 1048576;
    queue_buffering_max_ms = 5;
};

logs =
{
    metric_total_size = 100;   # MB
    metric_dir = "/var/log/gala-gopher/metrics";
    event_dir = "/var/log/gala-gopher/event";
    meta_dir = "/var/log/gala-gopher/meta";
    debug_dir = "/var/log/gala-gopher/debug";
};
"#;

#[test]
fn the_shipped_file_of_2_0_1_and_later_means_the_defaults_with_gala_gophers_view() {
    let loaded = loaded("gala-gopher.conf", SHIPPED, &[]);
    assert_eq!((lines(&loaded.warnings), lines(&loaded.problems)), (vec![], vec![]));
    let mut wanted = Config::default();
    wanted.metric.semantics = Semantics::PerPeriod;
    wanted.logs.metric_dir = Some("/var/log/gala-gopher/metrics".into());
    wanted.logs.event_dir = Some("/var/log/gala-gopher/event".into());
    wanted.logs.meta_dir = Some("/var/log/gala-gopher/meta".into());
    wanted.logs.debug_dir = Some("/var/log/gala-gopher/debug".into());
    assert_eq!(loaded.config, wanted);
    assert_eq!(loaded.init, InitSource::File("/e/probes.init".into()));
}

#[test]
fn the_file_of_2_0_0_starts_with_warnings_for_what_is_gone() {
    let text = r#"
global = { log_file_name = "gopher.log"; log_level = "debug"; pin_path = "/sys/fs/bpf/gala-gopher"; };
ingress = { interval = 5; };
egress = { interval = 5; time_range = 5; };
metric = { out_channel = "web_server"; kafka_topic = "gala_gopher"; };
event = { out_channel = "kafka"; kafka_topic = "gala_gopher_event"; timeout = 60; desc_language = "zh_CN"; };
meta = { out_channel = "kafka"; kafka_topic = "gala_gopher_metadata"; };
imdb = { max_tables_num = 2048; max_records_num = 1024; max_metrics_num = 64; record_timeout = 60; };
web_server = { port = 8888; };
kafka = { kafka_broker = "10.0.0.1:9092"; username = "u"; password = "p"; };
"#;
    let loaded = loaded("gala-gopher.conf", text, &[]);
    assert_eq!(
        lines(&loaded.warnings),
        [
            "/e/gala-gopher.conf:2: global.pin_path: has no meaning any more: nothing is pinned any more; remove it",
            "/e/gala-gopher.conf:3: ingress: has no meaning any more: probes have report periods of their own; remove it",
            "/e/gala-gopher.conf:4: egress: has no meaning any more: probes have report periods of their own; remove it",
            "/e/gala-gopher.conf:8: imdb.max_tables_num: has no effect; remove it; limits.max_series bounds the store",
        ]
    );
    let config = &loaded.config;
    assert!(config.global.rest_api_on, "a missing rest_api_on means on");
    assert_eq!(config.event.desc_language, DescLanguage::Chinese);
    assert_eq!(config.event.timeout.as_secs(), 60);
    assert_eq!((config.kafka.username.as_str(), config.kafka.password.0.as_str()), ("u", "p"));
    let missing = if cfg!(feature = "kafka") { 0 } else { 2 };
    assert_eq!(loaded.problems.len(), missing, "both Kafka channels: {:?}", lines(&loaded.problems));
}

#[test]
fn historical_names_and_lists_of_probes_are_warnings_in_gala_gophers_files() {
    let text = r#"
global = { listen_on = false; };
rest_server = { port = 7777; colour = "red"; };
probes = ( { name = "x"; switch = "on"; } );
extend_probes = ( );
"#;
    let loaded = loaded("gala-gopher.conf", text, &[]);
    assert!(!loaded.config.global.rest_api_on);
    assert_eq!(loaded.config.rest_api_server.port, 7777);
    assert_eq!(
        lines(&loaded.warnings),
        [
            "/e/gala-gopher.conf:2: global.listen_on: this name is historical; write global.rest_api_on",
            "/e/gala-gopher.conf:3: rest_server: this name is historical; write [rest_api_server]",
            "/e/gala-gopher.conf:3: rest_api_server.colour: unknown key; known here are bind_addr, port, ssl_auth, \
         private_key, cert_file, ca_file, allow_plaintext, tls_min, client_roles, tokens_file, allowed_hosts, \
         requests_per_second, max_connections, body_timeout",
            "/e/gala-gopher.conf:4: probes: has no meaning any more: probes are switched on in probes.init or over REST; remove it",
            "/e/gala-gopher.conf:5: extend_probes: has no meaning any more: probes are switched on in probes.init or over REST; remove it",
        ]
    );
    let both = self::loaded("g.conf", "global = { rest_api_on = true; listen_on = false; };", &[]);
    assert!(both.config.global.rest_api_on, "the name of today wins");
}

#[test]
fn an_open_plain_control_listener_of_a_conf_file_is_bound_to_loopback_and_shown() {
    let text = "rest_api_server = { bind_addr = \"0.0.0.0\"; port = 9999; ssl_auth = \"off\"; };";
    let fallback = loaded("g.conf", text, &[]);
    assert_eq!(fallback.config.rest_listen().map(|a| a.to_string()).as_deref(), Some("127.0.0.1:9999"));
    assert_eq!(
        lines(&fallback.problems),
        [
            "/e/g.conf:1: rest_api_server.bind_addr: 0.0.0.0 without TLS lets everyone on the network control the \
         probes: listening on 127.0.0.1 instead; set rest_api_server.allow_plaintext to true (or \
         GOPHER_REST_ALLOW_PLAINTEXT=yes), or use 127.0.0.1 or TLS"
        ]
    );
    let allowed = loaded("g.conf", text, &[("GOPHER_REST_ALLOW_PLAINTEXT", "yes")]);
    assert_eq!(allowed.config.rest_listen().map(|a| a.to_string()).as_deref(), Some("0.0.0.0:9999"));
    assert!(allowed.problems.is_empty());
    let by_env = loaded("g.conf", "", &[("GOPHER_REST_ADDR", "10.0.0.1")]);
    assert!(by_env.problems[0].to_string().starts_with("GOPHER_REST_ADDR: "));
    let off = loaded("g.conf", &format!("global = {{ rest_api_on = false; }}; {text}"), &[]);
    assert!(off.problems.is_empty(), "a listener that is off is open to nobody");
}

#[test]
fn a_conf_file_with_another_metric_channel_has_a_metrics_listener_only_if_it_says_so() {
    let listens =
        |text: &str, env: &[(&str, &str)]| loaded("g.conf", text, env).config.metrics_listen().is_some();
    assert!(!listens("metric = { out_channel = \"json\"; };", &[]));
    assert!(!listens("metric = { out_channel = \"\"; };", &[]));
    assert!(listens("metric = { out_channel = \"json\"; }; web_server = { };", &[]));
    assert!(listens("metric = { out_channel = \"json\"; };", &[("GOPHER_METRIC_PORT", "1")]));
    assert!(listens("metric = { out_channel = \"web_server\"; };", &[]));
    assert!(listens("", &[]));
    assert!(loaded("g.toml", "[metric]\nout_channel = \"json\"\n", &[]).config.metrics_listen().is_some());
}

#[test]
fn kafka_without_a_broker_keeps_a_toml_file_from_starting_but_not_a_conf_file() {
    let conf = loaded("g.conf", "event = { out_channel = \"kafka\"; };", &[]);
    assert!(conf.problems[0].to_string().contains("no broker is set"));
}

#[test]
fn a_wrong_type_or_a_broken_line_is_a_fault_in_a_conf_file_too() {
    assert_eq!(
        refused("g.conf", "web_server = {\n port = \"8888\"; };", &[]),
        [
            "/e/g.conf:2: web_server.port: a text stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888"
        ]
    );
    assert_eq!(
        refused("g.conf", "web_server = {\n port = ; };", &[]),
        ["/e/g.conf:2: `;` stands where a value is expected; correct this line"]
    );
}

#[test]
fn probes_init_is_beside_the_file_unless_it_is_named() {
    assert_eq!(loaded("g.toml", "", &[]).init, InitSource::File("/e/probes.init".into()));
    let named = loaded("g.toml", "[paths]\nprobes_init = \"/x/p\"\n", &[("GOPHER_PROBES_INIT", "")]);
    assert_eq!(named.init, InitSource::File("/x/p".into()), "an empty variable counts as unset");
    let flagged = Sources { flags: vec![("--probes-init", "/y/p".into())], ..sources("g.toml", "", &[]) };
    assert_eq!(load(&flagged).map(|l| l.init).ok(), Some(InitSource::File("/y/p".into())));
}

#[test]
fn files_without_tls_are_a_warning() {
    let loaded = loaded("g.toml", "[web_server]\nprivate_key = \"/k\"\n", &[]);
    assert_eq!(
        lines(&loaded.warnings),
        [
            "/e/g.toml:2: web_server.private_key: has no effect without TLS; set web_server.ssl_auth to \"on\", or remove it"
        ]
    );
}

#[test]
fn a_byte_order_mark_in_front_of_a_file_is_no_part_of_it() {
    let config = loaded("g.toml", "\u{feff}[global]\nlog_level = \"warn\"\r\n", &[]).config;
    assert_eq!(config.global.log_level, LogLevel::Warn);
}

proptest! {
    #[test]
    fn no_file_makes_the_loader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), conf: bool) {
        let path = if conf { "/e/x.conf" } else { "/e/x.toml" };
        let _ = load(&Sources { file: Some(SourceFile { path: path.into(), bytes }), ..Sources::default() });
    }

    #[test]
    fn no_setting_makes_the_loader_panic(
        section in proptest::sample::select(SECTIONS.iter().skip(1).map(|s| s.name).collect::<Vec<_>>()),
        key in "[a-z_]{1,12}",
        value in "-?[0-9]{1,20}|\"[ -~&&[^\"\\\\]]{0,20}\"|true|\\[\\]|\\[\"[a-z]*\"\\]|\\{ a = 1 \\}|[0-9]\\.5",
        env in "\\PC{0,20}",
    ) {
        let known = SECTIONS.iter().find(|s| s.name == section).expect("a section").keys.iter().map(|k| k.name);
        for key in known.chain([key.as_str()]) {
            let text = format!("[{section}]\n{key} = {value}\n");
            let _ = load(&sources("x.toml", &text, &[("GOPHER_METRIC_PORT", &env), ("GOPHER_EVENT_CHANNEL", &env)]));
        }
    }
}
