//! The metric channels `json` and `logs`: what each period amounted to, in a bounded file.

use super::rotate::Rotating;
use super::writer::{FileWriter, SinkCounts};
use crate::expose::write_document;
use crate::store::Store;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a channel writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricDocument {
    /// One JSON object a row and line (`json`).
    Json,
    /// The per-period text (`logs`).
    Text,
}

impl MetricDocument {
    /// Name of the channel, and of the sink in the self metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "logs",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Json => "gopher_metrics.json",
            Self::Text => "gopher_metrics.log",
        }
    }
}

/// One channel.
#[derive(Debug)]
pub struct MetricLog {
    document: MetricDocument,
    writer: FileWriter,
}

impl MetricLog {
    /// Opens a channel into `folder` (`<log>/metrics`), whose files stay within `max_bytes`: the share of
    /// this channel in `logs.metric_total_size`. Switches the per-period view of `store` on. `counts` go on
    /// where an earlier channel of this kind left them.
    pub fn open(
        store: &Store,
        document: MetricDocument,
        folder: &Path,
        max_bytes: u64,
        counts: Arc<SinkCounts>,
    ) -> io::Result<Self> {
        let file = Rotating::new(folder.join(document.file()), max_bytes);
        let writer = FileWriter::start(&format!("sink-{}", document.name()), file, counts)?;
        store.want_periods();
        Ok(Self { document, writer })
    }

    /// A batch that ended a period of `feature` was taken into `store`. Never blocks.
    pub fn period_ended(&self, store: &Store, feature: &str) {
        let mut piece = Vec::new();
        match self.document {
            MetricDocument::Json => store.period_rows(feature, &mut |row| write_document(row, &mut piece)),
            MetricDocument::Text => store.write_period_of(feature, &mut piece),
        }
        if !piece.is_empty() {
            self.writer.offer(piece);
        }
    }

    /// Opens the file by its name before the next line (SIGUSR1).
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    /// What it writes.
    pub fn document(&self) -> MetricDocument {
        self.document
    }

    /// What became of its lines.
    pub fn counts(&self) -> &Arc<SinkCounts> {
        self.writer.counts()
    }

    /// Writes what waits. `false` if that took longer than `deadline`.
    pub fn close(self, deadline: Duration) -> bool {
        self.writer.close(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{Driver, FEATURE, flow};
    use probe_core::{Baseline::Zero, Subject::Host};
    use std::fs;

    #[test]
    fn each_period_of_a_feature_is_written_once_and_what_was_there_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let metrics = folder.path().join("metrics");
        fs::create_dir(&metrics).expect("folder");
        fs::write(metrics.join("gopher_metrics.json"), "{\"old\":1}\n").expect("written");
        let mut driver = Driver::new();
        let open = |document| {
            MetricLog::open(&driver.store, document, &metrics, 1 << 20, Arc::default()).expect("thread")
        };
        let channels = [MetricDocument::Json, MetricDocument::Text].map(open);
        for count in [3, 5] {
            driver.close(|batch| batch.push(Host, Zero, flow("a", count)));
            channels.iter().for_each(|channel| channel.period_ended(&driver.store, FEATURE));
        }
        channels.iter().for_each(|channel| channel.period_ended(&driver.store, "other"));
        assert!(channels.into_iter().all(|channel| channel.close(Duration::from_secs(60))));
        let json = fs::read_to_string(metrics.join("gopher_metrics.json")).expect("read");
        let documents: Vec<serde_json::Value> =
            json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(documents.len(), 3);
        assert_eq!(documents[1]["metrics"]["bytes_total"], "3");
        assert_eq!(documents[2]["metrics"]["bytes_total"], "2");
        let text = fs::read_to_string(metrics.join("gopher_metrics.log")).expect("read");
        assert_eq!(crate::expose::strict::parse_period(&text).len(), 2);
    }
}
