//! Which keys a producer has brought to their partition already. Pure.
//!
//! A broker that has nothing of a producer in a partition takes any batch from it as the first, also the one behind a batch
//! that it has just refused, which would then be overtaken. So of a key the first message must have arrived before the
//! second one is sent; from then on the broker refuses what does not follow.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Most keys that are remembered. Beyond them all are met anew, which costs each one wait.
const MOST: usize = 1 << 16;

/// What a key in a topic is remembered by. Two that are alike wait for each other, or do not where they should: of 65,536
/// keys two are alike once in ten thousand million times.
pub(super) fn name(topic: &str, key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, key).hash(&mut hasher);
    hasher.finish()
}

/// The keys of one producer.
#[derive(Debug, Default)]
pub(super) struct Keys {
    arrived: HashSet<u64>,
    /// Those of a first message that is not answered.
    on_their_way: HashSet<u64>,
}

impl Keys {
    /// Whether a message with this key may be sent now.
    pub(super) fn may_send(&self, key: u64) -> bool {
        self.arrived.contains(&key) || !self.on_their_way.contains(&key)
    }

    /// One was sent.
    pub(super) fn sent(&mut self, key: u64) {
        if !self.arrived.contains(&key) {
            self.on_their_way.insert(key);
        }
    }

    /// One was answered.
    pub(super) fn answered(&mut self, key: u64, arrived: bool) {
        self.on_their_way.remove(&key);
        if arrived && !self.arrived.contains(&key) {
            if self.arrived.len() >= MOST {
                self.arrived.clear();
            }
            self.arrived.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_message_of_a_key_waits_for_the_first_and_nobody_elses() {
        let mut keys = Keys::default();
        let [one, other] = ["one", "other"].map(|key| name("events", key.as_bytes()));
        assert_ne!(one, name("metadata", b"one"), "partitions are a topic's");
        assert!(keys.may_send(one));
        keys.sent(one);
        assert!(!keys.may_send(one) && keys.may_send(other));
        keys.answered(one, false);
        assert!(keys.may_send(one), "the first again");
        keys.sent(one);
        keys.answered(one, true);
        keys.sent(one);
        assert!(keys.may_send(one));
    }

    #[test]
    fn so_many_keys_are_remembered_and_no_more() {
        let mut keys = Keys::default();
        for key in 0..=MOST as u64 {
            keys.sent(key);
            keys.answered(key, true);
        }
        assert_eq!((keys.arrived.len(), keys.on_their_way.len()), (1, 0));
    }
}
