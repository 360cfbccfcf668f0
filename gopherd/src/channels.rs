//! The metric channels that were configured: opened at start, told of each period, opened anew at a reload.
//! What each writes is `sinks`' business.

use crate::config::{Config, MetricChannel};
use crate::readiness::Readiness;
use crate::selfmetrics::SelfMetrics;
use crate::sinks::{MetricDocument, MetricLog, SinkCounts};
use crate::store::Store;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What waits at the end is written within this time, or lost and said.
const FLUSH: Duration = Duration::from_secs(1);

const MB: u64 = 1_000_000;

/// Open channels, and the counters of all that ever were.
#[derive(Debug, Default)]
struct Open {
    logs: Vec<MetricLog>,
    counts: HashMap<&'static str, Arc<SinkCounts>>,
}

/// The configured channels.
#[derive(Debug)]
pub struct Channels {
    store: Arc<Store>,
    own: Arc<SelfMetrics>,
    open: Mutex<Open>,
}

impl Channels {
    /// Opens what `config` asks for; what does not open is a readiness problem, not a failed start.
    pub fn open(config: &Config, store: Arc<Store>, own: Arc<SelfMetrics>, readiness: &Readiness) -> Self {
        let channels = Self { store, own, open: Mutex::default() };
        channels.open_as(config, readiness);
        channels
    }

    /// Closes what is open and opens what `config` asks for.
    pub fn open_as(&self, config: &Config, readiness: &Readiness) {
        self.close();
        let documents: Vec<MetricDocument> = config
            .metric
            .out_channel
            .iter()
            .filter_map(|channel| match channel {
                MetricChannel::Json => Some(MetricDocument::Json),
                MetricChannel::Logs => Some(MetricDocument::Text),
                // The listener is a server, and Kafka is among the configuration's problems until it is built.
                MetricChannel::WebServer | MetricChannel::Kafka => None,
            })
            .collect();
        let share = config.logs.metric_total_size * MB / (documents.len().max(1) as u64);
        let opened =
            documents.into_iter().map(|document| self.open_one(document, &config.metric_dir(), share));
        let problems: Vec<String> = opened.filter_map(Result::err).collect();
        problems.iter().for_each(|problem| tracing::error!("{problem}"));
        readiness.set("metric channels", problems);
    }

    fn open_one(&self, document: MetricDocument, folder: &Path, share: u64) -> Result<(), String> {
        let say =
            |error: std::io::Error| format!("channel {}: {}: {error}", document.name(), folder.display());
        std::fs::create_dir_all(folder).map_err(say)?;
        let mut open = self.lock();
        let counts = Arc::clone(open.counts.entry(document.name()).or_default());
        self.own.watch_sink(document.name(), Arc::clone(&counts));
        let log = MetricLog::open(&self.store, document, folder, share, counts).map_err(say)?;
        open.logs.push(log);
        Ok(())
    }

    /// A report period of `feature` has ended. Never blocks on a disk.
    pub fn period(&self, feature: &str) {
        self.lock().logs.iter().for_each(|log| log.period_ended(&self.store, feature));
    }

    /// Opens each file by its name before its next line.
    pub fn reopen(&self) {
        self.lock().logs.iter().for_each(MetricLog::reopen);
    }

    /// Writes what waits and closes.
    pub fn close(&self) {
        let logs = std::mem::take(&mut self.lock().logs);
        for log in logs {
            let channel = log.document().name();
            if !log.close(FLUSH) {
                tracing::error!(channel, "what waited was not written in time");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
