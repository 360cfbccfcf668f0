//! The page detail of a process, `/proc/<pid>/smaps_rollup`, and when it is read.
//!
//! The kernel walks every page table of the process for it, so it is read at most once a minute for each
//! process and spread over the ticks of that minute; in between the last values stand.

use probe_kit::scan;
use std::time::{Duration, Instant};

/// What is used of the file, in units of 1024 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Smaps {
    pub(super) shared_clean: Option<u64>,
    pub(super) shared_dirty: Option<u64>,
    pub(super) private_clean: Option<u64>,
    pub(super) private_dirty: Option<u64>,
    pub(super) referenced: Option<u64>,
    pub(super) lazyfree: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) swap_pss: Option<u64>,
}

impl Smaps {
    /// Reads the file; a line that is not there leaves its number absent.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut smaps = Self::default();
        for (key, value) in scan::lines(text).filter_map(|line| scan::pair(line, b':')) {
            let field = match key {
                b"Shared_Clean" => &mut smaps.shared_clean,
                b"Shared_Dirty" => &mut smaps.shared_dirty,
                b"Private_Clean" => &mut smaps.private_clean,
                b"Private_Dirty" => &mut smaps.private_dirty,
                b"Referenced" => &mut smaps.referenced,
                b"LazyFree" => &mut smaps.lazyfree,
                b"Swap" => &mut smaps.swap,
                b"SwapPss" => &mut smaps.swap_pss,
                _ => continue,
            };
            *field = value.strip_suffix(b" kB").and_then(|number| scan::number(number.trim_ascii()));
        }
        smaps
    }
}

/// Least time between two readings of one process.
const EVERY: Duration = Duration::from_secs(60);

/// A tick comes up to this much early; without it a period of 60 s would read each process every second tick.
const EARLY: Duration = Duration::from_millis(500);

/// So many are read in any tick, so that a small scope has its values at once.
const AT_LEAST: usize = 32;

/// How many processes may still be read in this tick: each tick takes its share of the minute.
#[derive(Debug)]
pub(super) struct Share(usize);

impl Share {
    /// The share of a tick `elapsed` after the one before, of `processes` in all.
    pub(super) fn new(processes: usize, elapsed: Option<Duration>) -> Self {
        let elapsed = elapsed.unwrap_or_default().min(EVERY);
        let part = (processes as u128 * elapsed.as_millis()).div_ceil(EVERY.as_millis());
        Self(usize::try_from(part).unwrap_or(usize::MAX).max(AT_LEAST))
    }

    /// Whether a process that was last read at `last` is to be read at `now`; takes from the share if so.
    /// Processes are asked in the same order at each tick: those that were read are not due again before
    /// the others have had their turn.
    pub(super) fn take(&mut self, last: Option<Instant>, now: Instant) -> bool {
        let due = last.is_none_or(|last| now.saturating_duration_since(last) + EARLY >= EVERY);
        let taken = due && self.0 > 0;
        self.0 -= usize::from(taken);
        taken
    }
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    Smaps::parse(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::proptest;

    #[test]
    fn the_rollup_is_read_by_name_and_unit() {
        let text = b"00400000-7ff ---p 00000000 00:00 0    [rollup]\nRss:  1776 kB\nShared_Clean:   1616 kB\n\
            Shared_Dirty:  1 kB\nPrivate_Clean: 44 kB\nPrivate_Dirty: 116 kB\nReferenced: 1776 kB\nLazyFree: 3 kB\n\
            Swap: 5 kB\nSwapPss: 4 MB\n";
        let smaps = Smaps::parse(text);
        assert_eq!((smaps.shared_clean, smaps.shared_dirty), (Some(1616), Some(1)));
        assert_eq!((smaps.private_clean, smaps.private_dirty), (Some(44), Some(116)));
        assert_eq!((smaps.referenced, smaps.lazyfree, smaps.swap), (Some(1776), Some(3), Some(5)));
        assert_eq!(smaps.swap_pss, None, "an unknown unit is no value");
    }

    /// Runs ticks `period` apart for `ticks` and returns how many of `n` processes each read, and the shortest
    /// time between two readings of one.
    fn simulate(n: usize, period: Duration, ticks: u32) -> (Vec<usize>, Option<Duration>) {
        let start = Instant::now();
        let mut last: Vec<Option<Instant>> = vec![None; n];
        let mut shortest = None;
        let counts = (0..ticks)
            .map(|i| {
                let now = start + period * i;
                let mut share = Share::new(n, (i > 0).then_some(period));
                let mut read = 0;
                for at in &mut last {
                    if share.take(*at, now) {
                        let age = at.map(|at| now - at);
                        shortest = [shortest, age].into_iter().flatten().min();
                        *at = Some(now);
                        read += 1;
                    }
                }
                read
            })
            .collect();
        (counts, shortest)
    }

    #[test]
    fn short_periods_spread_the_minute_and_no_process_is_read_twice_in_it() {
        let (counts, shortest) = simulate(1200, Duration::from_secs(5), 40);
        assert!(counts.iter().all(|n| *n <= 100), "{counts:?}");
        assert_eq!(counts.iter().skip(1).take(12).sum::<usize>(), 1200 - 32 + 32);
        assert!(shortest.is_some_and(|t| t >= EVERY));
    }

    #[test]
    fn a_period_of_a_minute_reads_each_process_each_time() {
        let (counts, _) = simulate(500, EVERY - Duration::from_millis(3), 4);
        assert_eq!(counts, [32, 500 - 32 + 32, 500, 500]);
    }

    #[test]
    fn a_small_scope_has_its_values_at_once() {
        assert_eq!(simulate(5, Duration::from_secs(5), 2).0, [5, 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            let _ = Smaps::parse(&text);
        }
    }
}
