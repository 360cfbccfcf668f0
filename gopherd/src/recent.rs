//! What was used lately: a map of at most so many entries, none of which has been unused for longer than an entry may be.
//!
//! On a host that starts processes all the time a cache with a size alone fills with those that have ended, and stays so.

use lru::LruCache;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Longer than the longest report period, within which whatever still reports is asked for.
pub(crate) const UNUSED: Duration = Duration::from_secs(660);

/// The map. The time is the caller's, so that one look at the clock serves several maps.
pub(crate) struct Recent<K, V>(LruCache<K, (V, Instant)>);

impl<K: Hash + Eq, V> Recent<K, V> {
    /// At most `capacity` entries; then the longest unused one leaves.
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self(LruCache::new(capacity))
    }

    /// The value of `key`, which is used now.
    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let (value, used) = self.0.get_mut(key)?;
        *used = now;
        Some(value)
    }

    /// Sets the value of `key`, which is used now. What has been unused for too long leaves.
    pub(crate) fn put(&mut self, key: K, value: V, now: Instant) {
        let stale = |used: &Instant| now.saturating_duration_since(*used) > UNUSED;
        while self.0.peek_lru().is_some_and(|(_, (_, used))| stale(used)) {
            self.0.pop_lru();
        }
        self.0.put(key, (value, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_leaves_for_room_and_whatever_is_unused_for_too_long() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut map = Recent::new(NonZeroUsize::new(3).expect("not 0"));
        for key in 0..3 {
            map.put(key, key * 10, at(0));
        }
        assert_eq!(map.get(&0, at(1)), Some(&mut 0));
        map.put(3, 30, at(2));
        assert_eq!(map.get(&1, at(2)), None, "no room");
        assert_eq!(map.get(&0, at(600)), Some(&mut 0));
        map.put(4, 40, at(1000));
        let found = [2, 3, 0, 4].map(|key| map.get(&key, at(1000)).copied());
        assert_eq!(found, [None, None, Some(0), Some(40)], "two were unused");
    }
}
