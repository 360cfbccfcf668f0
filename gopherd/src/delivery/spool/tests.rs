//! The log against a model, and each kind of end by itself.

use super::*;
use crate::config::{Fsync, WhenFull};
use crate::delivery::account::{Account, Loss};
use crate::delivery::{Message, Stream};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

mod damage;

const MIB: u64 = 1 << 20;

fn message(seq: u64, size: usize) -> Message {
    let document = format!("{{\"seq\":{seq},\"fill\":\"{}\"}}", "x".repeat(size));
    Message {
        stream: Stream::Event,
        key: format!("k{}", seq % 3).into(),
        document: document.into_bytes().into(),
        at_ms: seq,
        live_only: false,
    }
}

fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        max_bytes: MIB,
        fsync: Fsync::Interval,
        fsync_interval: Duration::from_millis(10),
    }
}

fn sink(name: &str, route: Route, policy: WhenFull) -> SinkOptions {
    SinkOptions { name: name.into(), route, policy, account: Arc::default() }
}

fn kafka() -> SinkOptions {
    sink("kafka", Route::Kafka, WhenFull::DropOldest)
}

fn open(folder: &Path, sinks: &[SinkOptions]) -> Spool {
    Spool::open(options(folder), Arc::default(), sinks).expect("opened")
}

fn to_kafka() -> Routes {
    Routes::NONE.with(Route::Kafka)
}

fn append(spool: &Spool, seqs: std::ops::RangeInclusive<u64>, routes: Routes, size: usize) {
    let messages: Vec<_> = seqs.map(|seq| (seq, message(seq, size))).collect();
    spool.append(messages.iter().map(|(seq, message)| (*seq, routes, message)));
}

/// Takes what there is and settles it; the numbers.
fn drain(reader: &mut Reader) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some((_, record)) = reader.peek().expect("read") {
        assert_eq!(
            record.document,
            &*message(record.seq, record.document.len() - empty(record.seq)).document
        );
        seen.push(record.seq);
        let ticket = reader.take().expect("peeked");
        assert!(reader.settle(ticket));
    }
    reader.commit();
    seen
}

fn empty(seq: u64) -> usize {
    message(seq, 0).document.len()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    let mut names: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "spool")).collect();
    names.sort();
    names
}

#[test]
fn each_sink_gets_what_is_for_it_in_order_and_a_slow_one_holds_nobody_back() {
    let folder = tempfile::tempdir().expect("folder");
    let sinks = [kafka(), sink("hook", Route::Webhook, WhenFull::DropOldest)];
    let spool = open(folder.path(), &sinks);
    let mut kafka = spool.reader("kafka").expect("known");
    append(&spool, 1..=5, to_kafka(), 10);
    append(&spool, 6..=7, Routes::NONE.with(Route::Webhook), 10);
    append(&spool, 8..=9, to_kafka().with(Route::Webhook), 10);
    assert_eq!(drain(&mut kafka), [1, 2, 3, 4, 5, 8, 9]);
    let status = spool.status("hook").expect("known");
    assert_eq!((status.records, status.oldest_ms), (4, Some(1)), "the age of the segment until it is read");
    let mut hook = spool.reader("hook").expect("known");
    assert_eq!(drain(&mut hook), [6, 7, 8, 9]);
    assert_eq!(spool.status("hook").map(|status| (status.records, status.bytes)), Some((0, 0)));
}

#[test]
fn after_a_restart_it_goes_on_behind_the_cursor_and_with_the_next_number() {
    let folder = tempfile::tempdir().expect("folder");
    for round in 0..3 {
        let spool = open(folder.path(), &[kafka()]);
        assert_eq!(spool.last_seq(), round * 10);
        let mut reader = spool.reader("kafka").expect("known");
        let first = round * 10 + 1;
        append(&spool, first..=first + 9, to_kafka(), 10);
        let before: Vec<u64> = if round == 0 { vec![] } else { vec![first - 2, first - 1] };
        let expected: Vec<u64> = before.into_iter().chain(first..=first + 7).collect();
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            seen.push(reader.peek().expect("read").expect("there").1.seq);
            let ticket = reader.take().expect("peeked");
            reader.settle(ticket);
        }
        assert_eq!(seen, expected);
        reader.commit();
    }
}

#[test]
fn what_was_not_settled_comes_again_after_a_rewind_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = open(folder.path(), &[kafka()]);
    let mut reader = spool.reader("kafka").expect("known");
    append(&spool, 1..=4, to_kafka(), 10);
    let tickets: Vec<_> = (0..4)
        .map(|_| {
            reader.peek().expect("read").expect("there");
            reader.take().expect("peeked")
        })
        .collect();
    reader.settle(tickets[0]);
    reader.settle(tickets[2]);
    reader.rewind();
    assert!(!reader.settle(tickets[1]), "an answer of before the rewind means nothing");
    assert_eq!(reader.peek().expect("read").map(|(_, record)| record.seq), Some(2));
    drop((reader, spool));
    let spool = open(folder.path(), &[kafka()]);
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")), [2, 3, 4]);
}

#[test]
fn what_was_settled_does_not_come_again_after_a_rewind_nor_after_two() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = open(folder.path(), &[kafka()]);
    let mut reader = spool.reader("kafka").expect("known");
    append(&spool, 1..=8, to_kafka(), 10);
    let take = |reader: &mut Reader, count: usize| -> Vec<(u64, Ticket)> {
        (0..count)
            .map(|_| {
                let seq = reader.peek().expect("read").expect("there").1.seq;
                (seq, reader.take().expect("peeked"))
            })
            .collect()
    };
    let tickets = take(&mut reader, 8);
    for seq in [2, 3, 5, 7] {
        reader.settle(tickets[seq - 1].1);
    }
    reader.rewind();
    let again = take(&mut reader, 2);
    assert_eq!(again.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 4]);
    reader.settle(again[1].1);
    reader.rewind();
    assert_eq!(drain(&mut reader), [1, 6, 8]);
    assert_eq!(spool.status("kafka").map(|status| status.records), Some(0));
}

#[test]
fn a_sink_that_has_never_settled_anything_finds_everything_after_a_kill() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = open(folder.path(), &[kafka()]);
    append(&spool, 1..=5, to_kafka(), 10);
    drop(spool);
    let spool = open(folder.path(), &[kafka(), sink("late", Route::Kafka, WhenFull::DropOldest)]);
    append(&spool, 6..=6, to_kafka(), 10);
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        drain(&mut spool.reader("late").expect("known")),
        [6],
        "what was accepted before is not for it"
    );
}

#[test]
fn segments_that_everybody_has_passed_go() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = open(folder.path(), &[kafka()]);
    let mut reader = spool.reader("kafka").expect("known");
    append(&spool, 1..=500, to_kafka(), 1000);
    assert!(segments(folder.path()).len() > 4);
    assert_eq!(drain(&mut reader).len(), 500);
    assert_eq!(segments(folder.path()).len(), 1);
    assert!(spool.bytes() < 200 << 10);
}

#[test]
fn a_full_log_drops_the_oldest_of_whoever_lags_and_counts_each_once() {
    let folder = tempfile::tempdir().expect("folder");
    let (fast, slow) = (kafka(), sink("hook", Route::Webhook, WhenFull::DropOldest));
    let spool = open(folder.path(), &[fast.clone(), slow.clone()]);
    let mut kafka = spool.reader("kafka").expect("known");
    let mut hook = spool.reader("hook").expect("known");
    let both = to_kafka().with(Route::Webhook);
    // Taken and not settled: it is in the sink's hands, whatever becomes of its segment.
    append(&spool, 1..=1, both, 1000);
    hook.peek().expect("read").expect("there");
    let ticket = hook.take().expect("peeked");
    let mut seen = Vec::new();
    for start in (2..=3001).step_by(100) {
        append(&spool, start..=start + 99, both, 1000);
        seen.extend(drain(&mut kafka));
        assert!(spool.bytes() <= MIB, "{}", spool.bytes());
    }
    assert_eq!(seen, (1..=3001).collect::<Vec<_>>());
    assert_eq!(fast.account.lost(Loss::SpoolFull), 0);
    hook.settle(ticket);
    let rest = drain(&mut hook);
    assert_eq!(slow.account.lost(Loss::SpoolFull) + rest.len() as u64, 3000);
    assert_eq!(*rest.last().expect("some"), 3001);
}

#[test]
fn what_was_dropped_before_a_restart_is_counted_after_it_but_not_twice() {
    for in_hand in [false, true] {
        let folder = tempfile::tempdir().expect("folder");
        let first = kafka();
        let spool = open(folder.path(), std::slice::from_ref(&first));
        let mut reader = spool.reader("kafka").expect("known");
        append(&spool, 1..=3, to_kafka(), 1000);
        if in_hand {
            reader.peek().expect("read").expect("there");
            reader.take();
        }
        append(&spool, 4..=2000, to_kafka(), 1000);
        reader.commit();
        let counted = first.account.lost(Loss::SpoolFull);
        assert!(counted > 500);
        drop((reader, spool));
        let second = kafka();
        let spool = open(folder.path(), std::slice::from_ref(&second));
        let rest = drain(&mut spool.reader("kafka").expect("known")).len() as u64;
        assert_eq!(counted + second.account.lost(Loss::SpoolFull) + rest, 2000, "in hand: {in_hand}");
        assert_eq!(second.account.lost(Loss::SpoolFull), u64::from(in_hand));
    }
}

#[test]
fn block_makes_the_writer_wait_until_its_sink_has_come_on_and_no_longer_than_the_end() {
    let folder = tempfile::tempdir().expect("folder");
    let waits = sink("kafka", Route::Kafka, WhenFull::Block);
    let spool =
        Arc::new(open(folder.path(), &[waits.clone(), sink("hook", Route::Webhook, WhenFull::DropOldest)]));
    let mut reader = spool.reader("kafka").expect("known");
    let writer = {
        let spool = Arc::clone(&spool);
        std::thread::Builder::new().spawn(move || append(&spool, 1..=3000, to_kafka(), 1000)).expect("thread")
    };
    let mut seen = 0;
    while seen < 3000 {
        reader.wait(Duration::from_secs(60));
        seen += drain(&mut reader).len();
    }
    writer.join().expect("ended");
    assert_eq!(waits.account.lost(Loss::SpoolFull), 0);
    let writer = {
        let spool = Arc::clone(&spool);
        std::thread::Builder::new()
            .spawn(move || append(&spool, 3001..=6000, to_kafka(), 1000))
            .expect("thread")
    };
    while spool.bytes() < 900 << 10 {
        std::thread::yield_now();
    }
    spool.close();
    writer.join().expect("ended");
    let stopped = waits.account.lost(Loss::Stopped);
    assert!(stopped > 0);
    assert_eq!(drain(&mut reader).len() as u64 + stopped, 3000);
}

#[test]
fn a_sink_that_is_removed_or_purged_gives_up_what_waited_and_says_how_much() {
    let folder = tempfile::tempdir().expect("folder");
    let first = kafka();
    let spool = open(folder.path(), std::slice::from_ref(&first));
    let mut reader = spool.reader("kafka").expect("known");
    append(&spool, 1..=10, to_kafka(), 10);
    reader.peek().expect("read").expect("there");
    let old = reader.take().expect("peeked");
    assert_eq!(spool.purge("kafka"), Some(10));
    append(&spool, 11..=12, to_kafka(), 10);
    reader.commit();
    assert!(!reader.settle(old));
    assert_eq!(drain(&mut reader), [11, 12]);
    assert_eq!(spool.purge("nobody"), None);
    append(&spool, 13..=14, to_kafka(), 10);
    spool.remove("kafka");
    assert_eq!((first.account.lost(Loss::Purged), first.account.lost(Loss::ChannelRemoved)), (10, 2));
    assert!(spool.reader("kafka").is_none() && reader.peek().is_ok());
    spool.add(&first).expect("added");
    append(&spool, 15..=15, to_kafka(), 10);
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")), [15]);
}

#[test]
fn a_folder_that_cannot_be_written_loses_and_counts_and_comes_back_by_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let own = Arc::<Account>::default();
    let first = kafka();
    let spool = Spool::open(options(folder.path()), Arc::clone(&own), std::slice::from_ref(&first));
    let spool = spool.expect("opened");
    append(&spool, 1..=60, to_kafka(), 1000);
    let away = folder.path().with_extension("away");
    fs::rename(folder.path(), &away).expect("moved");
    append(&spool, 61..=200, to_kafka(), 1000);
    assert!(own.trouble().is_some());
    fs::rename(&away, folder.path()).expect("moved back");
    append(&spool, 201..=210, to_kafka(), 1000);
    assert_eq!(own.trouble(), None);
    let seen = drain(&mut spool.reader("kafka").expect("known"));
    assert_eq!(seen.len() as u64 + first.account.lost(Loss::WriteFailed), 210);
    assert!(seen.ends_with(&(201..=210).collect::<Vec<_>>()));
}

#[test]
fn a_message_longer_than_a_record_is_counted_and_the_others_go() {
    let folder = tempfile::tempdir().expect("folder");
    let first = kafka();
    let spool = open(folder.path(), std::slice::from_ref(&first));
    for (seq, size) in [(1, 10), (2, 300 << 10), (3, 2 << 20), (4, 10)] {
        append(&spool, seq..=seq, to_kafka(), size);
    }
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")), [1, 4]);
    assert_eq!(first.account.lost(Loss::TooLarge), 2);
}

#[test]
fn always_means_that_it_is_on_the_disk_when_append_returns() {
    let folder = tempfile::tempdir().expect("folder");
    let always = Options { fsync: Fsync::Always, ..options(folder.path()) };
    let spool = Spool::open(always, Arc::default(), &[kafka()]).expect("opened");
    append(&spool, 1..=200, to_kafka(), 1000);
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")).len(), 200);
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        count: u8,
        size: u16,
        both: bool,
    },
    /// Takes some and settles a part of them, in any order.
    Deliver {
        sink: bool,
        count: u8,
        keep_one_in: u8,
    },
    Rewind {
        sink: bool,
    },
    /// The process ends without a word; the file's end may be torn, with what was appended last.
    Crash {
        torn: u16,
    },
    Purge {
        sink: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..60u8, 0..3000u16, any::<bool>()).prop_map(|(count, size, both)| Step::Append { count, size, both }),
        4 => (any::<bool>(), 1..120u8, 1..6u8)
            .prop_map(|(sink, count, keep_one_in)| Step::Deliver { sink, count, keep_one_in }),
        1 => any::<bool>().prop_map(|sink| Step::Rewind { sink }),
        2 => prop_oneof![Just(0), 0..3000u16].prop_map(|torn| Step::Crash { torn }),
        1 => any::<bool>().prop_map(|sink| Step::Purge { sink }),
    ]
}

/// What one sink should have got.
#[derive(Default)]
struct Model {
    sent: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    torn: BTreeSet<u64>,
    lost: u64,
}

struct Run {
    folder: tempfile::TempDir,
    sinks: Vec<SinkOptions>,
    spool: Option<Spool>,
    readers: Vec<Reader>,
    held: Vec<Vec<Ticket>>,
    /// Where each sink is since its last rewind.
    last: Vec<u64>,
    models: Vec<Model>,
    next: u64,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            folder: tempfile::tempdir().expect("folder"),
            sinks: Vec::new(),
            spool: None,
            readers: Vec::new(),
            held: vec![Vec::new(); 2],
            last: vec![0; 2],
            models: vec![Model::default(), Model::default()],
            next: 1,
        };
        run.start();
        run
    }

    fn start(&mut self) {
        self.sinks = vec![kafka(), sink("hook", Route::Webhook, WhenFull::DropOldest)];
        let spool = open(self.folder.path(), &self.sinks);
        assert!(spool.bytes() <= MIB);
        self.readers = self.sinks.iter().map(|sink| spool.reader(&sink.name).expect("known")).collect();
        self.spool = Some(spool);
        (self.held, self.last) = (vec![Vec::new(); 2], vec![0; 2]);
    }

    fn stop(&mut self) {
        self.readers.clear();
        self.spool = None;
        for (model, sink) in self.models.iter_mut().zip(&self.sinks) {
            model.lost += Loss::ALL.iter().map(|loss| sink.account.lost(*loss)).sum::<u64>();
        }
    }

    fn step(&mut self, step: &Step) {
        let spool = self.spool.as_ref().expect("open");
        match *step {
            Step::Append { count, size, both } => {
                let routes = if both { to_kafka().with(Route::Webhook) } else { to_kafka() };
                let seqs = self.next..=self.next + u64::from(count) - 1;
                self.next = seqs.end() + 1;
                append(spool, seqs.clone(), routes, usize::from(size));
                self.models[0].sent.extend(seqs.clone());
                if both {
                    self.models[1].sent.extend(seqs);
                }
                assert!(spool.bytes() <= MIB);
            }
            Step::Deliver { sink, count, keep_one_in } => {
                let at = usize::from(sink);
                let reader = &mut self.readers[at];
                for _ in 0..count {
                    let Some((_, record)) = reader.peek().expect("read") else { break };
                    assert!(record.seq > self.last[at], "in order");
                    self.last[at] = record.seq;
                    // Handed over is delivered; whether the answer comes is another matter.
                    self.models[at].delivered.insert(record.seq);
                    self.held[at].push(reader.take().expect("peeked"));
                }
                let mut number = 0;
                self.held[at].retain(|ticket| {
                    number += 1;
                    let keep = keep_one_in > 1 && number % keep_one_in == 0;
                    if !keep {
                        reader.settle(*ticket);
                    }
                    keep
                });
                reader.commit();
            }
            Step::Rewind { sink } => {
                let at = usize::from(sink);
                self.readers[at].rewind();
                self.held[at].clear();
                self.last[at] = 0;
            }
            Step::Purge { sink } => {
                let at = usize::from(sink);
                spool.purge(&self.sinks[at].name);
                self.readers[at].commit();
                self.held[at].clear();
            }
            Step::Crash { torn } => {
                self.stop();
                let path = segments(self.folder.path()).pop().expect("one");
                let file = OpenOptions::new().write(true).open(path).expect("opened");
                let length = file.metadata().expect("there").len();
                file.set_len(length.saturating_sub(u64::from(torn))).expect("cut");
                self.start();
                // What was torn off was on no disk yet.
                let last = self.spool.as_ref().expect("open").last_seq();
                for model in &mut self.models {
                    let torn: Vec<u64> = model.sent.range(last + 1..).copied().collect();
                    model.torn.extend(torn);
                }
            }
        }
    }

    fn finish(mut self) {
        for at in 0..2 {
            self.readers[at].rewind();
            let seen = drain(&mut self.readers[at]);
            assert!(seen.is_sorted());
            self.models[at].delivered.extend(seen);
            let status = self.spool.as_ref().expect("open").status(&self.sinks[at].name);
            assert_eq!(status.map(|status| status.records), Some(0));
        }
        self.stop();
        for model in &self.models {
            let missing: BTreeMap<u64, ()> =
                model.sent.difference(&model.delivered).map(|seq| (*seq, ())).collect();
            let unknown = missing.keys().filter(|seq| !model.torn.contains(seq)).count() as u64;
            assert!(unknown <= model.lost, "{unknown} are missing, {} are counted", model.lost);
            assert!(model.delivered.is_subset(&model.sent), "nothing is made up");
        }
    }
}

/// Each is a few hundred files: fewer than usual unless somebody asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_message_is_delivered_in_order_or_counted(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        run.finish();
    }
}
