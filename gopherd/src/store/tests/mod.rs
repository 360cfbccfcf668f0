//! The store as its users see it: batches in, text out. This file owns the tables and the small driver that
//! all of these tests share.

mod freshness;
mod labels;
mod limits;
mod periods;
mod together;

use super::{Fragment, Ingested, Labels, Options, Store};
use crate::expose::strict::{self, Parsed, Sample};
use crate::expose::{Format, finish};
use probe_core::{Batch, Close, Histogram, Label, ProcKey, Subject, Table};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) const BOUNDS: &[u64] = &[10, 100];
pub(crate) const FEATURE: &str = "net";

probe_core::table! {
    /// A bit of everything.
    pub(crate) struct Flow = "flow", entity "flow", sub_probe "" {
        keys { tgid, peer }
        labels { role }
        counter bytes_total: Bytes = "Bytes, from \"here\".";
        counter packets: Count = "Packets \\ frames.";
        gauge ratio: Ratio = "A ratio.";
        histogram(BOUNDS) rtt: Microseconds = "Round trips.";
    }
}

probe_core::table! {
    /// Without keys.
    pub(crate) struct Host = "host", entity "host", sub_probe "counts" {
        keys {}
        labels {}
        counter forks: Count = "Forks.";
        gauge load: Ratio = "Load.";
    }
}

/// A row of [`Flow`] with both counters at `count`.
pub(crate) fn flow(peer: &str, count: u64) -> Flow {
    Flow {
        tgid: "7".into(),
        peer: peer.into(),
        role: "client".into(),
        bytes_total: Some(count),
        packets: Some(count),
        ratio: Some(0.5),
        rtt: None,
    }
}

pub(crate) fn histogram(counts: [u64; 3], sum: f64) -> Option<Histogram> {
    Some(Histogram::from_buckets(Box::new(counts), sum, Some(sum)))
}

/// Series that the row above shows: two counters and a gauge.
pub(crate) const FLOW_SERIES: usize = 3;

/// Process labels by tgid; the host and unlisted cgroups have none.
#[derive(Default)]
pub(crate) struct Known(pub(crate) HashMap<u32, Arc<Fragment>>);

impl Labels for Known {
    fn fragment(&self, _: &'static str, _: &'static Table, subject: Subject) -> Option<Arc<Fragment>> {
        match subject {
            Subject::Process(ProcKey { tgid, .. }) => self.0.get(&tgid).map(Arc::clone),
            Subject::Host | Subject::Container(_) | Subject::Cgroup { .. } => Some(Arc::default()),
        }
    }
}

/// A store with one open feature, and a clock.
pub(crate) struct Driver {
    pub(crate) store: Store,
    pub(crate) known: Known,
    pub(crate) now_ms: u64,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self::limited(1000)
    }

    pub(crate) fn limited(max_series_per_probe: usize) -> Self {
        let options = Options { machine_id: "m".into(), max_series_per_probe, ..Options::default() };
        let store = Store::new(options);
        store.open(FEATURE, 1);
        Self { store, known: Known::default(), now_ms: 1_700_000_000_000 }
    }

    /// Ingests a batch of run 1 that is filled by `fill`.
    pub(crate) fn send(&mut self, fill: impl FnOnce(&mut Batch)) -> Ingested {
        self.now_ms += 1000;
        let mut batch = Batch::new(SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms));
        fill(&mut batch);
        self.store.ingest(FEATURE, 1, &batch, &self.known)
    }

    /// The same, for a batch that ends a period.
    pub(crate) fn close(&mut self, fill: impl FnOnce(&mut Batch)) -> Ingested {
        self.send(|batch| {
            fill(batch);
            batch.close = Some(Close { length: Duration::from_secs(60) });
        })
    }

    pub(crate) fn text(&self, format: Format) -> String {
        let mut out = Vec::new();
        self.store.write_cumulative(format, &mut out);
        finish(format, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    pub(crate) fn shown(&self) -> Parsed {
        let parsed = strict::parse(Format::Text, &self.text(Format::Text));
        assert_eq!(self.store.stats().series, parsed.samples().count(), "series are sample lines");
        parsed
    }

    pub(crate) fn bytes(&self, peer: &str) -> Option<f64> {
        self.shown().value("gala_gopher_flow_bytes_total", &[("peer", peer)])
    }

    pub(crate) fn period_text(&self) -> String {
        let mut out = Vec::new();
        self.store.write_per_period(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    pub(crate) fn period(&self) -> Vec<Sample> {
        strict::parse_period(&self.period_text()).into_iter().flatten().collect()
    }

    pub(crate) fn period_value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.period();
        let mut found = samples
            .iter()
            .filter(|sample| sample.name == name && labels.iter().all(|(n, v)| sample.label(n) == Some(*v)));
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "more than one {name} {labels:?}");
        value
    }
}

pub(crate) fn fragment(pairs: &[(&str, &str)]) -> Arc<Fragment> {
    Arc::new(Fragment::new(pairs.iter().map(|(name, value)| (*name, Label::from(*value)))))
}

pub(crate) fn process(tgid: u32, start_ticks: u64) -> Subject {
    Subject::Process(ProcKey { tgid, start_ticks })
}
