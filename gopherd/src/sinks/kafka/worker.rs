//! The thread that brings events and metadata from the spool to the brokers.
//!
//! Sends as much as may be on its way, moves the cursor with the brokers' answers, and begins again at the cursor when
//! something failed that may be mended. Never gives a message up but for what is wrong with that message itself.

use super::batching::Batching;
use super::client::{Answer, Client, headers};
use super::keys::{self, Keys};
use super::meaning::{self, Verdict};
use super::settings::KafkaSettings;
use crate::delivery::account::{Account, Loss};
use crate::delivery::spool::{Reader, Record, Ticket};
use crate::delivery::{Stop, Stream};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::BaseRecord;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of the log that may be on their way: more would only wait in memory instead of on the disk.
const IN_FLIGHT: u64 = 32 << 20;
/// Records that are sent before answers are looked at.
const BURST: usize = 1000;
/// Between two looks at answers that have not come.
const PACE: Duration = Duration::from_millis(2);
/// The same once they have not come for a while.
const SLOW_PACE: Duration = Duration::from_millis(50);
/// librdkafka tells what is wrong while it is polled.
const IDLE: Duration = Duration::from_secs(1);
/// Between two questions whether brokers that did not work do by now.
const ASK: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(1);
/// How long what is on its way may still arrive at the end.
const LAST: Duration = Duration::from_millis(500);
const BACKOFF: std::ops::Range<Duration> = Duration::from_secs(1)..Duration::from_secs(30);

/// What the thread works with.
#[derive(Debug)]
pub struct Worker {
    /// What is sent.
    pub reader: Reader,
    /// To whom.
    pub settings: KafkaSettings,
    /// The header `host`.
    pub host: String,
    /// Ends it.
    pub stop: Stop,
}

/// Why a producer is not used any more.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was told to end.
    Stopped,
    /// Those that had to be sent alone are settled.
    Checked,
    /// A batch of several messages was refused.
    Refused(Code),
    /// A message was given up, and with it the producer, so that nothing overtook what was behind it.
    GaveUp,
    /// Something that may be mended.
    Failed(String),
}

/// What became of the messages of one producer, as far as it decides what is next.
#[derive(Debug, Default)]
struct Outcome {
    /// A batch of several messages was refused.
    refused: Option<Code>,
    /// A message was given up.
    gave_up: bool,
    /// Something failed that may be mended.
    again: Option<Code>,
    /// The last message that was sent.
    last: u64,
    /// What the brokers know of the producer.
    keys: Keys,
    /// What is next must wait for answers.
    held: bool,
}

impl Outcome {
    fn is_over(&self) -> bool {
        self.refused.is_some() || self.again.is_some()
    }

    /// What it amounts to once nothing is on its way any more. The first cause counts: behind a refused message others
    /// fail too.
    fn end(&self) -> End {
        match (self.refused, self.gave_up, self.again) {
            (Some(code), ..) => End::Refused(code),
            (None, true, _) => End::GaveUp,
            (None, false, Some(code)) => End::Failed(format!("messages do not arrive: {code}")),
            (None, false, None) => End::Failed("the producer has failed and is made anew".into()),
        }
    }
}

impl Worker {
    /// Works until it is told to end.
    pub fn run(mut self) {
        let (mut backoff, mut batching) = (BACKOFF.start, self.settings.batching());
        while !self.stop.is_set() {
            let account = Arc::clone(self.reader.account());
            let mut outcome = Outcome::default();
            let end = match Client::new(&self.settings, 0, &batching, &account) {
                Ok(client) => self.serve(&client, &batching, &mut backoff, &mut outcome),
                Err(fault) => End::Failed(fault),
            };
            self.reader.rewind();
            match end {
                End::Stopped | End::GaveUp => {}
                End::Checked => batching.together(),
                End::Refused(code) => {
                    batching.refused(code, outcome.last);
                    tracing::warn!("Kafka: a batch is refused ({code}); it is sent again with {batching}");
                }
                End::Failed(why) => {
                    self.tell(&account, why);
                    self.rest(backoff);
                    backoff = (backoff * 2).min(BACKOFF.end);
                }
            }
        }
    }

    fn tell(&self, account: &Account, why: String) {
        if account.fail(why.clone()) {
            tracing::error!("Kafka: {why}");
        }
    }

    /// Waits, and takes notice of what the log drops meanwhile.
    fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while !self.stop.is_set() && Instant::now() < end {
            self.reader.pause(end.saturating_duration_since(Instant::now()));
            self.reader.commit();
        }
    }

    /// Sends with one producer until there is a reason for another one.
    fn serve(
        &mut self,
        client: &Client,
        batching: &Batching,
        backoff: &mut Duration,
        outcome: &mut Outcome,
    ) -> End {
        let mut answers: Vec<Answer> = Vec::new();
        let mut quiet_since = Instant::now();
        let mut ask_at = Some(Instant::now());
        while !self.stop.is_set() {
            let sent = match self.send(client, batching, outcome) {
                Ok(sent) => sent,
                Err(why) => return End::Failed(why),
            };
            client.poll(&mut answers);
            if self.settle(client, &answers, batching, outcome) > 0 {
                (*backoff, ask_at) = (BACKOFF.start, None);
            }
            if outcome.is_over() || client.is_dead() {
                client.hold();
                self.finish(client, batching, outcome);
                return outcome.end();
            }
            let now = Instant::now();
            if sent > 0 || !answers.is_empty() {
                quiet_since = now;
                continue;
            }
            let idle = self.reader.unsettled() == 0;
            if idle && batching.is_alone() {
                return End::Checked;
            }
            if idle && ask_at.is_none() && self.reader.account().trouble().is_some() {
                ask_at = Some(now);
            }
            if idle && ask_at.is_some_and(|at| at <= now) {
                ask_at = self.ask(client).then(|| Instant::now() + ASK);
                continue;
            }
            let pace = if idle {
                IDLE
            } else if now.duration_since(quiet_since) > IDLE {
                SLOW_PACE
            } else {
                PACE
            };
            match outcome.held || self.full(client) {
                true => self.reader.pause(pace),
                false => self.reader.wait(pace),
            }
        }
        self.finish(client, batching, outcome);
        End::Stopped
    }

    /// Asks whether the brokers are there. Says whether to ask again.
    fn ask(&self, client: &Client) -> bool {
        match client.ask(self.topic(Stream::Event), ANSWER) {
            Ok(()) => {
                client.context().well();
                false
            }
            Err(why) => {
                // What the client told by itself says more.
                client.context().trouble(self.reader.account().trouble().unwrap_or(why));
                true
            }
        }
    }

    fn topic(&self, stream: Stream) -> &str {
        match stream {
            Stream::Event => &self.settings.event_topic,
            Stream::Metadata => &self.settings.meta_topic,
        }
    }

    /// As much as may be on its way is.
    fn full(&self, client: &Client) -> bool {
        self.reader.unsettled() >= client.settings().most_messages || self.reader.holds(IN_FLIGHT)
    }

    /// Hands a burst of records to the client; how many.
    fn send(&mut self, client: &Client, batching: &Batching, outcome: &mut Outcome) -> Result<usize, String> {
        let mut sent = 0;
        outcome.held = false;
        while sent < BURST && !self.full(client) {
            let peeked = self.reader.peek().map_err(|error| format!("the spool cannot be read: {error}"))?;
            let Some((ticket, record)) = peeked else { break };
            let topic = match record.stream {
                Stream::Event => &self.settings.event_topic,
                Stream::Metadata => &self.settings.meta_topic,
            };
            let key = keys::name(topic, record.key.as_bytes());
            outcome.held = !batching.takes(record.seq) || !outcome.keys.may_send(key);
            if outcome.held {
                break;
            }
            outcome.last = record.seq;
            match produce(client, topic, &self.host, ticket, &record) {
                Ok(()) => {
                    outcome.keys.sent(key);
                    self.reader.take();
                }
                // What became of those before it says more.
                Err(Code::QueueFull | Code::Fatal) => break,
                Err(code) if meaning::of_message(code) == Verdict::GiveUp => {
                    if let Some(ticket) = self.reader.take() {
                        self.give_up(ticket, code);
                    }
                }
                Err(code) => return Err(format!("a message cannot be sent: {code}")),
            }
            sent += 1;
        }
        Ok(sent)
    }

    /// Settles what was answered and moves the cursor; how many were delivered. A message that is refused is given up only
    /// where no other one can have been meant.
    fn settle(
        &mut self,
        client: &Client,
        answers: &[Answer],
        batching: &Batching,
        outcome: &mut Outcome,
    ) -> u64 {
        let mut delivered = 0;
        for Answer { name, key, failed } in answers {
            let ticket = *name as Ticket;
            outcome.keys.answered(*key, failed.is_none());
            match failed.map(|(code, bytes)| (code, meaning::of_message(code), bytes)) {
                None => delivered += u64::from(self.reader.settle(ticket)),
                Some((code, Verdict::GiveUp, bytes)) if batching.was_alone(bytes) => {
                    outcome.gave_up = true;
                    self.give_up(ticket, code);
                }
                Some((code, Verdict::GiveUp, _)) => outcome.refused = outcome.refused.or(Some(code)),
                Some((_, Verdict::TakenBack, _)) => {}
                Some((code, Verdict::Again, _)) => outcome.again = outcome.again.or(Some(code)),
            }
        }
        // Told before the cursor says so: whoever waits for the cursor finds the account right.
        if delivered > 0 {
            self.reader.account().deliver(delivered);
            client.context().well();
        }
        self.reader.commit();
        delivered
    }

    fn give_up(&mut self, ticket: Ticket, code: Code) {
        if self.reader.settle(ticket) {
            self.reader.account().lose(Loss::Rejected, 1);
            tracing::warn!("Kafka: one message is given up: {code}");
        }
    }

    /// What is on its way may still arrive; what does not is sent again by the next one.
    fn finish(&mut self, client: &Client, batching: &Batching, outcome: &mut Outcome) {
        let end = Instant::now() + LAST;
        let mut answers = Vec::new();
        while client.on_its_way() && Instant::now() < end {
            client.producer().poll(PACE);
            client.poll(&mut answers);
            self.settle(client, &answers, batching, outcome);
        }
    }
}

fn produce(
    client: &Client,
    topic: &str,
    host: &str,
    ticket: Ticket,
    record: &Record<'_>,
) -> Result<(), Code> {
    let name = usize::try_from(ticket).unwrap_or(usize::MAX);
    let message = BaseRecord::with_opaque_to(topic, name)
        .key(record.key)
        .payload(record.document)
        .timestamp(i64::try_from(record.at_ms).unwrap_or(i64::MAX))
        .headers(headers(host, Some(record.seq)));
    client.producer().send(message).map_err(|(error, _)| match error {
        KafkaError::MessageProduction(code) => code,
        other => other.rdkafka_error_code().unwrap_or(Code::Unknown),
    })
}
