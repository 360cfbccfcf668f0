//! The metric channel `kafka`: what each period amounted to, a message a row. Past the spool: metrics that cannot be
//! sent soon are worth nothing, so of what waits the oldest goes, and is counted.

use super::batching::{self, Batching};
use super::client::{Answer, Client, headers};
use super::settings::KafkaSettings;
use crate::delivery::Stop;
use crate::delivery::account::Account;
use crate::expose::write_flat;
use crate::sinks::SinkCounts;
use crate::store::Store;
use crate::vital;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::BaseRecord;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of messages that may wait: of a host with the most series that are allowed a period or two.
const QUEUE_BYTES: usize = 32 << 20;
/// Given up after this time, as gala-gopher gives up a row that it could not send (`imdb.record_timeout`).
const TIMEOUT_MS: u64 = 60_000;
/// Between two looks at answers that have not come, and at what is wrong.
const PACE: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_secs(1);
/// How long what is on its way may still arrive at the end.
const LAST: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_secs(10);

/// Messages of one period of one feature.
#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Where each message ends, and its table.
    ends: Vec<(usize, &'static str)>,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    counts: Arc<SinkCounts>,
}

/// The channel. Dropping it without [`MetricKafka::close`] leaves the thread to end by itself.
#[derive(Debug)]
pub struct MetricKafka {
    shared: Arc<Shared>,
    settings: KafkaSettings,
    machine: String,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl MetricKafka {
    /// Starts the thread. Switches the per-period view of `store` on.
    pub fn open(
        store: &Store,
        settings: KafkaSettings,
        (machine, host): (&str, &str),
        counts: Arc<SinkCounts>,
        account: Arc<Account>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { counts, ..Shared::default() });
        let stop = Stop::default();
        let sender = Sender {
            shared: Arc::clone(&shared),
            settings: settings.clone(),
            host: host.to_owned(),
            account,
            stop: stop.clone(),
        };
        let thread = vital::spawn("kafka-metrics", move || sender.run())?;
        store.want_periods();
        Ok(Self { shared, settings, machine: machine.to_owned(), stop, thread })
    }

    /// A batch that ended a period of `feature` was taken into `store`. Never blocks.
    pub fn period_ended(&self, store: &Store, feature: &str) {
        let mut piece = Piece::default();
        store.period_rows(feature, &mut |row| {
            write_flat(row, &self.machine, &mut piece.bytes);
            piece.ends.push((piece.bytes.len(), row.table().name));
        });
        if piece.ends.is_empty() {
            return;
        }
        let counts = &self.shared.counts;
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.bytes += piece.bytes.len();
        queue.pieces.push_back(piece);
        // A single piece stays however long it is: the store's limits bound it.
        while queue.bytes > QUEUE_BYTES && queue.pieces.len() > 1 {
            let Some(oldest) = queue.pieces.pop_front() else { break };
            queue.bytes -= oldest.bytes.len();
            counts.dropped.fetch_add(oldest.ends.len() as u64, Relaxed);
        }
        counts.waiting.store(queue.pieces.len() as u64, Relaxed);
        counts.waiting_bytes.store(queue.bytes as u64, Relaxed);
        drop(queue);
        self.shared.more.notify_one();
    }

    /// What it was opened with.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Sends what waits. `false` if that took longer than `deadline`; the thread then goes on alone.
    pub fn close(self, deadline: Duration) -> bool {
        self.stop.set();
        self.shared.more.notify_one();
        let end = Instant::now() + deadline;
        while !self.thread.is_finished() && Instant::now() < end {
            std::thread::sleep(PACE);
        }
        self.thread.is_finished()
    }
}

#[derive(Debug)]
struct Sender {
    shared: Arc<Shared>,
    settings: KafkaSettings,
    host: String,
    account: Arc<Account>,
    stop: Stop,
}

/// Why a producer is not used any more.
#[derive(Debug)]
enum End {
    Stopped,
    Dead,
    /// Brokers refuse batches of this size.
    TooLarge,
}

impl Sender {
    fn run(self) {
        let mut batching = self.settings.batching();
        loop {
            let client = Client::new(&self.settings, TIMEOUT_MS, &batching, &self.account);
            let why = match client.map(|client| self.serve(&client, &batching)) {
                Ok(End::Stopped) => return,
                Ok(End::TooLarge) => {
                    batching.shrink();
                    continue;
                }
                Ok(End::Dead) => "the producer has failed and is made anew".into(),
                Err(fault) => fault,
            };
            if self.account.fail(why.clone()) {
                tracing::error!("Kafka metrics: {why}");
            }
            self.wait(RETRY);
            if self.stop.is_set() {
                return;
            }
        }
    }

    fn wait(&self, time: Duration) -> bool {
        let queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |queue: &mut Queue| queue.pieces.is_empty() && !self.stop.is_set();
        let waited = self.shared.more.wait_timeout_while(queue, time, empty);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Sends with one producer until there is a reason for another one, or it was told to end.
    fn serve(&self, client: &Client, batching: &Batching) -> End {
        let (mut answers, mut on_way, mut last, mut too_large) = (Vec::new(), 0, None, false);
        loop {
            let piece = self.take();
            if let Some(piece) = &piece {
                let mut from = 0;
                for (end, table) in &piece.ends {
                    let message = piece.bytes.get(from..*end).unwrap_or_default();
                    from = *end;
                    let sent = self.send(client, table, message, &mut answers, &mut on_way);
                    on_way += usize::from(sent);
                }
            }
            client.poll(&mut answers);
            self.count(client, &answers, &mut on_way);
            let failed = answers.iter().filter_map(|answer| answer.failed);
            too_large |=
                failed.into_iter().any(|(code, bytes)| batching::is_size(code) && !batching.was_alone(bytes));
            if client.is_dead() {
                self.shared.counts.failed.fetch_add(on_way as u64, Relaxed);
                return End::Dead;
            }
            // What is lost of it is counted; the next period goes in smaller batches.
            if on_way == 0 && too_large {
                return End::TooLarge;
            }
            if piece.is_some() {
                continue;
            }
            if self.stop.is_set() {
                // What brokers do not take by then is lost, or a producer that cannot reach them would go on beside the next.
                let end = *last.get_or_insert_with(|| Instant::now() + LAST);
                if on_way == 0 || Instant::now() >= end {
                    self.shared.counts.failed.fetch_add(on_way as u64, Relaxed);
                    return End::Stopped;
                }
            }
            if on_way > 0 && answers.is_empty() {
                std::thread::sleep(PACE);
            } else if on_way == 0 {
                self.wait(IDLE);
            }
        }
    }

    fn take(&self) -> Option<Piece> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = queue.pieces.pop_front()?;
        queue.bytes -= piece.bytes.len();
        self.shared.counts.waiting.store(queue.pieces.len() as u64, Relaxed);
        self.shared.counts.waiting_bytes.store(queue.bytes as u64, Relaxed);
        Some(piece)
    }

    /// Hands one message to the client, waiting for room there. Says whether it is on its way.
    fn send(
        &self,
        client: &Client,
        table: &str,
        message: &[u8],
        answers: &mut Vec<Answer>,
        on_way: &mut usize,
    ) -> bool {
        loop {
            let record = BaseRecord::with_opaque_to(&self.settings.metric_topic, 0)
                .key(table)
                .payload(message)
                .headers(headers(&self.host, None));
            match client.producer().send(record) {
                Ok(()) => return true,
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                    if self.stop.is_set() {
                        break;
                    }
                    client.poll(answers);
                    self.count(client, answers, on_way);
                    if answers.is_empty() {
                        std::thread::sleep(PACE);
                    }
                }
                Err((error, _)) => {
                    tracing::debug!(%error, "a metric message cannot be sent");
                    break;
                }
            }
        }
        self.shared.counts.failed.fetch_add(1, Relaxed);
        false
    }

    fn count(&self, client: &Client, answers: &[Answer], on_way: &mut usize) {
        let counts = &self.shared.counts;
        let delivered = answers.iter().filter(|answer| answer.failed.is_none()).count();
        let failed = answers.len() - delivered;
        *on_way = on_way.saturating_sub(answers.len());
        counts.written.fetch_add(delivered as u64, Relaxed);
        counts.failed.fetch_add(failed as u64, Relaxed);
        if delivered > 0 {
            client.context().well();
        } else if let Some((code, _)) = answers.iter().find_map(|answer| answer.failed) {
            client.context().trouble(self.account.trouble().unwrap_or_else(|| code.to_string()));
        }
    }
}
