//! Comparing a value that moves with what somebody else read before and after it.
//!
//! A count that only rises must lie between the two; a level must lie between them in a moment when it moved
//! one way only, so a test may look again. A rate is compared through the time that it implies.

use crate::wait::{DEADLINE, within};
use std::time::Instant;

/// Fails unless `before <= value <= after`.
#[track_caller]
pub fn between(what: &str, before: f64, value: f64, after: f64) {
    assert!(before <= value && value <= after, "{what}: {value} is not between {before} and {after}");
}

/// A value with the name it has in both worlds, and what the other reader said before and after it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Name for the message.
    pub name: String,
    /// Ours.
    pub value: f64,
    /// The other's, before and after.
    pub other: [f64; 2],
}

/// Looks again until each value has been between the other's two readings once. A value that is of another
/// kind, unit or source never is.
#[track_caller]
pub fn each_between(mut look: impl FnMut() -> Vec<Seen>) {
    let mut open: Option<Vec<Seen>> = None;
    let found = within(DEADLINE, || {
        let before = open.take();
        let wanted =
            |now: &Seen| before.as_ref().is_none_or(|before| before.iter().any(|old| old.name == now.name));
        let outside = |now: &Seen| {
            let [one, two] = now.other;
            now.value < one.min(two) || now.value > one.max(two)
        };
        let still: Vec<Seen> = look().into_iter().filter(|now| wanted(now) && outside(now)).collect();
        let done = still.is_empty().then_some(());
        open = Some(still);
        done
    });
    assert!(found.is_some(), "never between two readings of the other program: {open:?}");
}

/// A moment known to lie between two looks at the clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Not before this.
    pub from: Instant,
    /// Not after this.
    pub to: Instant,
}

impl Moment {
    /// Least and most seconds from here to `later`.
    pub fn until(self, later: Moment) -> [f64; 2] {
        let least = later.from.saturating_duration_since(self.to).as_secs_f64();
        [least, later.to.saturating_duration_since(self.from).as_secs_f64()]
    }
}
