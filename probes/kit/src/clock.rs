//! The kernel's clocks, by which programs tell when something was, and the way from there to the time of day.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime};

/// That of `bpf_ktime_get_ns` and of the kernel's log, in ns; it stands still while the host sleeps.
pub fn monotonic_ns() -> u64 {
    ns(ClockId::Monotonic)
}

/// That of start times of processes, in ns since the host was booted.
pub fn boot_ns() -> u64 {
    ns(ClockId::Boottime)
}

fn ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// From the monotonic clock to the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    monotonic: u64,
    time: SystemTime,
}

impl Clock {
    /// Both clocks now.
    pub fn now() -> Self {
        Self { monotonic: monotonic_ns(), time: SystemTime::now() }
    }

    /// The time of `ns` of the monotonic clock; what is to come is now.
    pub fn at(self, ns: u64) -> SystemTime {
        let ago = Duration::from_nanos(self.monotonic.saturating_sub(ns));
        self.time.checked_sub(ago).unwrap_or(self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_clock_becomes_the_time_of_day() {
        let clock = Clock { monotonic: 5_000_000_000, ..Clock::now() };
        let ago = |ns| clock.time.duration_since(clock.at(ns)).expect("not later").as_millis();
        assert_eq!([ago(2_000_000_000), ago(5_000_000_000), ago(9_000_000_000)], [3000, 0, 0]);
        assert!(boot_ns() >= monotonic_ns() - 1_000_000_000, "it goes on in sleep");
    }
}
