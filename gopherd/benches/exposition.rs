//! What a scrape and an update cost. In one run: the cumulative view of 10,000 series with ten labels, the
//! copy of the same text (no writer can be faster), the `prometheus` crate for the same series, both
//! compressions, and taking a batch of rows that are known already.
//!
//! `cargo bench -p gopherd --bench exposition`
#![allow(missing_docs)] // criterion's macros make undocumented items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gopherd::expose::{Compressor, Encoding, Format};
use gopherd::store::{Fragment, Labels, Options, Store};
use probe_core::{Baseline, Batch, Label, ProcKey, Subject, Table};
use prometheus::{Encoder, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};
use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

probe_core::table! {
    /// 33 columns, as the catalogue's widest process table.
    struct Wide = "wide", entity "wide", sub_probe "" {
        keys { tgid, fd, peer }
        labels { role }
        counter c00: Count = "H."; counter c01: Count = "H."; counter c02: Count = "H."; counter c03: Count = "H.";
        counter c04: Count = "H."; counter c05: Count = "H."; counter c06: Count = "H."; counter c07: Count = "H.";
        counter c08: Count = "H."; counter c09: Count = "H."; counter c10: Count = "H."; counter c11: Count = "H.";
        counter c12: Count = "H."; counter c13: Count = "H."; counter c14: Count = "H."; counter c15: Count = "H.";
        counter c16: Count = "H."; counter c17: Count = "H."; counter c18: Count = "H."; counter c19: Count = "H.";
        counter c20: Count = "H."; counter c21: Count = "H."; counter c22: Count = "H."; counter c23: Count = "H.";
        gauge g00: Ratio = "H."; gauge g01: Ratio = "H."; gauge g02: Ratio = "H."; gauge g03: Ratio = "H.";
        gauge g04: Ratio = "H."; gauge g05: Ratio = "H."; gauge g06: Ratio = "H."; gauge g07: Ratio = "H.";
        gauge g08: Ratio = "H.";
    }
}

probe_core::table! {
    /// One counter and one gauge, so that rows and not columns are many.
    struct Thin = "thin", entity "thin", sub_probe "" {
        keys { tgid, fd, peer }
        labels { role }
        counter bytes_total: Bytes = "H.";
        gauge ratio: Ratio = "H.";
    }
}

const MACHINE: &str = "00112233-4455-6677-8899-aabbccddeeff-192.168.100.100";
const PROCESS: [(&str, &str); 5] = [
    ("comm", "nginx"),
    ("container_id", "0123456789ab"),
    ("container_name", "k8s_frontend_shop-7d9c5b6f4-x2x2x"),
    ("pod_id", "5f1c3a52-7b1c-4b8e-9d59-8f9f3f0e2f11"),
    ("pod", "shop/shop-7d9c5b6f4-x2x2x"),
];

struct One(Arc<Fragment>);

impl Labels for One {
    fn fragment(&self, _: &'static str, _: &'static Table, _: Subject) -> Option<Arc<Fragment>> {
        Some(Arc::clone(&self.0))
    }
}

fn wide(i: u32, n: u64) -> Wide {
    let (c, g) = (Some(n * 1000 + u64::from(i)), Some(f64::from(i) / 7.0));
    Wide {
        tgid: (10_000 + i).to_string().into(),
        fd: "12".into(),
        peer: format!("192.168.0.{i}:8080").into(),
        role: "server".into(),
        c00: c,
        c01: c,
        c02: c,
        c03: c,
        c04: c,
        c05: c,
        c06: c,
        c07: c,
        c08: c,
        c09: c,
        c10: c,
        c11: c,
        c12: c,
        c13: c,
        c14: c,
        c15: c,
        c16: c,
        c17: c,
        c18: c,
        c19: c,
        c20: c,
        c21: c,
        c22: c,
        c23: c,
        g00: g,
        g01: g,
        g02: g,
        g03: g,
        g04: g,
        g05: g,
        g06: g,
        g07: g,
        g08: g,
    }
}

fn subject(i: u32) -> Subject {
    Subject::Process(ProcKey { tgid: i, start_ticks: 1 })
}

fn batch(rows: u32, mut add: impl FnMut(&mut Batch, u32)) -> Batch {
    let mut batch = Batch::new(SystemTime::now());
    (0..rows).for_each(|i| add(&mut batch, i));
    batch
}

fn store(batch: &Batch) -> (Store, One) {
    let labels = One(Arc::new(Fragment::new(PROCESS)));
    let store = Store::new(Options { machine_id: MACHINE.into(), ..Options::default() });
    store.open("bench", 1);
    store.ingest("bench", 1, batch, &labels);
    (store, labels)
}

/// 303 rows of 33 columns: 9,999 series.
const WIDE_ROWS: u32 = 303;

fn exposition(c: &mut Criterion) {
    let mut group = c.benchmark_group("10k series, 10 labels");
    group.throughput(Throughput::Elements(10_000));
    let push = |batch: &mut Batch, i: u32| batch.push(subject(i), Baseline::Zero, wide(i, 1));
    let (wide_store, _) = store(&batch(WIDE_ROWS, push));
    let (thin_store, _) = store(&batch(5_000, |batch, i| {
        let row = Thin {
            tgid: i.to_string().into(),
            fd: "12".into(),
            peer: format!("192.168.0.1:{i}").into(),
            role: "server".into(),
            bytes_total: Some(1_000_000 + u64::from(i)),
            ratio: Some(f64::from(i) / 7.0),
        };
        batch.push(subject(i), Baseline::Zero, row);
    }));
    let mut text = Vec::new();
    wide_store.write_cumulative(Format::Text, &mut text);
    let mut out = Vec::with_capacity(text.len() * 2);
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    group.bench_function("copy of the same text, line by line", |b| {
        b.iter(|| {
            out.clear();
            lines.iter().for_each(|line| out.extend_from_slice(line));
            black_box(out.len())
        });
    });
    group.bench_function("copy of the same text, at once", |b| {
        b.iter(|| {
            out.clear();
            out.extend_from_slice(black_box(&text));
            black_box(out.len())
        });
    });
    for (name, store, format) in [
        ("text, 303 rows of 33 columns", &wide_store, Format::Text),
        ("text, 5000 rows of 2 columns", &thin_store, Format::Text),
        ("openmetrics", &wide_store, Format::OpenMetrics),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                store.write_cumulative(format, &mut out);
                black_box(out.len())
            });
        });
    }
    let registry = theirs();
    group.bench_function("prometheus crate", |b| {
        b.iter(|| {
            out.clear();
            TextEncoder::new().encode(&registry.gather(), &mut out).expect("encoded");
            black_box(out.len())
        });
    });
    let mut compressor = Compressor::default();
    for (name, encoding) in [("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd)] {
        group.bench_function(name, |b| {
            b.iter(|| compressor.compress(encoding, black_box(&text), &mut out).expect("compressed"));
        });
    }
    group.finish();
}

/// The wide rows in a registry of the `prometheus` crate.
fn theirs() -> Registry {
    let registry = Registry::new();
    let own = ["tgid", "fd", "peer", "role"];
    let names: Vec<&str> =
        own.into_iter().chain(PROCESS.map(|(name, _)| name)).chain(["machine_id"]).collect();
    for column in 0..33 {
        let opts = Opts::new(format!("gala_gopher_wide_c{column:02}"), "H.");
        let counters = IntCounterVec::new(opts.clone(), &names).expect("valid");
        let gauges = GaugeVec::new(opts, &names).expect("valid");
        for i in 0..WIDE_ROWS {
            let (tgid, peer) = ((10_000 + i).to_string(), format!("192.168.0.{i}:8080"));
            let own = [tgid.as_str(), "12", peer.as_str(), "server"];
            let values: Vec<&str> =
                own.into_iter().chain(PROCESS.map(|(_, value)| value)).chain([MACHINE]).collect();
            if column < 24 {
                counters.with_label_values(&values).inc_by(1000 + u64::from(i));
            } else {
                gauges.with_label_values(&values).set(f64::from(i) / 7.0);
            }
        }
        if column < 24 {
            registry.register(Box::new(counters)).expect("new");
        } else {
            registry.register(Box::new(gauges)).expect("new");
        }
    }
    registry
}

fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest of known rows");
    group.throughput(Throughput::Elements(u64::from(WIDE_ROWS)));
    let full = batch(WIDE_ROWS, |batch, i| batch.push(subject(i), Baseline::Zero, wide(i, 2)));
    for periods in [false, true] {
        let (store, labels) = store(&full);
        if periods {
            store.want_periods();
        }
        let name = if periods { "33 columns, per-period view on" } else { "33 columns" };
        group.bench_function(name, |b| b.iter(|| store.ingest("bench", 1, black_box(&full), &labels)));
    }
    let (store, _) = store(&full);
    let labels =
        [One(Arc::new(Fragment::new(PROCESS))), One(Arc::new(Fragment::new([("comm", Label::from("x"))])))];
    let mut turn = 0;
    group.bench_function("33 columns, labels changed", |b| {
        b.iter(|| {
            turn ^= 1;
            store.ingest("bench", 1, black_box(&full), &labels[turn])
        });
    });
    group.finish();
}

criterion_group!(benches, exposition, ingest);
criterion_main!(benches);
