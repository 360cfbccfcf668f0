//! What delivery costs beside doing without it: the event log beside a loop that writes serde_json into a buffered file,
//! Kafka beside a loop of a bare producer with the same settings, each in turn within one run; and whether 100,000
//! messages a second go through for half a minute in bounded memory. The broker shares the machine.

use crate::Length;
use crate::measure::memory;
use crate::report::Report;
use gopher_e2e::kafka::Broker;
use gopherd::config::{Config, EventChannel};
use gopherd::delivery::board::Board;
use gopherd::delivery::{Accept as _, Delivery, Message, Stream};
use gopherd::readiness::Readiness;
use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::{Duration, Instant};

/// Messages handed over at once, as a report of a busy host has them.
const BATCH: usize = 50;
const RATE: u64 = 100_000;

/// An event of about 720 bytes.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "Timestamp")]
    timestamp: u64,
    event_id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: Attributes<'a>,
    #[serde(rename = "SeverityText")]
    severity_text: &'a str,
    #[serde(rename = "SeverityNumber")]
    severity_number: u32,
    #[serde(rename = "Body")]
    body: &'a str,
}

#[derive(Serialize)]
struct Attributes<'a> {
    entity_id: &'a str,
    event_type: &'a str,
    fill: &'a str,
}

/// Serialises one event after the other.
struct Events {
    id: String,
    fill: String,
    number: u64,
}

impl Events {
    fn new() -> Self {
        Self { id: "0123456789_tcp_link_1234_10.0.0.1".into(), fill: "x".repeat(420), number: 0 }
    }

    fn write(&mut self, out: impl std::io::Write) {
        self.number += 1;
        let event = Event {
            timestamp: 1_700_000_000_000 + self.number,
            event_id: &self.id,
            attributes: Attributes { entity_id: &self.id, event_type: "net", fill: &self.fill },
            severity_text: "WARN",
            severity_number: 13,
            body: "WARN Entity(tcp) packet loss; retransmissions above the threshold 10.",
        };
        serde_json::to_writer(out, &event).expect("serialised");
    }

    fn message(&mut self) -> Message {
        let mut document = Vec::with_capacity(768);
        self.write(&mut document);
        Message {
            stream: Stream::Event,
            key: format!("entity_{}", self.number % 100).into(),
            document: document.into(),
            at_ms: 1_700_000_000_000 + self.number,
            live_only: false,
        }
    }
}

/// Adds the ratios and the half minute.
pub(crate) fn measure(length: Length, report: &mut Report) {
    let runs = length.pick(5, 2);
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let count = length.pick(400_000, 100_000);
        let (bare, ours) = (bare_log(count), our_log(count));
        ratios.push(ours / bare);
        rates.push(f64::from(count) / ours / 1e3);
    }
    report.limited("event log: time beside a bare serde_json loop into a buffered file", "×", 1.25, ratios);
    report.shown("event log: events of 720 bytes a second", "thousand", rates);

    let mut broker = Broker::new();
    broker.start();
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let count = length.pick(400_000, 100_000);
        let bare = bare_kafka(&broker, &format!("bare{run}"), count);
        let ours = our_kafka(&broker, &format!("ours{run}"), count);
        ratios.push(ours / bare);
        rates.push(f64::from(count) / ours / 1e3);
    }
    report.limited("Kafka through the spool: time beside a bare producer", "×", 1.25, ratios);
    report.shown("Kafka through the spool: events of 720 bytes a second", "thousand", rates);
    steady(&broker, length.pick(30, 5), report);
}

fn bare_log(count: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut events = Events::new();
    let begun = Instant::now();
    let mut file = BufWriter::new(File::create(folder.path().join("log")).expect("a file"));
    for _ in 0..count {
        events.write(&mut file);
        file.write_all(b"\n").expect("written");
    }
    file.flush().expect("written");
    begun.elapsed().as_secs_f64()
}

fn open(folder: &tempfile::TempDir, channel: EventChannel, broker: &str, topic: &str) -> Delivery {
    let mut config = Config::default();
    config.paths.state = folder.path().join("state");
    config.paths.log = folder.path().join("log");
    config.event.out_channel = vec![channel];
    config.event.kafka_topic = topic.into();
    config.meta.out_channel.clear();
    config.kafka.kafka_broker = broker.into();
    Delivery::open(&config, Board::new(Readiness::default()), "bench".into())
}

fn accept(delivery: &Delivery, events: &mut Events, count: usize) {
    let messages: Vec<Message> = (0..count).map(|_| events.message()).collect();
    delivery.acceptor().accept(&messages);
}

/// Seconds until so many events are in a log.
pub(crate) fn our_log(count: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = open(&folder, EventChannel::Logs, "", "");
    let mut events = Events::new();
    let begun = Instant::now();
    for _ in 0..count as usize / BATCH {
        accept(&delivery, &mut events, BATCH);
    }
    let time = begun.elapsed().as_secs_f64();
    delivery.close();
    time
}

fn bare_kafka(broker: &Broker, topic: &str, count: u32) -> f64 {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("enable.idempotence", "true")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.ms", "5")
        .create()
        .expect("a producer");
    producer.client().fetch_metadata(Some(topic), Duration::from_secs(30)).expect("the topic");
    let mut events = Events::new();
    let begun = Instant::now();
    for seq in 0..count {
        let message = events.message();
        let seq = seq.to_string();
        loop {
            let headers = OwnedHeaders::new_with_capacity(3)
                .insert(Header { key: "content-type", value: Some("application/json") })
                .insert(Header { key: "host", value: Some("bench") })
                .insert(Header { key: "gopherd-seq", value: Some(seq.as_str()) });
            let record =
                BaseRecord::to(topic).key(&*message.key).payload(&*message.document).headers(headers);
            match producer.send(record) {
                Ok(()) => break,
                Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(120)).expect("flushed");
    begun.elapsed().as_secs_f64()
}

fn our_kafka(broker: &Broker, topic: &str, count: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = open(&folder, EventChannel::Kafka, &broker.address(), topic);
    let mut events = Events::new();
    // As above, the topic is there before the clock runs.
    accept(&delivery, &mut events, 1);
    drained(&delivery);
    let begun = Instant::now();
    for _ in 0..count as usize / BATCH {
        accept(&delivery, &mut events, BATCH);
    }
    drained(&delivery);
    let time = begun.elapsed().as_secs_f64();
    delivery.close();
    time
}

fn drained(delivery: &Delivery) {
    while delivery.spool().sinks.iter().any(|sink| sink.pending_records > 0) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn steady(broker: &Broker, seconds: u64, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = open(&folder, EventChannel::Kafka, &broker.address(), "steady");
    let mut events = Events::new();
    accept(&delivery, &mut events, 1);
    drained(&delivery);
    let before = memory(std::process::id()).rss;
    let mut most: f64 = 0.0;
    let begun = Instant::now();
    let mut late = Duration::ZERO;
    for hundredth in 0..seconds * 100 {
        for _ in 0..RATE / 100 / BATCH as u64 {
            accept(&delivery, &mut events, BATCH);
        }
        let due = begun + Duration::from_millis(10 * (hundredth + 1));
        match due.checked_duration_since(Instant::now()) {
            Some(early) => std::thread::sleep(early),
            None => late = late.max(due.elapsed()),
        }
        if hundredth % 100 == 0 {
            most = most.max(memory(std::process::id()).rss);
        }
    }
    drained(&delivery);
    let all = begun.elapsed().as_secs_f64();
    let spool = delivery.spool();
    let sink = spool.sinks.first().expect("Kafka");
    let lost: u64 = sink.lost.values().sum();
    let sent = RATE * seconds + 1;
    #[allow(clippy::cast_precision_loss)] // some millions
    let (unaccounted, seconds) = (sent.abs_diff(sink.delivered + lost) as f64, seconds as f64);
    report.limited(
        "100,000 messages a second: accepting falls behind by at most",
        "s",
        1.0,
        vec![late.as_secs_f64()],
    );
    report.limited(
        "100,000 messages a second: delivered so long after the last",
        "s",
        5.0,
        vec![all - seconds],
    );
    report.limited("100,000 messages a second: growth of RSS", "MB", 200.0, vec![most - before]);
    report.limited(
        "100,000 messages a second: neither delivered once nor counted",
        "messages",
        0.0,
        vec![unaccounted],
    );
    report.note(format!("{sent} messages: {} delivered, {lost} lost and counted.", sink.delivered));
    delivery.close();
}
