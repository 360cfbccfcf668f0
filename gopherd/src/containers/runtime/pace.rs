//! When a connection looks after itself: the slow checks beside the events, and a wait that differs from host to
//! host.

use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A runtime is asked whether it still answers: a stream of events that is silent may be one that hangs.
const CHECK: Duration = Duration::from_secs(60);

/// Of so many checks one reads the whole list again, for events that the runtime itself lost.
const LIST_EVERY: u32 = 5;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask for a sign of life.
    Check,
    /// Read the whole list.
    List,
}

/// The slow checks of one connection.
#[derive(Debug)]
pub(super) struct Pace {
    ticks: Interval,
    count: u32,
    list_every: u32,
}

impl Pace {
    /// For a runtime that tells events.
    pub(super) fn with_events() -> Self {
        Self::new(LIST_EVERY)
    }

    /// For a runtime that does not: each check is a list.
    pub(super) fn without_events() -> Self {
        Self::new(1)
    }

    fn new(list_every: u32) -> Self {
        let period = jittered(CHECK);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, count: 0, list_every }
    }

    /// Waits for the next one. May be dropped while it waits.
    pub(super) async fn due(&mut self) -> Due {
        self.ticks.tick().await;
        self.count = self.count.wrapping_add(1);
        if self.count.is_multiple_of(self.list_every) { Due::List } else { Due::Check }
    }
}

/// Between three quarters of `wait` and all of it, so that a thousand hosts do not act in step.
pub(super) fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without a random number there is no jitter, and all else works.
    let share =
        rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::NONBLOCK).map_or(0, |_| byte[0]);
    wait - wait / 4 * u32::from(share) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_shortened_by_at_most_a_quarter() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(64));
            assert!((48..=64).contains(&wait.as_secs()), "{wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_fifth_check_is_a_list_and_without_events_each() {
        let mut pace = Pace::with_events();
        let mut dues = Vec::new();
        for _ in 0..6 {
            dues.push(pace.due().await);
        }
        assert_eq!(dues, [Due::Check, Due::Check, Due::Check, Due::Check, Due::List, Due::Check]);
        assert_eq!(Pace::without_events().due().await, Due::List);
    }
}
