//! What the configuration says about Kafka, as librdkafka's properties.

use super::batching::Batching;
use crate::config::{Config, KafkaSecurity, Word};
use crate::input_file;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::fmt;

/// What a producer is made of. Two that are equal behave the same.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// librdkafka's properties, passwords among them.
    properties: BTreeMap<String, String>,
    /// Topic of events.
    pub event_topic: String,
    /// Topic of metadata.
    pub meta_topic: String,
    /// Topic of metrics.
    pub metric_topic: String,
    /// Most messages that are on their way at a time.
    pub most_messages: usize,
    /// What is wrong with them, if anything: a password file that cannot be read.
    pub fault: Option<String>,
}

/// Passwords are in there.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("KafkaSettings").field("properties", &names).finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// Reads them from the configuration, and the password from its file.
    pub fn of(config: &Config) -> Self {
        let kafka = &config.kafka;
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: String| {
            properties.insert(name.to_owned(), value);
        };
        set("client.id", "gopherd".into());
        set("bootstrap.servers", kafka.kafka_broker.clone());
        // In order within a partition, and no duplicates but by a restart.
        set("enable.idempotence", "true".into());
        set("acks", "all".into());
        set("batch.num.messages", kafka.batch_num_messages.to_string());
        set("compression.codec", kafka.compression_codec.word().to_owned());
        set("queue.buffering.max.messages", kafka.queue_buffering_max_messages.to_string());
        set("queue.buffering.max.kbytes", kafka.queue_buffering_max_kbytes.to_string());
        set("queue.buffering.max.ms", kafka.queue_buffering_max_ms.to_string());
        // A broker that comes back after an hour is found within seconds.
        set("reconnect.backoff.max.ms", "10000".into());
        set("socket.keepalive.enable", "true".into());
        let (password, fault) = password(config);
        let sasl = !kafka.username.is_empty();
        let protocol = match kafka.security_protocol {
            KafkaSecurity::Auto if sasl => KafkaSecurity::SaslPlaintext,
            KafkaSecurity::Auto => KafkaSecurity::Plaintext,
            named => named,
        };
        set("security.protocol", protocol.word().to_owned());
        if matches!(protocol, KafkaSecurity::SaslPlaintext | KafkaSecurity::SaslSsl) {
            set("sasl.mechanism", kafka.sasl_mechanism.word().to_owned());
            set("sasl.username", kafka.username.clone());
            set("sasl.password", password);
        }
        if let Some(ca) = &kafka.ssl_ca {
            set("ssl.ca.location", ca.display().to_string());
        }
        properties.extend(kafka.properties.clone());
        Self {
            properties,
            event_topic: config.event.kafka_topic.clone(),
            meta_topic: config.meta.kafka_topic.clone(),
            metric_topic: config.metric.kafka_topic.clone(),
            most_messages: usize::try_from(kafka.queue_buffering_max_messages).unwrap_or(usize::MAX),
            fault,
        }
    }

    /// The brokers, as configured.
    pub(super) fn brokers(&self) -> &str {
        self.properties.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// Batches as configured.
    pub(super) fn batching(&self) -> Batching {
        let most = |name: &str| self.properties.get(name)?.parse().ok();
        let bytes = [most("batch.size"), most("message.max.bytes")].into_iter().flatten().min();
        Batching::new(bytes.map_or(BATCH_BYTES, |bytes: usize| bytes.min(BATCH_BYTES)))
    }

    /// The client's configuration, for messages that are given up after `timeout_ms`; 0 is never, and in order.
    pub(super) fn client(&self, timeout_ms: u64, batching: &Batching) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("message.timeout.ms", timeout_ms.to_string());
        if timeout_ms == 0 && self.properties.get("enable.idempotence").is_some_and(|word| word == "true") {
            // What is refused ends the producer, or what is behind it would overtake it.
            client.set("enable.gapless.guarantee", "true");
        }
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        for (name, value) in batching.properties() {
            client.set(name, value);
        }
        client
    }
}

fn password(config: &Config) -> (String, Option<String>) {
    let kafka = &config.kafka;
    let Some(path) = &kafka.password_file else { return (kafka.password.0.clone(), None) };
    let read = input_file::read(path, MAX_PASSWORD_FILE)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8")));
    match read {
        Ok(text) => (text.trim_end_matches(['\r', '\n']).to_owned(), None),
        Err(error) => (String::new(), Some(format!("kafka.password_file {}: {error}", path.display()))),
    }
}

/// Most bytes of a batch and of a message where nothing is configured: librdkafka's.
const BATCH_BYTES: usize = 1_000_000;
/// Largest password file.
const MAX_PASSWORD_FILE: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Compression, SaslMechanism, Secret};

    fn config() -> Config {
        let mut config = Config::default();
        config.kafka.kafka_broker = "a:9092,b:9092".into();
        config
    }

    fn of<'a>(settings: &'a KafkaSettings, name: &str) -> Option<&'a str> {
        settings.properties.get(name).map(String::as_str)
    }

    #[test]
    fn gala_gophers_keys_are_librdkafkas() {
        let mut config = config();
        config.kafka.batch_num_messages = 7;
        config.kafka.compression_codec = Compression::Lz4;
        config.kafka.queue_buffering_max_ms = 9;
        let settings = KafkaSettings::of(&config);
        for (name, value) in [
            ("bootstrap.servers", "a:9092,b:9092"),
            ("batch.num.messages", "7"),
            ("compression.codec", "lz4"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "1048576"),
            ("queue.buffering.max.ms", "9"),
            ("security.protocol", "plaintext"),
            ("enable.idempotence", "true"),
            ("acks", "all"),
        ] {
            assert_eq!(of(&settings, name), Some(value), "{name}");
        }
        assert_eq!(of(&settings, "sasl.username"), None);
    }

    #[test]
    fn a_user_name_means_sasl_and_properties_have_the_last_word() {
        let mut config = config();
        config.kafka.username = "alice".into();
        config.kafka.password = Secret("secret".into());
        config.kafka.sasl_mechanism = SaslMechanism::ScramSha256;
        config.kafka.ssl_ca = Some("/ca.pem".into());
        config.kafka.properties = [("acks".to_owned(), "1".to_owned())].into();
        let settings = KafkaSettings::of(&config);
        assert_eq!(of(&settings, "security.protocol"), Some("sasl_plaintext"));
        assert_eq!(of(&settings, "sasl.mechanism"), Some("SCRAM-SHA-256"));
        assert_eq!((of(&settings, "sasl.password"), of(&settings, "acks")), (Some("secret"), Some("1")));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn a_password_file_is_read_anew_each_time_and_one_that_is_not_there_is_a_fault() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("password");
        let mut config = config();
        config.kafka.username = "alice".into();
        config.kafka.password_file = Some(path.clone());
        assert!(KafkaSettings::of(&config).fault.is_some_and(|fault| fault.contains("password_file")));
        for password in ["one", "two"] {
            std::fs::write(&path, format!("{password}\n")).expect("written");
            let settings = KafkaSettings::of(&config);
            assert_eq!((of(&settings, "sasl.password"), &settings.fault), (Some(password), &None));
        }
    }
}
