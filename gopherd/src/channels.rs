//! The metric channels that were configured: opened at start, told of each period, opened anew at a reload when
//! something about them has changed. What each writes is `sinks`' business.

use crate::config::{Config, MetricChannel};
use crate::delivery::board::Board;
use crate::readiness::Readiness;
use crate::selfmetrics::SelfMetrics;
#[cfg(feature = "kafka")]
use crate::sinks::kafka::{KafkaSettings, metrics::MetricKafka};
use crate::sinks::{MetricDocument, MetricLog, SinkCounts};
use crate::store::Store;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What waits at the end is written within this time, or lost and said.
const FLUSH: Duration = Duration::from_secs(1);

const MB: u64 = 1_000_000;

/// The sink of metrics in Kafka, as the self metrics name it.
#[cfg(feature = "kafka")]
const KAFKA: &str = "kafka_metrics";

/// Open channels, and the counters of all that ever were.
#[derive(Debug, Default)]
struct Open {
    logs: Vec<MetricLog>,
    /// What `logs` were opened with.
    files: (Vec<MetricDocument>, PathBuf, u64),
    #[cfg(feature = "kafka")]
    kafka: Option<MetricKafka>,
    counts: HashMap<&'static str, Arc<SinkCounts>>,
}

/// Who this host is, for messages that name it.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its machine id, without an address.
    pub machine: String,
    /// Its name.
    pub name: String,
}

/// The configured channels.
#[derive(Debug)]
pub struct Channels {
    store: Arc<Store>,
    own: Arc<SelfMetrics>,
    board: Board,
    host: Host,
    open: Mutex<Open>,
}

impl Channels {
    /// Opens what `config` asks for; what does not open is a readiness problem, not a failed start.
    pub fn open(
        config: &Config,
        store: Arc<Store>,
        own: Arc<SelfMetrics>,
        readiness: &Readiness,
        board: Board,
        host: Host,
    ) -> Self {
        let channels = Self { store, own, board, host, open: Mutex::default() };
        channels.open_as(config, readiness);
        channels
    }

    /// Opens what `config` asks for. What is open and the same stays as it is.
    pub fn open_as(&self, config: &Config, readiness: &Readiness) {
        let documents: Vec<MetricDocument> = config
            .metric
            .out_channel
            .iter()
            .filter_map(|channel| match channel {
                MetricChannel::Json => Some(MetricDocument::Json),
                MetricChannel::Logs => Some(MetricDocument::Text),
                // The listener is a server, and Kafka is no file.
                MetricChannel::WebServer | MetricChannel::Kafka => None,
            })
            .collect();
        let share = config.logs.metric_total_size * MB / (documents.len().max(1) as u64);
        let files = (documents, config.metric_dir(), share);
        let mut problems = Vec::new();
        let mut open = self.lock();
        if open.files != files || open.logs.len() != files.0.len() {
            close_logs(std::mem::take(&mut open.logs));
            for document in files.0.clone() {
                problems.extend(self.open_one(&mut open, document, &files.1, share).err());
            }
            open.files = files;
        }
        #[cfg(feature = "kafka")]
        problems.extend(self.open_kafka(&mut open, config).err());
        drop(open);
        problems.iter().for_each(|problem| tracing::error!("{problem}"));
        readiness.set("metric channels", problems);
    }

    fn open_one(
        &self,
        open: &mut Open,
        document: MetricDocument,
        folder: &Path,
        share: u64,
    ) -> Result<(), String> {
        let say =
            |error: std::io::Error| format!("channel {}: {}: {error}", document.name(), folder.display());
        std::fs::create_dir_all(folder).map_err(say)?;
        let counts = Arc::clone(open.counts.entry(document.name()).or_default());
        self.own.watch_sink(document.name(), Arc::clone(&counts));
        let log = MetricLog::open(&self.store, document, folder, share, counts).map_err(say)?;
        open.logs.push(log);
        Ok(())
    }

    #[cfg(feature = "kafka")]
    fn open_kafka(&self, open: &mut Open, config: &Config) -> Result<(), String> {
        let asked = config.metric.out_channel.contains(&MetricChannel::Kafka);
        let wanted = (asked && !config.kafka.kafka_broker.is_empty()).then(|| KafkaSettings::of(config));
        let account = self.board.account(KAFKA, crate::delivery::board::Group::Kafka);
        let same = open.kafka.as_ref().map(MetricKafka::settings) == wanted.as_ref();
        if same && account.trouble().is_none() {
            return Ok(());
        }
        if let Some(kafka) = open.kafka.take() {
            close_kafka(kafka);
            account.recover();
        }
        let Some(settings) = wanted else { return Ok(()) };
        let counts = Arc::clone(open.counts.entry(KAFKA).or_default());
        self.own.watch_sink(KAFKA, Arc::clone(&counts));
        let names = (self.host.machine.as_str(), self.host.name.as_str());
        let kafka = MetricKafka::open(&self.store, settings, names, counts, account);
        open.kafka = Some(kafka.map_err(|error| format!("channel kafka: {error}"))?);
        Ok(())
    }

    /// A report period of `feature` has ended. Never blocks on a disk or a network.
    pub fn period(&self, feature: &str) {
        let open = self.lock();
        open.logs.iter().for_each(|log| log.period_ended(&self.store, feature));
        #[cfg(feature = "kafka")]
        open.kafka.iter().for_each(|kafka| kafka.period_ended(&self.store, feature));
    }

    /// Opens each file by its name before its next line.
    pub fn reopen(&self) {
        self.lock().logs.iter().for_each(MetricLog::reopen);
    }

    /// Writes what waits and closes.
    pub fn close(&self) {
        let mut open = self.lock();
        close_logs(std::mem::take(&mut open.logs));
        #[cfg(feature = "kafka")]
        open.kafka.take().into_iter().for_each(close_kafka);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close_logs(logs: Vec<MetricLog>) {
    for log in logs {
        let channel = log.document().name();
        if !log.close(FLUSH) {
            tracing::error!(channel, "what waited was not written in time");
        }
    }
}

#[cfg(feature = "kafka")]
fn close_kafka(kafka: MetricKafka) {
    if !kafka.close(FLUSH) {
        tracing::error!(channel = KAFKA, "what waited was not sent in time");
    }
}
