//! Waiting for something to become true, with a deadline and never for a fixed time.

use std::time::{Duration, Instant};

/// Longest wait for anything that is certain to come: far more than an idle machine needs, because these
/// tests share two busy cores. Reaching it is a failure, not a measurement.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something; panics with `what` when there is nothing after a minute.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, look) {
        Some(found) => found,
        None => panic!("waited {} s in vain for: {what}", DEADLINE.as_secs()),
    }
}

/// Looks until there is something or `limit` is over.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
