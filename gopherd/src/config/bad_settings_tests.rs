//! The exact sentence for each thing that a TOML file can get wrong.

use super::tests::{lines, refused, sources};
use super::*;

/// A TOML file and the one sentence about it, without the file's name.
const BAD_TOML: &[(&str, &str)] = &[
    ("[web_server]\nprot = 1", "2: web_server.prot: unknown key; did you mean `port`?"),
    (
        "[metric]\ncolour = 1",
        "2: metric.colour: unknown key; known here are out_channel, kafka_topic, semantics, prefix",
    ),
    ("[web_sever]\nport = 1", "1: web_sever: unknown section; did you mean `web_server`?"),
    (
        "web_server = 1",
        "1: web_server: a whole number stands here, but it is a section; write [web_server] and its keys below it",
    ),
    (
        "[web_server]\nport = \"1\"",
        "2: web_server.port: a text stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nport = 65536",
        "2: web_server.port: 65536 is out of range; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nport = -1",
        "2: web_server.port: -1 is out of range; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nport = 1.5",
        "2: web_server.port: a number with a fraction stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nport = 2020-01-01",
        "2: web_server.port: a date stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nport = 99999999999999999999",
        "2: web_server.port: a number beyond 64 bits stands here; write a port from 0 to 65535, where 0 lets the kernel choose; the default is 8888",
    ),
    (
        "[web_server]\nbind_addr = \"here\"",
        "2: web_server.bind_addr: `here` is no address; write an IP address in quotes; the default is \"127.0.0.1\"",
    ),
    (
        "[web_server]\nbind_addr = \"\"",
        "2: web_server.bind_addr: `` is no address; write an IP address in quotes; the default is \"127.0.0.1\"",
    ),
    (
        "[web_server]\nenabled = \"yes\"",
        "2: web_server.enabled: a text stands here; write true or false; the default is true",
    ),
    (
        "[web_server]\nssl_auth = true",
        "2: web_server.ssl_auth: true or false stands here; write one of off, on; the default is \"off\"",
    ),
    (
        "[web_server]\nssl_auth = \"yes\"",
        "2: web_server.ssl_auth: `yes` is unknown; write one of off, on; the default is \"off\"",
    ),
    (
        "[web_server]\nprivate_key = \"key.pem\"",
        "2: web_server.private_key: `key.pem` is no absolute path; write an absolute path in quotes, or \"\"; the default is \"\"",
    ),
    (
        "[global]\nlog_level = \"wran\"",
        "2: global.log_level: `wran` is unknown (did you mean `warn`?); write one of debug, info, warn, error; the default is \"info\"",
    ),
    (
        "[global]\nlog_level = 3",
        "2: global.log_level: a whole number stands here; write one of debug, info, warn, error; the default is \"info\"",
    ),
    (
        "[global]\nlog_file_name = \"a/b\"",
        "2: global.log_file_name: `a/b` is not allowed; write the name of a file without a directory, at most 255 bytes; the default is \"gopher.log\"",
    ),
    (
        "[global]\nmachine_id = \"a b\"",
        "2: global.machine_id: `a b` is not allowed; write letters, digits, `-`, `_` and `.`, at most 64 of them, or nothing; the default is \"\"",
    ),
    (
        "[global]\npin_path = \"/x\"",
        "2: global.pin_path: has no meaning any more: nothing is pinned any more; remove it",
    ),
    ("[global]\nlisten_on = true", "2: global.listen_on: this name is historical; write global.rest_api_on"),
    ("[rest_server]\nport = 1", "1: rest_server: this name is historical; write [rest_api_server]"),
    (
        "[ingress]\ninterval = 5",
        "1: ingress: has no meaning any more: probes have report periods of their own; remove it",
    ),
    (
        "[metric]\nout_channel = \"web\"",
        "2: metric.out_channel: `web` is unknown; write one or a list of web_server, json, logs, kafka, or \"\"; the default is \"web_server\"",
    ),
    (
        "[metric]\nout_channel = [\"json\", 1]",
        "2: metric.out_channel: a whole number stands in the list; write one or a list of web_server, json, logs, kafka, or \"\"; the default is \"web_server\"",
    ),
    (
        "[metric]\nout_channel = [\"json\", \"\"]",
        "2: metric.out_channel: `` is unknown; write one or a list of web_server, json, logs, kafka, or \"\"; the default is \"web_server\"",
    ),
    (
        "[event]\nout_channel = \"web_server\"",
        "2: event.out_channel: `web_server` is unknown; write one or a list of logs, kafka, or \"\"; the default is \"logs\"",
    ),
    (
        "[event]\nout_channel = \"kafak\"",
        "2: event.out_channel: `kafak` is unknown (did you mean `kafka`?); write one or a list of logs, kafka, or \"\"; the default is \"logs\"",
    ),
    (
        "[event]\nout_channel = \"kafka\"",
        "2: event.out_channel: kafka is asked for, but no broker is set; set kafka.kafka_broker",
    ),
    (
        "[event]\ntimeout = \"10m\"",
        "2: event.timeout: a text stands here; write a whole number from 0 to 86400; the default is 600",
    ),
    (
        "[event]\nkafka_topic = \"a topic\"",
        "2: event.kafka_topic: `a topic` is not allowed; write a topic of letters, digits, `.`, `_` and `-`, at most 249 of them; the default is \"gala_gopher_event\"",
    ),
    (
        "[metric]\nprefix = \"9x\"",
        "2: metric.prefix: `9x` is not allowed; write letters, digits and `_`, not starting with a digit or `__`, at most 64 of them; the default is \"gala_gopher\"",
    ),
    (
        "[rest_api_server]\nbody_timeout = \"soon\"",
        "2: rest_api_server.body_timeout: `soon` is no time; write a time from \"1s\" to \"10m\"; the default is \"10s\"",
    ),
    (
        "[rest_api_server]\nbody_timeout = \"1h\"",
        "2: rest_api_server.body_timeout: `1h` is out of range; write a time from \"1s\" to \"10m\"; the default is \"10s\"",
    ),
    (
        "[rest_api_server]\nbody_timeout = 0",
        "2: rest_api_server.body_timeout: 0 is out of range; write a time from \"1s\" to \"10m\"; the default is \"10s\"",
    ),
    (
        "[rest_api_server]\nbind_addr = \"0.0.0.0\"",
        "2: rest_api_server.bind_addr: 0.0.0.0 without TLS lets everyone on the network control the probes; set rest_api_server.allow_plaintext to true (or GOPHER_REST_ALLOW_PLAINTEXT=yes), or use 127.0.0.1 or TLS",
    ),
    (
        "[rest_api_server]\nport = 8888",
        "2: rest_api_server.port: 127.0.0.1:8888 is where the metrics listener is (127.0.0.1:8888); give one of them another port",
    ),
    (
        "[rest_api_server]\nclient_roles = [{ subject = \"x\" }]",
        "2: rest_api_server.client_roles: no client shows a certificate; set rest_api_server.ssl_auth to \"on\" and rest_api_server.ca_file",
    ),
    (
        "[rest_api_server]\nclient_roles = [{ role = \"write\" }]",
        "2: rest_api_server.client_roles[0]: names no certificate or two of them; set either subject or san",
    ),
    (
        "[rest_api_server]\nclient_roles = [{ subject = \"x\", roll = \"write\" }]",
        "2: rest_api_server.client_roles[0].roll: unknown key; did you mean `role`?",
    ),
    (
        "[rest_api_server]\nclient_roles = [1]",
        "2: rest_api_server.client_roles[0]: a whole number stands here; write a table as in { subject = \"CN=prometheus\", role = \"read\" }",
    ),
    (
        "[rest_api_server]\nallowed_hosts = \"x\"",
        "2: rest_api_server.allowed_hosts: a text stands here; write a list of at most 64, each a host name; the default is []",
    ),
    ("[[webhook]]\ntimeout = \"5s\"", "1: webhook[0]: has no address; set url"),
    (
        "[[webhook]]\nurl = \"ftp://x\"",
        "2: webhook[0].url: `ftp://x` is not allowed; write an address that starts with https:// or http://; the default is \"\"",
    ),
    (
        "[kafka]\nkafka_broker = \"a:b\"",
        "2: kafka.kafka_broker: `a:b` is no broker; write host:port pairs separated by commas; the default is \"\"",
    ),
    (
        "[kafka]\npassword = \"hunter2\"\npassword_file = \"/p\"",
        "3: kafka.password_file: kafka.password is set too; keep one of them",
    ),
    (
        "[kafka]\npassword = 1",
        "2: kafka.password: a whole number stands here; write a text in quotes, at most 1024 bytes",
    ),
    (
        "[kafka]\nproperties = { x = [1] }",
        "2: kafka.properties: a list stands at `x`; write a table of names and texts, at most 256",
    ),
    (
        "[kafka]\nsasl_mechanism = \"SCRAM\"",
        "2: kafka.sasl_mechanism: `SCRAM` is unknown; write one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; the default is \"PLAIN\"",
    ),
    (
        "[logs]\nmetric_total_size = 0",
        "2: logs.metric_total_size: 0 is out of range; write a whole number from 1 to 1024; the default is 100",
    ),
    (
        "[paths]\nrun = \"run\"",
        "2: paths.run: `run` is no absolute path; write an absolute path in quotes; the default is \"/run/gopherd\"",
    ),
    (
        "[paths]\nrun = \"\"",
        "2: paths.run: `` is no absolute path; write an absolute path in quotes; the default is \"/run/gopherd\"",
    ),
    (
        "[spool]\nmax_bytes = \"much\"",
        "2: spool.max_bytes: `much` is no size; write a size from \"1MiB\" to \"1TiB\"; the default is \"256MiB\"",
    ),
    (
        "[spool]\nmax_bytes = 5",
        "2: spool.max_bytes: 5 is out of range; write a size from \"1MiB\" to \"1TiB\"; the default is \"256MiB\"",
    ),
    (
        "[limits]\nmax_series = 0",
        "2: limits.max_series: 0 is out of range; write a whole number from 1 to 10000000; the default is 500000",
    ),
    (
        "[limits]\ncapabilities = [\"BPF\"]",
        "2: limits.capabilities: `BPF` is not allowed; write a list of at most 64, each the name of a capability, as in CAP_BPF; the default is []",
    ),
    (
        "[limits.budget]\ncpu = 1",
        "2: limits.budget.cpu: unknown key; known here are cpu_percent, memory_bytes, events_per_s",
    ),
    (
        "[imdb]\nmax_tables_num = 5000",
        "2: imdb.max_tables_num: 5000 is out of range; write a whole number from 1 to 4096; the default is 1024",
    ),
    ("[web_server]\nport", "2: not TOML: key with no value, expected `=`; correct this line"),
    ("[web_server]\nport = 1\nport = 2", "3: not TOML: duplicate key; correct this line"),
];

#[test]
fn each_bad_setting_of_a_toml_file_has_its_sentence() {
    for (text, wanted) in BAD_TOML {
        assert_eq!(refused("g.toml", text, &[]), [format!("/e/g.toml:{wanted}")], "{text}");
    }
}

#[test]
fn all_faults_are_listed_at_once_in_the_order_of_the_file() {
    let text =
        "[global]\nlog_level = \"x\"\nnope = 1\n[zzz]\n[web_server]\nport = 70000\nssl_auth = \"on\"\n";
    let env = [("GOPHER_REST_PORT", "x")];
    let keys: Vec<String> = load(&sources("g.toml", text, &env))
        .expect_err("much is wrong")
        .faults
        .iter()
        .map(|fault| format!("{} {}", fault.origin, fault.key))
        .collect();
    assert_eq!(
        keys,
        [
            "/e/g.toml:2 global.log_level",
            "/e/g.toml:3 global.nope",
            "/e/g.toml:4 zzz",
            "/e/g.toml:6 web_server.port",
            "GOPHER_REST_PORT rest_api_server.port",
            "/e/g.toml:7 web_server.ssl_auth",
            "/e/g.toml:7 web_server.ssl_auth",
        ]
    );
}

#[test]
fn a_file_of_nothing_but_faults_is_cut_and_says_so() {
    let text: String = (0..1000).map(|i| format!("x{i} = 1\n")).collect();
    let faults = refused("g.toml", &text, &[]);
    assert_eq!(faults.len(), 201);
    assert_eq!(faults[200], "/e/g.toml:200: 800 more of this kind are not listed");
}

#[test]
fn a_byte_that_is_no_text_is_named_with_its_line() {
    let file = SourceFile { path: "/e/g.toml".into(), bytes: b"\n\n# \xff".to_vec() };
    let rejected = load(&Sources { file: Some(file), ..Sources::default() }).expect_err("not text");
    assert_eq!(lines(&rejected.faults), ["/e/g.toml:3: the byte 0xff is not UTF-8; save the file as UTF-8"]);
}
