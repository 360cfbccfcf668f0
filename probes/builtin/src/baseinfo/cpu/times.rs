//! The CPU times of one line of /proc/stat, and what can be said of two readings of it. Pure arithmetic.

/// Columns of /proc/stat in a [`Times`]. Guest times (columns 9 and 10) are left out, because the kernel
/// counts them in user and nice too.
pub(super) const USER: usize = 0;
pub(super) const NICE: usize = 1;
pub(super) const SYSTEM: usize = 2;
pub(super) const IDLE: usize = 3;
pub(super) const IOWAIT: usize = 4;
pub(super) const IRQ: usize = 5;
pub(super) const SOFTIRQ: usize = 6;
pub(super) const STEAL: usize = 7;

/// Clock ticks by column; a column that the kernel does not print is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Times(pub(super) [Option<u64>; 8]);

/// How far a column may go back and still be the same count, in ticks: three seconds. Idle and iowait of a
/// CPU are corrected by the kernel when a task that waited for I/O moves to another CPU; a counter that
/// falls further was reset.
pub(super) fn slack(ticks_per_second: u64) -> u64 {
    ticks_per_second.saturating_mul(3)
}

impl Times {
    /// The times, each held at what `before` had if the kernel took a little of it back. A shown counter
    /// that falls by one tick would be read as a reset, and its rate as its whole value.
    pub(super) fn not_before(&self, before: &Self, slack: u64) -> Self {
        let mut held = *self;
        for (now, before) in held.0.iter_mut().zip(before.0) {
            if let (Some(value), Some(before)) = (&mut *now, before)
                && *value < before
                && before - *value <= slack
            {
                *value = before;
            }
        }
        held
    }

    /// Percent of the time since `before` that was neither idle nor iowait. `None` if a column was reset
    /// between the two, or if no time passed.
    #[allow(clippy::cast_precision_loss)] // a period has far fewer ticks than 2^52
    pub(super) fn busy_since(&self, before: &Self) -> Option<f64> {
        let mut total = 0u64;
        let mut idle = 0u64;
        for (column, (now, before)) in self.0.iter().zip(before.0).enumerate() {
            let (Some(now), Some(before)) = (now, before) else { continue };
            let spent = now.checked_sub(before)?;
            total = total.checked_add(spent)?;
            if column == IDLE || column == IOWAIT {
                idle += spent;
            }
        }
        (total > 0).then(|| (total - idle) as f64 * 100.0 / total as f64)
    }

    /// One column in milliseconds.
    pub(super) fn milliseconds(&self, column: usize, ticks_per_second: u64) -> Option<u64> {
        let ticks = self.0.get(column).copied().flatten()?;
        let ms = u128::from(ticks) * 1000 / u128::from(ticks_per_second.max(1));
        u64::try_from(ms).ok()
    }
}
