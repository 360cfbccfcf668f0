//! How much goes to a broker at a time: less once it has refused more. Pure.
//!
//! A broker takes a batch or refuses all of it. Batches that are too large become smaller until brokers take them, which
//! holds for as long as the worker does; for another reason the messages of the batch go alone, once. What a broker
//! refuses of a single message is said about that message.

use rdkafka::types::RDKafkaErrorCode as Code;
use std::fmt;

/// What a producer is told about batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batching {
    /// Most bytes of a batch; a longer message is a batch of its own.
    bytes: usize,
    /// Brokers have refused more than `bytes`.
    shrunk: bool,
    /// Up to this sequence number each message is a batch of its own, and none after it is sent.
    alone_until: Option<u64>,
}

impl Batching {
    /// Batches of at most `bytes`, as configured.
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, shrunk: false, alone_until: None }
    }

    /// librdkafka's properties for it, beyond the configured ones.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let size = self.shrunk.then(|| ("batch.size", self.bytes.to_string()));
        let alone = self.is_alone().then(|| ("batch.num.messages", "1".to_owned()));
        size.into_iter().chain(alone)
    }

    /// Whether each message is a batch of its own.
    pub(super) fn is_alone(&self) -> bool {
        self.alone_until.is_some()
    }

    /// Whether a message of `bytes` (key and document) was a batch of its own, so that an answer is about nothing else.
    pub(super) fn was_alone(&self, bytes: usize) -> bool {
        self.is_alone() || bytes > self.bytes
    }

    /// Whether the message `seq` may be sent.
    pub(super) fn takes(&self, seq: u64) -> bool {
        self.alone_until.is_none_or(|last| seq <= last)
    }

    /// A batch of several messages was refused, and `last` is the last one that was sent.
    pub(super) fn refused(&mut self, code: Code, last: u64) {
        if is_size(code) {
            self.shrink();
        } else {
            self.alone_until = Some(last);
        }
    }

    /// Half as much. Ends, because what is longer than a batch is alone.
    pub(super) fn shrink(&mut self) {
        (self.bytes, self.shrunk) = ((self.bytes / 2).max(1), true);
    }

    /// Those that had to go alone are settled.
    pub(super) fn together(&mut self) {
        self.alone_until = None;
    }
}

impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alone_until {
            Some(_) => f.write_str("each message alone"),
            None => write!(f, "at most {} bytes at a time", self.bytes),
        }
    }
}

/// Whether `code` says that it is too much at a time.
pub(super) fn is_size(code: Code) -> bool {
    matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(batching: &Batching) -> Vec<(&'static str, String)> {
        batching.properties().collect()
    }

    #[test]
    fn a_batch_that_is_too_large_is_halved_until_it_fits_or_the_message_is_alone() {
        let mut batching = Batching::new(1_000_000);
        assert_eq!(properties(&batching), []);
        // Of a broker that takes 200,000 bytes, with a message of 300,000 among small ones.
        let mut sizes = Vec::new();
        while !batching.was_alone(300_000) {
            batching.refused(Code::MessageSizeTooLarge, 7);
            sizes.push(batching.bytes);
        }
        assert_eq!(sizes, [500_000, 250_000]);
        batching.refused(Code::MessageSizeTooLarge, 9);
        assert_eq!(properties(&batching), [("batch.size", "125000".to_owned())]);
        assert!(!batching.was_alone(1000) && batching.takes(u64::MAX));
        for _ in 0..30 {
            batching.shrink();
        }
        assert_eq!(batching.bytes, 1);
        assert!(batching.was_alone(2), "so an end is reached");
    }

    #[test]
    fn a_batch_that_is_refused_for_another_reason_goes_message_by_message_and_no_further() {
        let mut batching = Batching::new(1000);
        batching.refused(Code::InvalidRecord, 7);
        assert_eq!(properties(&batching), [("batch.num.messages", "1".to_owned())]);
        assert!(batching.was_alone(1) && batching.takes(7) && !batching.takes(8));
        batching.together();
        assert_eq!(batching, Batching::new(1000));
    }
}
