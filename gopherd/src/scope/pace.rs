//! How often the thread looks: at once while little happens, and in the long run so seldom that looking costs a
//! tenth of one processor at most. Pure.

use std::time::{Duration, Instant};

/// Looks that are this far apart are never held up.
const APART: Duration = Duration::from_millis(1);

/// So much of it may come at once.
const BURST: Duration = Duration::from_millis(32);

/// A look may be followed by the next after this many times as long as it took.
const SHARE: u32 = 10;

/// Says how long to wait with the next look.
#[derive(Debug)]
pub(super) struct Pace {
    /// When all looks so far would be over, had they been spread evenly.
    even: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { even: now }
    }

    /// A look at what had happened took from `began` to `now`.
    pub(super) fn looked(&mut self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        self.even = self.even.max(began) + APART.max(took * SHARE);
    }

    /// Not before this.
    pub(super) fn next(&self) -> Option<Instant> {
        self.even.checked_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_not_held_up_and_looks_without_end_are_a_millisecond_apart() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let held = |pace: &Pace, now: Instant| pace.next().is_some_and(|next| next > now);
        for _ in 0..32 {
            assert!(!held(&pace, start));
            pace.looked(start, start);
        }
        pace.looked(start, start);
        assert_eq!(pace.next(), Some(start + APART));
        let later = start + Duration::from_secs(1);
        assert!(!held(&pace, later));
        pace.looked(later, later);
        assert!(!held(&pace, later), "what was not used does not add up to a wait");
    }

    #[test]
    fn a_long_look_is_followed_by_ten_times_as_long_a_rest() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let now = start + Duration::from_millis(20);
        pace.looked(start, now);
        assert_eq!(pace.next(), Some(start + Duration::from_millis(200) - BURST));
    }
}
