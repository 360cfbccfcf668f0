//! What an event costs, from a reading to its document, beside a bare loop that serializes the same struct: both on one
//! thread, in one run.
//!
//! `cargo bench -p gopherd --bench events`
#![allow(missing_docs)] // criterion's macros make undocumented items

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gopher_api::EventDocument;
use gopherd::events::{Circumstances, Counts, Engine, Event, Style, Writer};
use gopherd::store::Fragment;
use probe_core::{
    Baseline, Batch, Close, Descriptor, ParamValue, Params, ProcKey, Row as _, ScopeUse, Severity, Subject,
    Text, Trigger, When, params,
};
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

const ROWS: u32 = 1000;

probe_core::table! {
    /// A connection, as `tcp` has it.
    struct Link = "tcp_metric", entity "tcp_link", sub_probe "" {
        keys { tgid, comm, role, client_ip, toa_client_ip, server_ip, client_port, server_port, protocol }
        labels { }
        counter retran_packets: Count = "H.";
    }
}

static TRIGGERS: [Trigger; 1] = [Trigger {
    table: Link::TABLE,
    metric: "retran_packets",
    when: When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 },
    severity: Severity::Warn,
    text: Text { en: "{value} segments were sent again, more than {threshold}.", zh: "" },
    ip: "CIP({client_ip}), SIP({server_ip}:{server_port})",
    device: "",
}];

static PROBE: Descriptor = Descriptor {
    name: "tcp",
    summary: "S.",
    sub_probes: &[],
    scope: ScopeUse::Processes,
    params: params::ALL,
    tables: &[Link::TABLE],
    triggers: &TRIGGERS,
    needs: &[],
    build: None,
};

fn batch(count: u64) -> Batch {
    let mut batch = Batch::new(SystemTime::now());
    for row in 0..ROWS {
        let link = Link {
            tgid: (10_000 + row).to_string().into(),
            comm: "redis-server".into(),
            role: "server".into(),
            client_ip: "192.168.100.17".into(),
            server_ip: "192.168.100.18".into(),
            client_port: "0".into(),
            server_port: "6379".into(),
            protocol: "2".into(),
            retran_packets: Some(count),
            ..Link::default()
        };
        batch.push(Subject::Process(ProcKey { tgid: 10_000 + row, start_ticks: 1 }), Baseline::Zero, link);
    }
    batch.complete::<Link>();
    batch.close = Some(Close { length: Duration::from_secs(5) });
    batch
}

/// An engine that tells every event, and the parameters with which it does.
fn engine() -> (Engine, Params) {
    let mut params = Params::default();
    params.set(&params::REPORT_EVENT, ParamValue::Int(1));
    params.set(&params::DROPS_THR, ParamValue::Int(10));
    let machine = "5d7e2a4b-0f7a-4a8b-9c54-3f1f4f6a9c10-192.168.100.18";
    (Engine::new(machine.into(), Duration::ZERO, Counts::default()), params)
}

fn writer() -> Writer {
    let machine = "5d7e2a4b-0f7a-4a8b-9c54-3f1f4f6a9c10-192.168.100.18".to_owned();
    Writer::new(Style { prefix: "gala_gopher".into(), machine, ..Style::default() })
}

fn take(engine: &mut Engine, params: &Params, batch: &Batch, tell: &mut dyn FnMut(Event) -> bool) {
    let (now, events_per_s) = (Instant::now(), None);
    engine.take(Circumstances { descriptor: &PROBE, run: 1, params, events_per_s, now }, batch, tell);
}

/// The events of one period in which every row is abnormal.
fn events() -> Vec<Event> {
    let (mut engine, params) = engine();
    let mut events = Vec::new();
    for count in [0, 100] {
        take(&mut engine, &params, &batch(count), &mut |event| {
            events.push(event);
            true
        });
    }
    assert_eq!(events.len(), ROWS as usize);
    events
}

fn costs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(u64::from(ROWS)));
    let about = Fragment::new([("container_id", "0123456789ab"), ("pod_id", "u-1")]);
    let events = events();

    let mut first = writer();
    let documents: Vec<_> = events.iter().map(|event| first.message(event, Some(&about)).document).collect();
    let bare: Vec<EventDocument<'_>> =
        documents.iter().map(|text| serde_json::from_slice(text).expect("a document")).collect();
    group.bench_function("bare serde_json of the struct", |bencher| {
        bencher.iter(|| {
            for document in &bare {
                let mut text = Vec::with_capacity(1024);
                serde_json::to_writer(&mut text, document).expect("written");
                black_box(text.into_boxed_slice());
            }
        });
    });

    let mut writer = writer();
    group.bench_function("event to document", |bencher| {
        bencher.iter(|| {
            for event in &events {
                black_box(writer.message(event, Some(&about)));
            }
        });
    });

    let (mut engine, params) = engine();
    let mut count = 0;
    take(&mut engine, &params, &batch(count), &mut |_| true);
    group.bench_function("reading to document", |bencher| {
        bencher.iter_batched(
            || {
                count += 100;
                batch(count)
            },
            |batch| {
                take(&mut engine, &params, &batch, &mut |event| {
                    black_box(writer.message(&event, Some(&about)));
                    true
                });
                batch
            },
            BatchSize::LargeInput,
        );
    });

    let quiet = batch(count);
    take(&mut engine, &params, &quiet, &mut |_| true);
    group.bench_function("a row that is watched and well", |bencher| {
        bencher.iter(|| take(&mut engine, &params, &quiet, &mut |_| true));
    });
    let off = Params::default();
    group.bench_function("a row while report_event is 0", |bencher| {
        bencher.iter(|| take(&mut engine, &off, &quiet, &mut |_| true));
    });
    group.finish();
}

criterion_group!(benches, costs);
criterion_main!(benches);
