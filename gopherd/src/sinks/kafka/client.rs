//! The producer with what it tells: what became of each message, and what is wrong with the brokers.

use super::batching::Batching;
use super::keys;
use super::meaning::{self, Trouble};
use super::settings::KafkaSettings;
use crate::delivery::account::Account;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What became of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// As it was named when it was sent.
    pub(super) name: usize,
    /// Its topic and key ([`keys::name`]).
    pub(super) key: u64,
    /// Why it was not delivered, and the bytes of its key and document.
    pub(super) failed: Option<(Code, usize)>,
}

/// What librdkafka calls back while it is polled.
#[derive(Debug)]
pub(super) struct Context {
    answers: Mutex<Vec<Answer>>,
    fatal: AtomicBool,
    account: Arc<Account>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as an error too.
        tracing::debug!(?level, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let weight = meaning::of_client(code);
        self.fatal.fetch_or(weight == Trouble::Fatal, Relaxed);
        // Told by what became of the messages.
        if weight == Trouble::Fatal && reason.contains("gap-less") {
            return;
        }
        // How long it took is different each time, and no news.
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let known = self.account.trouble();
        let why = match (weight, known) {
            (Trouble::Passing, None) => return,
            (Trouble::Passing | Trouble::Vague, Some(known)) => known,
            _ => reason.to_owned(),
        };
        self.trouble(why);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, name: usize) {
        let message = match result {
            Ok(message) | Err((_, message)) => message,
        };
        let key = keys::name(message.topic(), message.key().unwrap_or_default());
        let failed = result.as_ref().err().map(|(error, message)| {
            let bytes = message.key_len() + message.payload_len();
            (error.rdkafka_error_code().unwrap_or(Code::Unknown), bytes)
        });
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(Answer { name, key, failed });
    }
}

impl Context {
    /// Something does not work; told once while it stays the same.
    pub(super) fn trouble(&self, why: String) {
        if self.account.fail(why.clone()) {
            tracing::error!("Kafka: {why}");
        }
    }

    /// It works.
    pub(super) fn well(&self) {
        if self.account.recover() {
            tracing::info!("Kafka takes messages again");
        }
    }
}

/// A producer.
pub(super) struct Client {
    producer: BaseProducer<Context>,
    settings: KafkaSettings,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a producer whose messages are given up after `timeout_ms` (0: never). No broker is asked yet.
    ///
    /// # Errors
    /// A property that librdkafka does not know or take, by its name; never its value, which may be a password.
    pub(super) fn new(
        settings: &KafkaSettings,
        timeout_ms: u64,
        batching: &Batching,
        account: &Arc<Account>,
    ) -> Result<Self, String> {
        if let Some(fault) = &settings.fault {
            return Err(fault.clone());
        }
        let context = Context {
            answers: Mutex::default(),
            fatal: AtomicBool::new(false),
            account: Arc::clone(account),
        };
        let mut config = settings.client(timeout_ms, batching);
        config.set_log_level(RDKafkaLogLevel::Warning);
        let made = BaseProducer::from_config_and_context(&config, context);
        let producer = made.map_err(|error| match error {
            KafkaError::ClientConfig(_, what, name, _) => format!("the property {name}: {what}"),
            other => other.to_string(),
        })?;
        Ok(Self { producer, settings: settings.clone() })
    }

    /// The producer itself.
    pub(super) fn producer(&self) -> &BaseProducer<Context> {
        &self.producer
    }

    /// Its settings.
    pub(super) fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Tells and is told.
    pub(super) fn context(&self) -> &Context {
        self.producer.context()
    }

    /// Moves what became of messages since the last call into `answers`. Does not wait.
    pub(super) fn poll(&self, answers: &mut Vec<Answer>) {
        answers.clear();
        loop {
            self.producer.poll(Duration::ZERO);
            let mut new = self.context().answers.lock().unwrap_or_else(PoisonError::into_inner);
            if new.is_empty() {
                return;
            }
            answers.append(&mut new);
        }
    }

    /// Takes back what no broker was sent yet.
    pub(super) fn hold(&self) {
        self.producer.purge(PurgeConfig::default().queue());
    }

    /// Whether answers are outstanding.
    pub(super) fn on_its_way(&self) -> bool {
        self.producer.in_flight_count() > 0
    }

    /// Whether it has failed for good.
    pub(super) fn is_dead(&self) -> bool {
        self.context().fatal.load(Relaxed) || self.producer.client().fatal_error().is_some()
    }

    /// Asks a broker for `topic`, which makes it where brokers make topics by themselves.
    pub(super) fn ask(&self, topic: &str, within: Duration) -> Result<(), String> {
        let asked = self.producer.client().fetch_metadata(Some(topic), within);
        // What is known of the reason came as an error without a message.
        self.producer.poll(Duration::ZERO);
        asked.map(drop).map_err(|error| {
            let code = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
            format!("no broker of {} answers: {code}", self.brokers())
        })
    }

    fn brokers(&self) -> &str {
        self.settings.brokers()
    }
}

/// The headers of every message.
pub(super) fn headers(host: &str, seq: Option<u64>) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(3)
        .insert(Header { key: "content-type", value: Some("application/json") })
        .insert(Header { key: "host", value: Some(host) });
    let Some(seq) = seq else { return headers };
    headers.insert(Header { key: "gopherd-seq", value: Some(itoa::Buffer::new().format(seq)) })
}
