//! Whose the CPU time of a probe's thread is: of the sub-probes that were charged with it, and of the others by what they
//! handed over. Owns the clock and the division; who is charged with what is the probes' business.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// CPU time of this thread since it began.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of this thread, by laps. Reading the clock is a system call of some 200 ns.
#[derive(Debug)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// The first lap begins.
    pub fn start() -> Self {
        Self(thread_cpu())
    }

    /// Ends a lap and begins the next one.
    pub fn lap(&mut self) -> Duration {
        let now = thread_cpu();
        now.saturating_sub(std::mem::replace(&mut self.0, now))
    }
}

/// Divides `spent`: each is charged with its own, and the rest goes to the others by their `samples`; to all, if nobody
/// else handed anything over. What no sub-probe handed anything over for is nobody's.
pub(crate) fn divide(
    spent: Duration,
    charged: &[(&'static str, Duration)],
    samples: &[(&'static str, u64)],
) -> Vec<(&'static str, Duration)> {
    let mut left = spent;
    let mut parts: Vec<(&'static str, Duration)> = Vec::with_capacity(samples.len().max(charged.len()));
    for (name, cpu) in charged {
        let cpu = left.min(*cpu);
        left -= cpu;
        parts.push((*name, cpu));
    }
    let named = |(name, count): &&(&'static str, u64)| !name.is_empty() && *count > 0;
    let is_charged = |name: &str| charged.iter().any(|(charged, _)| *charged == name);
    let others: Vec<_> = samples.iter().filter(named).filter(|(name, _)| !is_charged(name)).collect();
    let among = if others.is_empty() { samples.iter().filter(named).collect() } else { others };
    let all: u64 = among.iter().map(|(_, count)| count).sum();
    for (name, count) in among {
        let part = left.as_nanos() * u128::from(*count) / u128::from(all.max(1));
        let part = Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX));
        match parts.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += part,
            None => parts.push((*name, part)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_charged_is_ones_own_and_the_rest_is_the_others() {
        let divided = divide(MS * 10, &[("a", MS * 4)], &[("a", 90), ("b", 2), ("c", 1)]);
        assert_eq!(divided, [("a", MS * 4), ("b", MS * 4), ("c", MS * 2)]);
        assert_eq!(divide(MS * 6, &[("a", MS * 4)], &[("a", 1)]), [("a", MS * 6)], "nobody else");
        assert_eq!(divide(MS * 6, &[("a", MS * 4)], &[]), [("a", MS * 4)], "the rest is nobody's");
        assert_eq!(divide(MS, &[], &[("", 5)]), [], "there are no sub-probes");
        assert_eq!(divide(MS, &[("a", MS * 4)], &[]), [("a", MS)], "no more than was spent");
    }

    #[test]
    fn a_stopwatch_counts_work_and_no_sleep() {
        let mut watch = Stopwatch::start();
        let mut sum = 0u64;
        while thread_cpu() < watch.0 + MS {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(watch.lap() >= MS);
        assert!(watch.lap() < MS, "the next lap is new");
    }

    proptest! {
        #[test]
        fn never_more_is_divided_than_was_spent(
            spent in 0u64..1 << 40,
            charged in prop::collection::vec(0u64..1 << 40, 0..3),
            samples in prop::collection::vec(0u64..1 << 40, 0..5),
        ) {
            const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
            let charged: Vec<_> =
                NAMES.into_iter().zip(charged.into_iter().map(Duration::from_nanos)).collect();
            let samples: Vec<_> = NAMES.into_iter().zip(samples).collect();
            let divided = divide(Duration::from_nanos(spent), &charged, &samples);
            let sum: Duration = divided.iter().map(|(_, cpu)| *cpu).sum();
            prop_assert!(sum <= Duration::from_nanos(spent));
            // Rounding aside nothing is left, if there is anybody to have it.
            if samples.iter().any(|(_, count)| *count > 0) {
                prop_assert!(Duration::from_nanos(spent) - sum <= Duration::from_nanos(samples.len() as u64));
            }
        }
    }
}
