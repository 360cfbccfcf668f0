//! How many events a feature may tell: so many a second as a mean over ten, so that what one report finds together is not
//! cut for being told at once. Pure; the time is given.

use std::time::{Duration, Instant};

/// The time that the mean is over.
const SPAN: Duration = Duration::from_secs(10);

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// All of it, at `now`.
    pub(super) fn new(per_s: u64, now: Instant) -> Self {
        Self { left: full(per_s), at: now }
    }

    /// Whether one more may be told at `now`, of `per_s` a second.
    pub(super) fn is_left(&mut self, per_s: u64, now: Instant) -> bool {
        let grown = full(per_s) * now.saturating_duration_since(self.at).as_secs_f64() / SPAN.as_secs_f64();
        self.left = (self.left + grown).min(full(per_s));
        self.at = self.at.max(now);
        self.left >= 1.0
    }

    /// One was told.
    pub(super) fn take(&mut self) {
        self.left -= 1.0;
    }
}

#[allow(clippy::cast_precision_loss)] // a million at most
fn full(per_s: u64) -> f64 {
    per_s as f64 * SPAN.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_together_is_told_up_to_ten_seconds_worth() {
        let now = Instant::now();
        let mut allowance = Allowance::new(2, now);
        let mut told = |at| {
            let mut count = 0;
            while allowance.is_left(2, at) {
                allowance.take();
                count += 1;
            }
            count
        };
        assert_eq!(told(now), 20);
        assert_eq!(told(now), 0);
        assert_eq!(told(now + Duration::from_secs(3)), 6);
        assert_eq!(told(now + Duration::from_secs(300)), 20);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_span(per_s in 1u64..50, steps in prop::collection::vec((0u64..3000, 0usize..200), 1..60)) {
            let start = Instant::now();
            let (mut allowance, mut ms, mut told) = (Allowance::new(per_s, start), 0, 0u64);
            for (wait, events) in steps {
                ms += wait;
                let now = start + Duration::from_millis(ms);
                for _ in 0..events {
                    if allowance.is_left(per_s, now) {
                        allowance.take();
                        told += 1;
                    }
                }
            }
            let most = per_s * 10 + per_s * ms / 1000 + 1;
            prop_assert!(told <= most, "{} of {}", told, most);
        }
    }
}
