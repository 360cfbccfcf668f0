//! The table of every key: name, type, default, range, sentence, environment variable, flag, old names.
//!
//! Owns what can be configured. Both readers, the environment, the flags, the reload report and
//! `etc/gopherd.toml` are made from it, so a new key is one entry here. Leaves the rules between keys to
//! `rules` and what a build leaves out to `unbuilt`.

use super::Config;
use super::spec::{Attrs, Key, Kind, Part, Section, TextRule, place, section};
use super::words::{
    Compression, DescLanguage, EventChannel, Fsync, KafkaSecurity, LogLevel, MetricChannel, Role,
    SaslMechanism, SaveMode, Secret, Semantics, SslAuth, TlsVersion, WhenFull,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: u64 = 86_400;
const I32: u64 = 2_147_483_647;
const MIB: u64 = 1 << 20;
const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn sockets(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

section! {
    /// The daemon as a whole.
    GLOBAL: Global [global] of Config {
        /// Name of the debug log's file in logs.debug_dir.
        log_file_name: String = "gopher.log".into() => Text(TextRule::FileName);
        /// The least serious message that is logged.
        log_level: LogLevel = LogLevel::Info => Word(),
            env = &["GOPHER_LOG_LEVEL"], flag = Some("--log-level"), live = true;
        /// Whether probes can be controlled over REST. The unix socket is there in any case.
        rest_api_on: bool = true => Bool(), old = &["listen_on"];
        /// This host's identity in metrics and events. Empty takes the one that was saved, or the firmware's, or /etc/machine-id.
        machine_id: String = String::new() => Text(TextRule::MachineId), ours = true;
        /// Type information of the running kernel, for kernels that do not carry their own. Empty uses the kernel's.
        btf_path: Option<PathBuf> = None => Path(), ours = true;
        /// Where the host's root directory is seen when the daemon runs in a container. Empty means it runs on the host.
        host_path: Option<PathBuf> = None => Path(), env = &["GOPHER_HOST_PATH"], ours = true;
    }
}

section! {
    /// Where metrics go, and what they are called.
    METRIC: Metric [metric] of Config {
        /// One channel or a list of them; empty is none. The metrics listener is there beside them unless web_server.enabled is false.
        out_channel: Vec<MetricChannel> = vec![MetricChannel::WebServer] => Words(), live = true;
        /// Kafka topic of metrics.
        kafka_topic: String = "gala_gopher".into() => Text(TextRule::Topic), live = true;
        /// What /metrics serves: counters since the start, or gala-gopher's values of the last report period.
        semantics: Semantics = Semantics::Cumulative => Word(), ours = true;
        /// First part of each metric's name.
        prefix: String = "gala_gopher".into() => Text(TextRule::MetricPrefix), ours = true;
    }
}

section! {
    /// Abnormal events.
    EVENT: Event [event] of Config {
        /// One channel or a list of them; empty is none.
        out_channel: Vec<EventChannel> = vec![EventChannel::Logs] => Words(),
            env = &["GOPHER_EVENT_CHANNEL"], live = true;
        /// Kafka topic of events.
        kafka_topic: String = "gala_gopher_event".into() => Text(TextRule::Topic), live = true;
        /// Seconds during which an entity's same event is not sent again; 0 sends every one.
        timeout: Duration = seconds(600) => Seconds(0, DAY);
        /// Whether an event is sent when a condition ends.
        recovery: bool = false => Bool(), ours = true;
        /// Whether events carry Resource.metrics too, the spelling of gala-gopher's documents.
        legacy_metrics_key: bool = false => Bool(), ours = true;
        /// Language of an event's description.
        desc_language: DescLanguage = DescLanguage::English => Word();
    }
}

section! {
    /// Descriptions of the metrics, for consumers that need them.
    META: Meta [meta] of Config {
        /// One channel or a list of them; empty is none.
        out_channel: Vec<EventChannel> = vec![EventChannel::Logs] => Words(),
            env = &["GOPHER_META_CHANNEL"], live = true;
        /// Kafka topic of metadata.
        kafka_topic: String = "gala_gopher_metadata".into() => Text(TextRule::Topic), live = true;
    }
}

section! {
    /// Sizes of gala-gopher's metric store, kept so that older files load; the section limits bounds the store here.
    IMDB: Imdb [imdb] of Config {
        /// Tables.
        max_tables_num: u64 = 1024 => Int(1, 4096), idle = true;
        /// Rows of one table.
        max_records_num: u64 = 1024 => Int(1, I32), idle = true;
        /// Fields of one table.
        max_metrics_num: u64 = 64 => Int(1, 128), idle = true;
        /// Seconds that an unsent row is kept.
        record_timeout: Duration = seconds(60) => Seconds(1, DAY), idle = true;
    }
}

section! {
    /// The listener that Prometheus scrapes.
    WEB_SERVER: WebServer [web_server] of Config {
        /// Whether there is one.
        enabled: bool = true => Bool(), ours = true;
        /// Address that it listens on.
        bind_addr: IpAddr = LOOPBACK => Address(), env = &["GOPHER_METRIC_ADDR"];
        /// Port that it listens on.
        port: u16 = 8888 => Port(), env = &["GOPHER_METRIC_PORT"];
        /// TLS.
        ssl_auth: SslAuth = SslAuth::Off => Word();
        /// Private key, PEM. Needed for TLS.
        private_key: Option<PathBuf> = None => Path(), live = true;
        /// Certificate chain, PEM. Needed for TLS.
        cert_file: Option<PathBuf> = None => Path(), live = true;
        /// Authority whose certificates clients must show; empty asks for none.
        ca_file: Option<PathBuf> = None => Path(), live = true;
    }
}

section! {
    /// The listener that controls probes.
    REST_API_SERVER: RestApiServer [rest_api_server] of Config {
        /// Address that it listens on. Other than loopback it needs TLS or allow_plaintext.
        bind_addr: IpAddr = LOOPBACK => Address(), env = &["GOPHER_REST_ADDR"];
        /// Port that it listens on.
        port: u16 = 9999 => Port(), env = &["GOPHER_REST_PORT"];
        /// TLS.
        ssl_auth: SslAuth = SslAuth::Off => Word(), env = &["GOPHER_REST_AUTH"], env_yes_only = true;
        /// Private key, PEM. Needed for TLS.
        private_key: Option<PathBuf> = None => Path(), env = &["GOPHER_REST_PRIVATE_KEY"], live = true;
        /// Certificate chain, PEM. Needed for TLS.
        cert_file: Option<PathBuf> = None => Path(), env = &["GOPHER_REST_CERT"], live = true;
        /// Authority whose certificates clients must show; empty asks for none.
        ca_file: Option<PathBuf> = None => Path(), env = &["GOPHER_REST_CAFILE"], live = true;
        /// Lets everyone who reaches an address other than loopback control the probes, unencrypted.
        allow_plaintext: bool = false => Bool(), env = &["GOPHER_REST_ALLOW_PLAINTEXT"], ours = true;
        /// Oldest TLS version that is spoken.
        tls_min: TlsVersion = TlsVersion::V1_3 => Word(), ours = true;
        /// What a client certificate allows, by its subject or subject alternative name. Without any, each accepted certificate may write.
        client_roles: Vec<ClientRole> = Vec::new() => Rows(), ours = true;
        /// Bearer tokens, one a line: name, role and the SHA-256 of the token in hexadecimal. Mode 0600.
        tokens_file: Option<PathBuf> = None => Path(), ours = true;
        /// Names under which clients reach this listener, beside addresses, localhost and the host's own name.
        allowed_hosts: Vec<String> = Vec::new() => Texts(TextRule::Host, 64), ours = true;
        /// Requests per second that one peer may send.
        requests_per_second: u64 = 200 => Int(1, 100_000), ours = true;
        /// Connections at the same time.
        max_connections: u64 = 512 => Int(1, 65_536), ours = true;
        /// Time that a client has to send a request.
        body_timeout: Duration = seconds(10) => Time(seconds(1), seconds(600)), ours = true;
    }
}

section! {
    /// The Kafka brokers, for every channel that is `kafka`.
    KAFKA: Kafka [kafka] of Config {
        /// Brokers as host:port, separated by commas.
        kafka_broker: String = String::new() => Text(TextRule::Brokers),
            env = &["GOPHER_KAFKA_SERVER", "GOPHER_KAKFA_SERVER"], live = true;
        /// Most messages in one request to a broker.
        batch_num_messages: u64 = 10_000 => Int(1, 1_000_000), live = true;
        /// Compression.
        compression_codec: Compression = Compression::None => Word(), live = true;
        /// Most messages that are on their way in memory.
        queue_buffering_max_messages: u64 = 100_000 => Int(1, I32), live = true;
        /// Most KiB that wait in memory.
        queue_buffering_max_kbytes: u64 = 1_048_576 => Int(1, I32), live = true;
        /// Milliseconds that a message waits for others to share its request.
        queue_buffering_max_ms: u64 = 5 => Int(0, 900_000), live = true;
        /// User name for SASL; empty is none.
        username: String = String::new() => Text(TextRule::Name), live = true;
        /// Password for SASL. Prefer password_file.
        password: Secret = Secret::default() => Secret(), live = true;
        /// File that holds the password for SASL.
        password_file: Option<PathBuf> = None => Path(), ours = true, live = true;
        /// How the brokers are talked to.
        security_protocol: KafkaSecurity = KafkaSecurity::Auto => Word(), ours = true, live = true;
        /// How the user name and password are shown.
        sasl_mechanism: SaslMechanism = SaslMechanism::Plain => Word(), ours = true, live = true;
        /// Authority that signed the brokers' certificates; empty trusts the system's.
        ssl_ca: Option<PathBuf> = None => Path(), ours = true, live = true;
        /// Any property of librdkafka, by its name: "message.max.bytes" = "2000000".
        properties: BTreeMap<String, String> = BTreeMap::new() => Map(), ours = true, live = true;
    }
}

section! {
    /// Files that are written.
    LOGS: Logs [logs] of Config {
        /// Size in MB that all metric files together may have.
        metric_total_size: u64 = 100 => Int(1, 1024), env = &["GOPHER_METRIC_LOGS_TOTAL_SIZE"], live = true;
        /// Metric files. Empty is `metrics` in paths.log.
        metric_dir: Option<PathBuf> = None => Path(), live = true;
        /// Event files. Empty is `event` in paths.log.
        event_dir: Option<PathBuf> = None => Path(), live = true;
        /// Metadata files. Empty is `meta` in paths.log.
        meta_dir: Option<PathBuf> = None => Path(), live = true;
        /// The debug log. Empty is `debug` in paths.log.
        debug_dir: Option<PathBuf> = None => Path();
    }
}

section! {
    /// The sockets of container runtimes, which tell names, images and pods; below global.host_path. Those that
    /// stand here by default are looked for and not missed; one that you write must answer, or readyz says so.
    CONTAINERS: Containers [containers] of Config {
        /// Whether the runtimes are asked. Without them a container is known by the id in its cgroup's path.
        enabled: bool = true => Bool(), ours = true;
        /// Sockets that speak containerd's own API. It covers Kubernetes over containerd.
        containerd: Vec<String> = sockets(&["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"])
            => Texts(TextRule::Socket, 8), ours = true;
        /// Sockets that speak the Kubernetes container runtime interface, version 1.
        cri: Vec<String> = sockets(&["/run/crio/crio.sock", "/run/isulad.sock"])
            => Texts(TextRule::Socket, 8), ours = true;
        /// Sockets that speak Docker's API, as podman's service does too.
        docker: Vec<String> = sockets(&["/run/docker.sock", "/run/podman/podman.sock"])
            => Texts(TextRule::Socket, 8), ours = true;
    }
}

section! {
    /// The daemon's own directories.
    PATHS: Paths [paths] of Config {
        /// Process id, lock and control socket.
        run: PathBuf = "/run/gopherd".into() => Dir(), flag = Some("--run-dir"), ours = true;
        /// What is kept over a restart.
        state: PathBuf = "/var/lib/gopherd".into() => Dir(), flag = Some("--state-dir"), ours = true;
        /// Log and data files.
        log: PathBuf = "/var/log/gopherd".into() => Dir(), flag = Some("--log-dir"), ours = true;
        /// The probes to start with. Empty is `probes.init` beside the configuration file.
        probes_init: Option<PathBuf> = None => Path(), flag = Some("--probes-init"), ours = true;
    }
}

section! {
    /// Events and metadata on their way to Kafka and webhooks, kept on disk (`spool` in paths.state) until they are delivered.
    SPOOL: Spool [spool] of Config {
        /// Largest size.
        max_bytes: u64 = 256 * MIB => Size(MIB, 1 << 40), ours = true;
        /// When writes are forced to the disk.
        fsync: Fsync = Fsync::Interval => Word(), ours = true;
        /// Time between two of them.
        fsync_interval: Duration = seconds(1) => Time(Duration::from_millis(10), seconds(60)), ours = true;
        /// What happens when it is full. `block` waits for Kafka only: what a webhook has not taken goes, oldest first.
        when_full: WhenFull = WhenFull::DropOldest => Word(), ours = true;
    }
}

section! {
    /// What the daemon may use.
    LIMITS: Limits [limits] of Config {
        /// Series of all probes together. More are folded together and counted.
        max_series: u64 = 500_000 => Int(1, 10_000_000), live = true, ours = true;
        /// Series of one probe. More are folded together and counted.
        max_series_per_probe: u64 = 50_000 => Int(1, 10_000_000), live = true, ours = true;
        /// Selectors of one feature.
        max_scope_rules: u64 = 1000 => Int(1, 100_000), live = true, ours = true;
        /// Capabilities that the daemon keeps of those it was given and can need (`gopherd --list-capabilities`).
        /// Empty keeps all of these.
        capabilities: Vec<String> = Vec::new() => Texts(TextRule::Capability, 64), ours = true;
        /// Percent of one CPU that the daemon and its BPF programs may use; 0 is no limit.
        /// While they use more, the feature that uses most is restrained.
        cpu_percent: Option<u64> = None => Limit(100_000), live = true, ours = true;
        /// Bytes of memory that the daemon and its BPF maps may use, likewise; 0 is no limit.
        memory_bytes: Option<u64> = None => Limit(1 << 40), live = true, ours = true;
        /// Seconds between two looks at what is used. Three looks in a row above a limit are one step.
        budget_period: Duration = seconds(10) => Seconds(1, 600), live = true, ours = true;
    }
}

section! {
    /// What one probe may cost, unless its own configuration says otherwise.
    /// One over it reports less often, then goes without its most expensive sub-probes, and at last is stopped.
    BUDGET: Budget [budget] of Config {
        /// Percent of one CPU; 0 is no limit.
        cpu_percent: Option<u64> = None => Limit(100_000), live = true, ours = true;
        /// Bytes of memory, kernel and user space together; 0 is no limit.
        memory_bytes: Option<u64> = None => Limit(1 << 40), live = true, ours = true;
        /// Events a second, as a mean over ten; more are not told and counted. 0 is no limit.
        events_per_s: Option<u64> = None => Limit(1_000_000), live = true, ours = true;
    }
}

section! {
    /// The file of probes to start with.
    PROBES_INIT: ProbesInit [probes_init] of Config {
        /// When the current set of probes is written to it: when asked to, or a second after each change.
        save: SaveMode = SaveMode::Manual => Word(), ours = true;
    }
}

section! {
    /// What a client certificate allows.
    CLIENT_ROLE: ClientRole [] of ClientRole {
        /// Subject of the certificate.
        subject: String = String::new() => Text(TextRule::Name);
        /// Subject alternative name of the certificate.
        san: String = String::new() => Text(TextRule::Name);
        /// What it allows.
        role: Role = Role::Read => Word();
    }
}

section! {
    /// A web address that events are posted to, one after the other. A dead one holds nobody back.
    WEBHOOK: Webhook [] of Webhook {
        /// Address.
        url: String = String::new() => Text(TextRule::Url);
        /// Authority that signed the server's certificate; empty trusts the system's.
        ca_file: Option<PathBuf> = None => Path();
        /// File that holds the secret with which requests are signed (HMAC-SHA256, header `gopherd-signature`).
        secret_file: Option<PathBuf> = None => Path();
        /// Time that the server has to answer.
        timeout: Duration = seconds(10) => Time(Duration::from_millis(100), seconds(300));
    }
}

/// Keys that stand outside of all sections.
static ROOT: &[Key<Config>] = &[Key {
    name: "webhook",
    doc: &[" Web addresses that events are posted to."],
    kind: Kind::Rows(|config| &mut config.webhook),
    attrs: Attrs { live: true, ours: true, ..Attrs::NONE },
}];

/// Every section, in the order of the sample file.
pub static SECTIONS: &[Section] = &[
    Section { name: "", old: None, doc: &[], keys: ROOT },
    sect("global", None, &GLOBAL),
    sect("paths", None, &PATHS),
    sect("probes_init", None, &PROBES_INIT),
    sect("web_server", None, &WEB_SERVER),
    sect("rest_api_server", Some("rest_server"), &REST_API_SERVER),
    sect("metric", None, &METRIC),
    sect("event", None, &EVENT),
    sect("meta", None, &META),
    sect("logs", None, &LOGS),
    sect("kafka", None, &KAFKA),
    sect("containers", None, &CONTAINERS),
    sect("spool", None, &SPOOL),
    sect("limits", None, &LIMITS),
    sect("limits.budget", None, &BUDGET),
    sect("imdb", None, &IMDB),
];

const fn sect(name: &'static str, old: Option<&'static str>, part: &'static Part<Config>) -> Section {
    Section { name, old, doc: part.doc, keys: part.keys }
}

/// Sections and keys of older versions that mean nothing any more, with the reason. An empty key is the section.
pub static GONE: &[(&str, &str, &str)] = &[
    ("global", "pin_path", "nothing is pinned any more"),
    ("ingress", "", "probes have report periods of their own"),
    ("egress", "", "probes have report periods of their own"),
    ("probes", "", "probes are switched on in probes.init or over REST"),
    ("extend_probes", "", "probes are switched on in probes.init or over REST"),
];

/// A type whose values stand in a list of tables.
pub(super) trait Row: Default + PartialEq + std::fmt::Debug + 'static {
    /// Its keys.
    const KEYS: &'static [Key<Self>];
    /// Most of them in one list.
    const MOST: usize;
    /// One of them, as a file would have it.
    const EXAMPLE: &'static str;
    /// What is missing or contradicts itself in a row that was read: the problem and the way out.
    fn fault(&self) -> Option<(&'static str, &'static str)>;
}

impl Row for ClientRole {
    const KEYS: &'static [Key<Self>] = CLIENT_ROLE.keys;
    const MOST: usize = 256;
    const EXAMPLE: &'static str = r#"{ subject = "CN=prometheus", role = "read" }"#;
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        (self.subject.is_empty() == self.san.is_empty())
            .then_some(("names no certificate or two of them", "set either subject or san"))
    }
}

impl Row for Webhook {
    const KEYS: &'static [Key<Self>] = WEBHOOK.keys;
    const MOST: usize = 16;
    const EXAMPLE: &'static str = r#"{ url = "https://example.org/events", timeout = "10s" }"#;
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        self.url.is_empty().then_some(("has no address", "set url"))
    }
}
