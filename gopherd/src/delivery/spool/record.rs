//! One record's bytes: length, checksum, then number, time, stream, routes, key and document.

use super::position::{MOST, Routes};
use crate::delivery::{Message, Stream};

/// Length and checksum of what follows.
const HEAD: usize = 8;
/// Number, time, stream, routes, length of the key.
const FIXED: usize = 8 + 8 + 1 + 1 + 1;

/// Longest record in bytes; a length beyond it is no length but damage. Event documents have about 1 KiB.
pub(super) const MAX: usize = 1 << 20;

/// A record as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its sequence number.
    pub seq: u64,
    /// When it happened, Unix time in ms.
    pub at_ms: u64,
    /// Its stream.
    pub stream: Stream,
    /// Where it goes.
    pub routes: Routes,
    /// The message's key.
    pub key: &'a str,
    /// The message's document.
    pub document: &'a [u8],
}

/// What stands at a place of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record, and its bytes together.
    Record(Record<'a>, usize),
    /// Damage of a length that can be believed: the next record may be behind it.
    Damaged(usize),
    /// Damage, and nothing says where it ends.
    Unreadable,
    /// The bytes end before the record does; so many would be needed, as far as is known.
    Cut(usize),
}

/// Appends the record of `message`; how many bytes, or `None` and nothing if it is longer than a record may be.
pub(super) fn encode(seq: u64, routes: Routes, message: &Message, out: &mut Vec<u8>) -> Option<usize> {
    let key_length = u8::try_from(message.key.len()).ok()?;
    let length = FIXED + message.key.len() + message.document.len();
    let length_bytes = u32::try_from(length).ok().filter(|_| length <= MAX - HEAD)?.to_le_bytes();
    let start = out.len();
    out.extend_from_slice(&length_bytes);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&message.at_ms.to_le_bytes());
    let stream = match message.stream {
        Stream::Event => 0,
        Stream::Metadata => 1,
    };
    out.extend_from_slice(&[stream, routes.bits(), key_length]);
    out.extend_from_slice(message.key.as_bytes());
    out.extend_from_slice(&message.document);
    let sum = checksum(length_bytes, &out[start + HEAD..]).to_le_bytes();
    out[start + 4..start + HEAD].copy_from_slice(&sum);
    Some(HEAD + length)
}

/// The length is summed too, so that a zeroed block is no record.
fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

/// What `bytes` begin with.
pub(super) fn decode(bytes: &[u8]) -> Found<'_> {
    let Some((length_bytes, rest)) = bytes.split_first_chunk::<4>() else { return Found::Cut(HEAD) };
    let length = u32::from_le_bytes(*length_bytes) as usize;
    if !(FIXED..=MAX - HEAD).contains(&length) {
        return Found::Unreadable;
    }
    let Some((sum, rest)) = rest.split_first_chunk::<4>() else { return Found::Cut(HEAD + length) };
    let Some(body) = rest.get(..length) else { return Found::Cut(HEAD + length) };
    if checksum(*length_bytes, body) != u32::from_le_bytes(*sum) {
        return Found::Damaged(HEAD + length);
    }
    match parts(body) {
        Some(record) => Found::Record(record, HEAD + length),
        // Whole, and of a version that is not this one.
        None => Found::Damaged(HEAD + length),
    }
}

/// The record in bytes that [`decode`] has found to be one.
pub(super) fn whole(bytes: &[u8]) -> Option<Record<'_>> {
    parts(bytes.get(HEAD..)?)
}

fn parts(body: &[u8]) -> Option<Record<'_>> {
    let (seq, body) = body.split_first_chunk::<8>()?;
    let (at_ms, body) = body.split_first_chunk::<8>()?;
    let ([stream, routes, key_length], body) = body.split_first_chunk::<3>()?;
    let (key, document) = body.split_at_checked(usize::from(*key_length))?;
    let seq = u64::from_le_bytes(*seq);
    (seq <= MOST).then_some(())?;
    Some(Record {
        seq,
        at_ms: u64::from_le_bytes(*at_ms),
        stream: match stream {
            0 => Stream::Event,
            1 => Stream::Metadata,
            _ => return None,
        },
        routes: Routes::from_bits(*routes)?,
        key: std::str::from_utf8(key).ok()?,
        document,
    })
}

/// What holds of any bytes: what is a record is written as it was read.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let Found::Record(record, size) = decode(bytes) else { return };
    assert_eq!(whole(&bytes[..size]), Some(record));
    let message = Message {
        stream: record.stream,
        key: record.key.into(),
        document: record.document.into(),
        at_ms: record.at_ms,
        live_only: false,
    };
    let mut written = Vec::new();
    assert_eq!(encode(record.seq, record.routes, &message, &mut written), Some(size));
    assert_eq!(written, bytes[..size]);
}

/// `body` with its length and its checksum.
#[cfg(any(test, feature = "testing"))]
pub(super) fn sealed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length[..], &checksum(length, body).to_le_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::super::position::Route;
    use super::*;
    use proptest::prelude::*;

    fn message(key: &str, document: &[u8]) -> Message {
        Message {
            stream: Stream::Metadata,
            key: key.into(),
            document: document.into(),
            at_ms: 77,
            live_only: false,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(
            key in "[a-zé]{0,100}", document in prop::collection::vec(any::<u8>(), 0..300), seq in 0..=MOST,
        ) {
            let mut bytes = Vec::new();
            let routes = Routes::NONE.with(Route::Webhook);
            let size = encode(seq, routes, &message(&key, &document), &mut bytes).expect("short enough");
            prop_assert_eq!(size, bytes.len());
            let record = Record {
                seq, at_ms: 77, stream: Stream::Metadata, routes, key: &key, document: &document,
            };
            prop_assert_eq!(decode(&bytes), Found::Record(record, size));
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_never_a_record(
            document in prop::collection::vec(any::<u8>(), 0..100), at: usize, bit in 0u8..8,
        ) {
            let mut bytes = Vec::new();
            encode(9, Routes::NONE, &message("k", &document), &mut bytes).expect("short enough");
            let cut = at % bytes.len();
            prop_assert!(matches!(decode(&bytes[..cut]), Found::Cut(_)));
            bytes[cut] ^= 1 << bit;
            prop_assert!(!matches!(decode(&bytes), Found::Record(..)));
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            decode(&bytes);
        }
    }

    #[test]
    fn a_number_that_no_log_reaches_is_damage_though_its_checksum_is_right() {
        let mut bytes = Vec::new();
        encode(u64::MAX, Routes::NONE, &message("k", b"{}"), &mut bytes).expect("short enough");
        assert_eq!(decode(&bytes), Found::Damaged(bytes.len()));
    }

    #[test]
    fn what_is_too_long_is_refused_and_leaves_nothing_behind() {
        let mut bytes = vec![1];
        assert_eq!(encode(1, Routes::NONE, &message(&"k".repeat(256), b"{}"), &mut bytes), None);
        assert_eq!(encode(1, Routes::NONE, &message("k", &vec![0; MAX]), &mut bytes), None);
        assert_eq!(bytes, [1]);
    }
}
