//! What is added up of a device: the sums of all CPUs since it was first seen, and what only a period has. Pure.

use super::bpf::{IO_STAGES, io_counts, io_peak};
use probe_core::Histogram;

/// Stages of a request, `bpf::IO_REQUEST` and so on.
pub(super) const STAGES: usize = IO_STAGES as usize;
/// `IO_NO_STAGE`, which is too large for a constant of C that Rust sees.
const NO_STAGE: u64 = u64::MAX;
const SLOTS: usize = super::tables::LATENCY.len() + 1;

/// What the kernel has counted of a device on all CPUs, at one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    read_bytes: u64,
    write_bytes: u64,
    failed: u64,
    sum: [u64; STAGES],
    /// These wrap.
    count: [[u32; SLOTS]; STAGES],
}

impl Account {
    /// The sum of `cpus`.
    pub(super) fn of(cpus: &[io_counts]) -> Self {
        let mut account = Self::default();
        for cpu in cpus {
            account.read_bytes += cpu.read_bytes;
            account.write_bytes += cpu.write_bytes;
            account.failed += cpu.failed;
            for stage in 0..STAGES {
                account.sum[stage] += cpu.sum[stage];
                for (total, count) in account.count[stage].iter_mut().zip(&cpu.count[stage]) {
                    *total = total.wrapping_add(*count);
                }
            }
        }
        account
    }

    /// Whether requests failed since `before`.
    pub(super) fn failed_since(&self, before: &Self) -> bool {
        self.failed > before.failed
    }
}

/// A device's totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) read_bytes: u64,
    pub(super) write_bytes: u64,
    pub(super) failed: u64,
    pub(super) sum: [u64; STAGES],
    count: [[u64; SLOTS]; STAGES],
}

impl Totals {
    /// Adds what was counted between two readings; says whether that is anything.
    pub(super) fn add(&mut self, before: &Account, now: &Account) -> bool {
        self.read_bytes += now.read_bytes.saturating_sub(before.read_bytes);
        self.write_bytes += now.write_bytes.saturating_sub(before.write_bytes);
        self.failed += now.failed.saturating_sub(before.failed);
        for stage in 0..STAGES {
            self.sum[stage] += now.sum[stage].saturating_sub(before.sum[stage]);
            let counts = now.count[stage].iter().zip(&before.count[stage]);
            for (total, (now, before)) in self.count[stage].iter_mut().zip(counts) {
                *total += u64::from(now.wrapping_sub(*before));
            }
        }
        now != before
    }

    /// Requests of a stage; `None` before the first.
    pub(super) fn requests(&self, stage: usize) -> Option<u64> {
        Some(self.count[stage].iter().sum()).filter(|count| *count > 0)
    }

    /// The distribution of a stage; `None` before the first request.
    #[allow(clippy::cast_precision_loss)] // 104 days of waiting together are exact
    pub(super) fn distribution(&self, stage: usize, max: Option<u64>) -> Option<Histogram> {
        self.requests(stage).map(|_| {
            let max = max.map(|max| max as f64);
            Histogram::from_buckets(self.count[stage].into(), self.sum[stage] as f64, max)
        })
    }
}

/// A stage in one period; absent without a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peak {
    pub(super) max: Option<u64>,
    pub(super) jitter: Option<u64>,
    /// With the time of that.
    pub(super) last: Option<(u64, u64)>,
}

/// The last period of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peaks(pub(super) [Peak; STAGES]);

impl Peaks {
    /// What `cpus` have of the period with this number.
    pub(super) fn of(cpus: &[io_counts], period: u64) -> Self {
        let mut peaks = Self::default();
        for peak in cpus.iter().flat_map(|cpu| &cpu.peaks).filter(|peak| peak.period == period) {
            peaks.merge(&Self::of_cpu(peak));
        }
        peaks
    }

    fn of_cpu(peak: &io_peak) -> Self {
        let stage = |stage: usize| {
            let last = peak.last[stage];
            let any = peak.last_at > 0;
            Peak {
                max: Some(peak.max[stage]).filter(|max| any && *max > 0),
                jitter: Some(peak.jitter[stage]).filter(|_| any && peak.max[stage] > 0),
                last: (any && last != NO_STAGE).then_some((peak.last_at, last)),
            }
        };
        Self(std::array::from_fn(stage))
    }

    /// Takes in what another CPU, or a partition, has of the same period.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            mine.max = mine.max.max(other.max);
            mine.jitter = mine.jitter.max(other.jitter);
            mine.last = mine.last.max(other.last);
        }
    }
}

/// The newest failure that `cpus` know: when, and its code.
pub(super) fn newest_failure(cpus: &[io_counts]) -> Option<(u64, i32)> {
    cpus.iter().filter(|cpu| cpu.failed > 0).map(|cpu| (cpu.failed_at, cpu.code)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> io_counts {
        io_counts::default()
    }

    fn peak(period: u64, at: u64, max: u64, last: u64) -> io_peak {
        io_peak { period, max: [max; 3], jitter: [max / 2; 3], last: [last; 3], last_at: at }
    }

    #[test]
    fn readings_add_up_over_cpus_and_a_count_that_wraps_loses_nothing() {
        let mut one = cpu();
        one.read_bytes = 4096;
        one.count[0][2] = u32::MAX;
        let mut two = cpu();
        two.read_bytes = 512;
        two.count[0][2] = 1;
        two.sum[0] = 70_000;
        let before = Account::of(&[one, two]);
        let mut totals = Totals::default();
        assert!(totals.add(&Account::default(), &Account::of(&[two, cpu()])));
        assert_eq!((totals.read_bytes, totals.requests(0), totals.requests(1)), (512, Some(1), None));
        let mut later = one;
        later.count[0][2] = 4;
        assert!(totals.add(&before, &Account::of(&[later, two])));
        assert_eq!(totals.requests(0), Some(1 + 5));
        assert!(!totals.add(&before, &before), "nothing has moved");
        let shown = totals.distribution(0, Some(60_000)).expect("requests");
        assert_eq!((shown.buckets()[2], shown.sum(), shown.max()), (6, 70_000.0, Some(60_000.0)));
        assert_eq!(totals.distribution(1, None), None);
    }

    #[test]
    fn only_the_period_that_ended_counts_and_of_its_values_the_largest_and_the_newest() {
        let mut one = cpu();
        one.peaks = [peak(8, 100, 900, 30), peak(7, 90, 5_000, 5_000)];
        let mut two = cpu();
        two.peaks = [peak(8, 200, 400, 400), peak(7, 0, 0, 0)];
        let peaks = Peaks::of(&[one, two], 8);
        assert_eq!(peaks.0[0], Peak { max: Some(900), jitter: Some(450), last: Some((200, 400)) });
        assert_eq!(Peaks::of(&[one, two], 9), Peaks::default(), "no request is absent, not 0");
    }

    #[test]
    fn the_newest_failure_is_that_of_any_cpu_that_had_one() {
        let mut one = cpu();
        (one.failed, one.failed_at, one.code) = (2, 50, 10);
        let mut two = cpu();
        (two.failed, two.failed_at, two.code) = (1, 70, -28);
        assert_eq!(newest_failure(&[one, two, cpu()]), Some((70, -28)));
        assert_eq!(newest_failure(&[cpu()]), None);
    }
}
