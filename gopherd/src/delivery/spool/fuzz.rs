//! What holds of a spool whose files are any bytes: it opens, takes a message, and gives it back.

use super::position::{MOST, Position};
use super::{Options, Route, Routes, SinkOptions, Spool, record, segment};
use crate::config::{Fsync, WhenFull};
use crate::delivery::{Message, Stream};
use std::sync::Arc;
use std::time::Duration;

/// A place, and how much behind it is counted.
const KEPT: usize = Position::BYTES + 8;

/// Files of a spool: the place where the segment begins, what a cursor keeps, then the records. Checksums are made
/// here, because a fuzzer does not guess them: that of a record, if the byte before its length is odd.
pub(crate) fn files(bytes: &[u8]) {
    record::any_bytes(bytes);
    let Some((before, rest)) = bytes.split_first_chunk::<{ Position::BYTES }>() else { return };
    let Some((kept, mut rest)) = rest.split_first_chunk::<KEPT>() else { return };
    let mut segment = segment::sealed(before);
    while let Some(([kind, length], more)) = rest.split_first_chunk::<2>() {
        let (body, behind) = more.split_at(more.len().min(usize::from(*length)));
        segment.extend(if kind % 2 == 1 { record::sealed(body) } else { body.to_vec() });
        rest = behind;
    }
    let cursor = [kept.to_vec(), crc32fast::hash(kept).to_le_bytes().to_vec()].concat();

    // In memory where that is possible: what is forced to a disk thousands of times wears it.
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("a folder");
    std::fs::write(folder.path().join("1.spool"), segment).expect("written");
    std::fs::write(folder.path().join("kafka.cursor"), cursor).expect("written");
    check(folder.path());
    // What the first opening left is a spool as well.
    check(folder.path());
}

fn check(folder: &std::path::Path) {
    let sink = SinkOptions {
        name: "kafka".to_owned(),
        route: Route::Kafka,
        policy: WhenFull::DropOldest,
        account: Arc::default(),
    };
    let options = Options {
        folder: folder.to_owned(),
        max_bytes: 1 << 20,
        fsync: Fsync::Interval,
        fsync_interval: Duration::from_secs(3600),
    };
    let spool = Spool::open(options, Arc::default(), &[sink]).expect("a folder that can be written");
    let seq = spool.last_seq() + 1;
    if seq > MOST {
        // Such a log is at its end.
        return;
    }
    let message = Message {
        stream: Stream::Event,
        key: "k".into(),
        document: b"{}".as_slice().into(),
        at_ms: 1,
        live_only: false,
    };
    spool.append(std::iter::once((seq, Routes::NONE.with(Route::Kafka), &message)));
    let mut reader = spool.reader("kafka").expect("its sink");
    let mut last = None;
    while let Some((_, record)) = reader.peek().expect("files that can be read") {
        last = Some(record.seq);
        let ticket = reader.take().expect("peeked");
        assert!(reader.settle(ticket));
    }
    assert_eq!(last, Some(seq), "the message that was accepted is not there");
    reader.commit();
    let status = spool.status("kafka").expect("its sink");
    assert_eq!((status.records, status.seq), (0, seq));
}
