//! Suppression: the same event of the same entity is told once in `event.timeout`, and the next one says how many were
//! not told. Pure but for its memory; the time is given.

use lru::LruCache;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Pairs of entity and metric that are remembered. The one that was told longest ago goes first: its next event is
/// told, be it too early.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

#[derive(Debug)]
struct Told {
    at: Instant,
    suppressed: u64,
}

/// What was told, and what was not.
#[derive(Debug)]
pub(super) struct Suppression {
    timeout: Duration,
    told: LruCache<Box<str>, Told>,
    key: String,
}

impl Suppression {
    /// The same event is told once in `timeout`; 0 tells every one.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, told: LruCache::new(CAPACITY), key: String::new() }
    }

    fn set_key(&mut self, entity_id: &str, metric: &str) {
        self.key.clear();
        self.key.push_str(entity_id);
        // No id has it.
        self.key.push('\n');
        self.key.push_str(metric);
    }

    /// Whether the event may be told at `now`: how many were not, since it was last. `None`: it is not told, and
    /// counted.
    pub(super) fn ask(&mut self, entity_id: &str, metric: &str, now: Instant) -> Option<u64> {
        if self.timeout.is_zero() {
            return Some(0);
        }
        self.set_key(entity_id, metric);
        let Some(told) = self.told.peek_mut(self.key.as_str()) else { return Some(0) };
        if now.saturating_duration_since(told.at) >= self.timeout {
            return Some(told.suppressed);
        }
        told.suppressed += 1;
        None
    }

    /// The event that was last asked for is told.
    pub(super) fn tell(&mut self, now: Instant) {
        if self.timeout.is_zero() {
            return;
        }
        let told = Told { at: now, suppressed: 0 };
        match self.told.get_mut(self.key.as_str()) {
            Some(known) => *known = told,
            None => drop(self.told.put(self.key.as_str().into(), told)),
        }
    }

    /// Pairs that are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.told.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const TIMEOUT: Duration = Duration::from_secs(600);

    fn event(on: &mut Suppression, entity: &str, metric: &str, now: Instant) -> Option<u64> {
        let answer = on.ask(entity, metric, now);
        if answer.is_some() {
            on.tell(now);
        }
        answer
    }

    #[test]
    fn the_same_event_is_told_once_in_the_window_and_then_says_how_many_were_not() {
        let (mut on, start) = (Suppression::new(TIMEOUT), Instant::now());
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(event(&mut on, "e", "m", start), Some(0));
        assert_eq!(event(&mut on, "e", "m", at(1)), None);
        assert_eq!(event(&mut on, "e", "m", at(599)), None);
        assert_eq!(event(&mut on, "e", "m", at(600)), Some(2));
        assert_eq!(event(&mut on, "e", "m", at(601)), None);
    }

    #[test]
    fn another_metric_of_the_same_entity_has_a_window_of_its_own() {
        let (mut on, now) = (Suppression::new(TIMEOUT), Instant::now());
        assert_eq!(event(&mut on, "e", "util", now), Some(0));
        assert_eq!(event(&mut on, "e", "swap_util", now), Some(0));
        assert_eq!(event(&mut on, "f", "util", now), Some(0));
        assert_eq!(event(&mut on, "e", "util", now), None);
    }

    #[test]
    fn one_that_could_not_be_handed_over_is_not_held_against_the_next() {
        let (mut on, now) = (Suppression::new(TIMEOUT), Instant::now());
        assert_eq!(on.ask("e", "m", now), Some(0));
        assert_eq!(on.ask("e", "m", now), Some(0));
    }

    #[test]
    fn a_window_of_0_tells_every_one_and_remembers_nothing() {
        let (mut on, now) = (Suppression::new(Duration::ZERO), Instant::now());
        assert_eq!([event(&mut on, "e", "m", now), event(&mut on, "e", "m", now)], [Some(0); 2]);
        assert_eq!(on.len(), 0);
    }

    #[test]
    fn as_many_are_remembered_as_there_is_room_for_and_the_oldest_goes() {
        let (mut on, now) = (Suppression::new(TIMEOUT), Instant::now());
        for entity in 0..=CAPACITY.get() {
            event(&mut on, &entity.to_string(), "m", now);
        }
        assert_eq!(on.len(), CAPACITY.get());
        assert_eq!(on.ask("1", "m", now), None);
        assert_eq!(on.ask("0", "m", now), Some(0));
    }

    proptest! {
        #[test]
        fn no_event_is_lost_in_the_count(events in prop::collection::vec((0u8..3, 0u64..400), 1..200)) {
            let (mut on, start, mut clock) = (Suppression::new(TIMEOUT), Instant::now(), 0);
            let (mut sent, mut silent, mut said) = (0u64, HashMap::<u8, u64>::new(), 0);
            for (entity, wait) in &events {
                clock += wait;
                match event(&mut on, &entity.to_string(), "m", start + Duration::from_secs(clock)) {
                    Some(suppressed) => {
                        prop_assert_eq!(suppressed, silent.remove(entity).unwrap_or(0));
                        (sent, said) = (sent + 1, said + suppressed);
                    }
                    None => *silent.entry(*entity).or_default() += 1,
                }
            }
            prop_assert_eq!(sent + said + silent.values().sum::<u64>(), events.len() as u64);
        }
    }
}
