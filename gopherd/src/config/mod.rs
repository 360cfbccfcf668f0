//! The configuration: what can be set, read once at the edge into types that nobody checks again.
//!
//! ```text
//!  Sources { file, environment, flags } ── load ──► Ok(Loaded { config: Config, warnings, problems, probes.init })
//!     ▲ find (effects)                        └──► Err(Rejected { faults, … })      every fault at once
//! ```
//!
//! [`Config`] is the one type that the rest of the daemon uses. [`keys`] is the table that everything is made
//! of; [`load()`] the order defaults < file < environment < flags; `rules` what holds between keys and for
//! gala-gopher's files; `unbuilt` what can be asked for but is not there yet; [`sample`] the text of
//! `etc/gopherd.toml`. The libconfig reader ([`libconf`]) serves extension probes too.

mod fault;
pub mod find;
pub mod keys;
pub mod libconf;
mod load;
mod rule;
mod rules;
pub mod sample;
pub mod spec;
pub mod toml_tree;
pub mod tree;
#[cfg(not(feature = "kafka"))]
mod unbuilt;
mod unit;
pub mod value;
mod words;

pub use fault::{Fault, Origin};
pub use keys::{
    Budget, ClientRole, Containers, Event, Global, Imdb, Kafka, Limits, Logs, Meta, Metric, Paths,
    ProbesInit, RestApiServer, Spool, WebServer, Webhook,
};
pub use load::{Format, InitSource, Loaded, Rejected, SourceFile, Sources, load};
pub use words::{
    Compression, DescLanguage, EventChannel, Fsync, KafkaSecurity, LogLevel, MetricChannel, Role,
    SaslMechanism, SaveMode, Secret, Semantics, SslAuth, TlsVersion, WhenFull, Word, Words,
};

use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that was configured, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The daemon as a whole.
    pub global: Global,
    /// Directories.
    pub paths: Paths,
    /// The file of probes to start with.
    pub probes_init: ProbesInit,
    /// The metrics listener.
    pub web_server: WebServer,
    /// The control listener.
    pub rest_api_server: RestApiServer,
    /// Metric channels.
    pub metric: Metric,
    /// Event channels.
    pub event: Event,
    /// Metadata channels.
    pub meta: Meta,
    /// Files that are written.
    pub logs: Logs,
    /// Kafka brokers.
    pub kafka: Kafka,
    /// Sockets of container runtimes.
    pub containers: Containers,
    /// The spool.
    pub spool: Spool,
    /// Where events are posted to.
    pub webhook: Vec<Webhook>,
    /// What the daemon may use.
    pub limits: Limits,
    /// What one probe may cost (`limits.budget` in the file).
    pub budget: Budget,
    /// gala-gopher's store sizes, without effect.
    pub imdb: Imdb,
}

impl Config {
    /// Where the metrics listener binds; `None` if there is none.
    pub fn metrics_listen(&self) -> Option<SocketAddr> {
        let web = &self.web_server;
        web.enabled.then(|| SocketAddr::new(web.bind_addr, web.port))
    }

    /// Where the control listener binds; `None` if there is none.
    pub fn rest_listen(&self) -> Option<SocketAddr> {
        let rest = &self.rest_api_server;
        self.global.rest_api_on.then(|| SocketAddr::new(rest.bind_addr, rest.port))
    }

    /// Directory of metric files.
    pub fn metric_dir(&self) -> PathBuf {
        self.logs.metric_dir.clone().unwrap_or_else(|| self.paths.log.join("metrics"))
    }

    /// Directory of event files.
    pub fn event_dir(&self) -> PathBuf {
        self.logs.event_dir.clone().unwrap_or_else(|| self.paths.log.join("event"))
    }

    /// Directory of metadata files.
    pub fn meta_dir(&self) -> PathBuf {
        self.logs.meta_dir.clone().unwrap_or_else(|| self.paths.log.join("meta"))
    }

    /// The debug log.
    pub fn debug_log(&self) -> PathBuf {
        let dir = self.logs.debug_dir.clone().unwrap_or_else(|| self.paths.log.join("debug"));
        dir.join(&self.global.log_file_name)
    }

    /// The host as the daemon and its probes see it.
    pub fn host(&self) -> probe_core::Env {
        self.global.host_path.as_deref().map(probe_core::Env::under).unwrap_or_default()
    }

    /// The values of these keys as a file writes them, secrets as empty.
    pub fn shown(&self, wanted: &[String]) -> serde_json::Value {
        let mut config = self.clone();
        // Any of librdkafka's properties may be a password or a key, and a webhook's path is often what gives access.
        config.kafka.properties.values_mut().for_each(String::clear);
        for webhook in &mut config.webhook {
            let host = webhook.url.match_indices('/').nth(2).map(|(end, _)| end);
            webhook.url.truncate(host.unwrap_or(webhook.url.len()));
        }
        let keys =
            keys::SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)));
        let chosen = keys.filter(|(section, key)| wanted.contains(&section.path(key.name)));
        let shown = chosen.map(|(section, key)| {
            (section.path(key.name), serde_json::Value::from(value::written(key, &mut config)))
        });
        serde_json::Value::Object(shown.collect())
    }

    /// The keys whose values differ between `self` and `new`, in two lists: those that take effect at a
    /// reload, and those that need a restart.
    pub fn changes(&self, new: &Self) -> (Vec<String>, Vec<String>) {
        let (mut old, mut new) = (self.clone(), new.clone());
        let mut changed = (Vec::new(), Vec::new());
        for section in keys::SECTIONS {
            for key in section.keys {
                let secret =
                    matches!(key.kind, spec::Kind::Secret(_)) && old.kafka.password != new.kafka.password;
                if secret || value::written(key, &mut old) != value::written(key, &mut new) {
                    let list = if key.attrs.live { &mut changed.0 } else { &mut changed.1 };
                    list.push(section.path(key.name));
                }
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_names_what_takes_effect_and_what_does_not() {
        let old = Config::default();
        let mut new = old.clone();
        new.global.log_level = LogLevel::Debug;
        new.kafka.password = Secret("x".into());
        new.web_server.port = 1;
        let (live, restart) = old.changes(&new);
        assert_eq!(live, ["global.log_level", "kafka.password"]);
        assert_eq!(restart, ["web_server.port"]);
        assert_eq!(old.changes(&old), (vec![], vec![]));
    }

    #[test]
    fn what_is_shown_of_a_change_holds_no_password_and_no_path_of_a_webhook() {
        let mut config = Config::default();
        config.kafka.password = Secret("hunter1".into());
        config.kafka.properties = [("ssl.key.password".to_owned(), "hunter2".to_owned())].into();
        config.webhook = vec![Webhook { url: "https://example.org/hunter3".into(), ..Webhook::default() }];
        let keys = ["kafka.password", "kafka.properties", "webhook"].map(str::to_owned);
        let shown = config.shown(&keys).to_string();
        assert!(shown.contains("ssl.key.password") && shown.contains("https://example.org"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn directories_follow_paths_log_unless_they_are_set() {
        let mut config = Config::default();
        config.paths.log = "/tmp/l".into();
        config.logs.event_dir = Some("/e".into());
        assert_eq!(config.metric_dir(), PathBuf::from("/tmp/l/metrics"));
        assert_eq!(config.event_dir(), PathBuf::from("/e"));
        assert_eq!(config.debug_log(), PathBuf::from("/tmp/l/debug/gopher.log"));
    }

    #[test]
    fn a_listener_that_is_off_has_no_address() {
        let mut config = Config::default();
        assert_eq!(config.metrics_listen().map(|a| a.to_string()).as_deref(), Some("127.0.0.1:8888"));
        assert_eq!(config.rest_listen().map(|a| a.to_string()).as_deref(), Some("127.0.0.1:9999"));
        config.web_server.enabled = false;
        config.global.rest_api_on = false;
        assert_eq!((config.metrics_listen(), config.rest_listen()), (None, None));
    }
}
