//! When what failed is tried again: a probe, a container runtime.

use std::time::Duration;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(64);

/// A probe that has run this long has recovered: the next failure is its first again.
pub(super) const RECOVERED: Duration = Duration::from_secs(128);

/// How long to wait before try number `attempts` + 1: 1, 2, 4 … 64 s.
pub(crate) fn wait(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.saturating_sub(1).min(6)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::wait;

    #[test]
    fn doubles_to_64_seconds_and_stays_there() {
        let waits: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, 8, u32::MAX].iter().map(|n| wait(*n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }
}
