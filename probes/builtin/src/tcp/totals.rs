//! What is summed up of a series in user space: counters, distributions, and what only a period has. Pure.

use super::bpf;
use probe_core::Histogram;

/// Makes the counters of a series, each under the name that it has in `tcp_sums`.
macro_rules! totals {
    ($($name:ident),+ $(,)?) => {
        /// Counters since the series began.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(super) struct Totals {
            $(pub(super) $name: u64,)+
        }

        impl Totals {
            /// Adds what the kernel counted since the last time.
            pub(super) fn add(&mut self, sums: &bpf::tcp_sums) {
                $(self.$name += u64::from(sums.$name);)+
            }
        }
    };
}

totals! {
    rx_bytes,
    tx_bytes,
    segs_in,
    segs_out,
    retransmitted,
    lost,
    drops,
    rsts_sent,
    rsts_received,
    send_limits,
    backlog_drops,
    filter_drops,
    memory_drops,
    timeouts,
    out_of_memory,
    samples,
    zero_rcv_wnd,
    zero_snd_wnd,
}

/// What the last completed period was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Period {
    pub(super) zero_rcv_ratio: Option<f64>,
    pub(super) zero_snd_ratio: Option<f64>,
    pub(super) retrans_ratio: Option<f64>,
    pub(super) sacked_max: Option<u32>,
}

impl Period {
    /// The period from `before` to `now`.
    pub(super) fn between(before: &Totals, now: &Totals, sacked_max: u32) -> Self {
        let samples = now.samples - before.samples;
        Self {
            zero_rcv_ratio: ratio(now.zero_rcv_wnd - before.zero_rcv_wnd, samples),
            zero_snd_ratio: ratio(now.zero_snd_wnd - before.zero_snd_wnd, samples),
            retrans_ratio: ratio(now.retransmitted - before.retransmitted, now.segs_out - before.segs_out),
            sacked_max: Some(sacked_max),
        }
    }
}

/// `part` of `whole`; absent for a part of nothing.
#[allow(clippy::cast_precision_loss)] // counts of a period
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A distribution since the series began, and its largest value by period. `N` is one more than its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution<const N: usize> {
    count: [u64; N],
    sum: u64,
    /// Of the period that runs.
    peak: Option<u64>,
    /// Of the last one that was completed.
    max: Option<u64>,
}

impl<const N: usize> Default for Distribution<N> {
    fn default() -> Self {
        Self { count: [0; N], sum: 0, peak: None, max: None }
    }
}

impl<const N: usize> Distribution<N> {
    /// Adds what the kernel counted since the last time.
    pub(super) fn add(&mut self, count: &[u32; N], sum: u64, max: u64) {
        for (total, grown) in self.count.iter_mut().zip(count) {
            *total += u64::from(*grown);
        }
        self.sum += sum;
        if count.iter().any(|count| *count > 0) {
            self.peak = self.peak.max(Some(max));
        }
    }

    /// A period has ended.
    pub(super) fn close(&mut self) {
        self.max = self.peak.take();
    }

    /// For a row; absent as long as nothing was sampled.
    #[allow(clippy::cast_precision_loss)] // sums of sampled levels
    pub(super) fn shown(&self) -> Option<Histogram> {
        let any = self.count.iter().any(|count| *count > 0);
        any.then(|| {
            Histogram::from_buckets(self.count.into(), self.sum as f64, self.max.map(|max| max as f64))
        })
    }
}

/// Every distribution of a series.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    pub(super) hist: [Distribution<6>; bpf::TCP_HISTS as usize],
    pub(super) rcvbuf: Distribution<9>,
    pub(super) sndbuf: Distribution<9>,
}

impl Samples {
    /// Adds what the kernel sampled since the last time.
    pub(super) fn add(&mut self, grown: &bpf::tcp_samples) {
        for (total, grown) in self.hist.iter_mut().zip(&grown.hist) {
            total.add(&grown.count, grown.sum, grown.max);
        }
        self.rcvbuf.add(&grown.rcvbuf.count, grown.rcvbuf.sum, grown.rcvbuf.max);
        self.sndbuf.add(&grown.sndbuf.count, grown.sndbuf.sum, grown.sndbuf.max);
    }

    /// A period has ended.
    pub(super) fn close(&mut self) {
        self.hist.iter_mut().for_each(Distribution::close);
        self.rcvbuf.close();
        self.sndbuf.close();
    }

    /// The distribution at `index` (`bpf::TCP_SRTT` and so on), for a row.
    pub(super) fn shown(&self, index: u32) -> Option<Histogram> {
        self.hist.get(index as usize)?.shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_period_alone_and_absent_without_a_whole() {
        let before =
            Totals { segs_out: 100, retransmitted: 50, samples: 3, zero_rcv_wnd: 3, ..Totals::default() };
        let mut now = before;
        let quiet = Period::between(&before, &now, 0);
        assert_eq!((quiet.retrans_ratio, quiet.zero_rcv_ratio, quiet.sacked_max), (None, None, Some(0)));
        now.segs_out += 10;
        now.retransmitted += 1;
        now.samples += 4;
        now.zero_snd_wnd += 1;
        let period = Period::between(&before, &now, 7);
        assert_eq!(period.retrans_ratio, Some(0.1));
        assert_eq!((period.zero_rcv_ratio, period.zero_snd_ratio), (Some(0.0), Some(0.25)));
        assert_eq!(period.sacked_max, Some(7));
    }

    #[test]
    fn the_largest_value_is_that_of_the_last_completed_period() {
        let mut d = Distribution::<3>::default();
        assert_eq!(d.shown(), None, "nothing was sampled");
        d.add(&[1, 2, 0], 130, 60);
        assert_eq!(d.shown().and_then(|h| h.max()), None, "no period has ended");
        d.close();
        d.add(&[1, 0, 0], 5, 5);
        let shown = d.shown().expect("samples");
        assert_eq!((shown.buckets(), shown.sum(), shown.max()), (&[2, 2, 0][..], 135.0, Some(60.0)));
        d.close();
        assert_eq!(d.shown().and_then(|h| h.max()), Some(5.0));
        d.close();
        assert_eq!(d.shown().and_then(|h| h.max()), None, "a period without a sample has no largest one");
    }
}
