//! Every series that is known: fed with what the kernel counted, shown as rows, ended when its connections and its
//! process have. Pure but for the clock that it is given.

use super::flows::Flows;
use super::labels::{self, Key};
use super::tables::{FlowPerf, TcpLink};
use super::totals::{Period, Samples, Totals};
use super::{Groups, bpf};
use probe_core::{Baseline, Batch, Label, ProcKey, Scope, Subject};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Series that are kept; what more there is, is counted and left out. The store has a limit of its own.
pub(super) const MAX_SERIES: usize = 65_536;

/// A series without a connection stays this long, so that the next connection of the kind goes on with it.
pub(super) const IDLE: Duration = Duration::from_secs(300);

/// What is left of a connection when its process has ended, the closing handshake, may take this long.
const LINGER: Duration = Duration::from_secs(2);

/// One connection group.
#[derive(Debug)]
struct Series {
    totals: Totals,
    samples: Option<Box<Samples>>,
    /// Connections that began less those that ended.
    live: i64,
    /// When it last counted something.
    moved: Instant,
    /// Totals at the end of the last period.
    closed: Totals,
    sacked_max: u32,
    period: Period,
    /// It has counted something since it was last looked at to be shown, and whether it was shown then.
    news: bool,
    shown: bool,
}

impl Series {
    fn new(now: Instant) -> Self {
        Self {
            totals: Totals::default(),
            samples: None,
            live: 0,
            moved: now,
            closed: Totals::default(),
            sacked_max: 0,
            period: Period::default(),
            news: false,
            shown: false,
        }
    }

    fn close(&mut self) {
        self.period = Period::between(&self.closed, &self.totals, std::mem::take(&mut self.sacked_max));
        self.closed = self.totals;
        if let Some(samples) = &mut self.samples {
            samples.close();
        }
    }
}

/// What rows are made with.
pub(super) struct Showing<'a> {
    /// Processes whose rows are shown.
    pub(super) scope: &'a Scope,
    /// Columns that are shown.
    pub(super) groups: Groups,
    /// Whether the process still runs; asked only of those that are out of scope, and of those whose connections
    /// have ended or are silent.
    pub(super) runs: &'a dyn Fn(ProcKey) -> bool,
    /// The period has ended.
    pub(super) closes: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct AllSeries {
    known: HashMap<Key, Series>,
    flows: Flows,
    /// Growth that had no place.
    over: u64,
    /// Growth that came after a last report.
    stragglers: u64,
}

impl AllSeries {
    fn at(&mut self, key: Key, now: Instant) -> Option<&mut Series> {
        if self.known.len() >= MAX_SERIES && !self.known.contains_key(&key) {
            self.over += 1;
            return None;
        }
        let series = self.known.entry(key).or_insert_with(|| Series::new(now));
        series.moved = now;
        series.news = true;
        Some(series)
    }

    /// Adds what was counted.
    pub(super) fn count(&mut self, key: Key, sums: &bpf::tcp_sums, now: Instant) {
        let mut opened = sums.opened;
        if opened == 0 && !self.known.contains_key(&key) {
            if sums.closed > 0 {
                // The end of a connection whose series has given its last report.
                self.stragglers += 1;
                return;
            }
            // It lives, and the parameters that its key depends on have changed.
            opened = 1;
        }
        let Some(series) = self.at(key, now) else { return };
        series.totals.add(sums);
        series.live += i64::from(opened) - i64::from(sums.closed);
        series.sacked_max = series.sacked_max.max(sums.sacked_max);
    }

    /// Adds what was sampled, of series that have counted.
    pub(super) fn sample(&mut self, key: Key, samples: &bpf::tcp_samples, now: Instant) {
        self.flows.add(&key, samples, now);
        if let Some(series) = self.known.get_mut(&key) {
            series.samples.get_or_insert_default().add(samples);
        }
    }

    /// Puts the rows of all that are in scope into `out`, and ends those whose time has come.
    ///
    /// A process that has ended is in no scope any more, but what was counted of it was counted in scope.
    pub(super) fn show(&mut self, showing: &Showing<'_>, now: Instant, out: &mut Batch) {
        self.known.retain(|key, series| {
            if showing.closes {
                series.close();
            }
            let process = labels::process(key);
            let ended = ended(key, series, now, showing.runs);
            let show = showing.scope.contains(&process)
                || ((series.news || series.shown) && !(showing.runs)(process));
            (series.news, series.shown) = (false, show);
            if showing.groups.links() && show {
                let row = row(key, series, showing);
                let subject = Subject::Process(process);
                if ended {
                    out.push_last(subject, Baseline::Zero, row);
                } else {
                    out.push(subject, Baseline::Zero, row);
                }
            }
            !ended
        });
        out.skip("series_limit", std::mem::take(&mut self.over));
        out.skip("series_ended", std::mem::take(&mut self.stragglers));
        self.flows.show(showing, now, out);
        out.complete::<TcpLink>();
        out.complete::<FlowPerf>();
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        let samples = self.known.values().filter(|series| series.samples.is_some()).count();
        let known = self.known.capacity() * (size_of::<(Key, Series)>() + 1);
        (known + samples * size_of::<Samples>() + self.flows.memory()) as u64
    }
}

/// Whether a series has given its last report: its process has ended, or its only connection if the port tells it
/// from others, or nothing has come for long.
fn ended(key: &Key, series: &Series, now: Instant, runs: &dyn Fn(ProcKey) -> bool) -> bool {
    let silent = now.saturating_duration_since(series.moved);
    if series.live > 0 {
        // The kernel keeps a socket for up to a minute after its process.
        return silent >= LINGER && !runs(labels::process(key));
    }
    key.client_port != 0 || silent >= IDLE || !runs(labels::process(key))
}

fn row(key: &Key, series: &Series, showing: &Showing<'_>) -> TcpLink {
    let groups = &showing.groups;
    let (totals, period) = (&series.totals, &series.period);
    let samples = |on: bool| series.samples.as_deref().filter(|_| on);
    let hist = |on: bool, index: u32| samples(on)?.shown(index);
    let stats = |value: u64| groups.stats.then_some(value);
    let windows = |value: u64| groups.windows.then_some(value);
    let abnormal = |value: u64| groups.abnormal.then_some(value);
    let dropped = |value: u64| (groups.abnormal && groups.drops).then_some(value);
    TcpLink {
        tgid: labels::number(key.tgid),
        comm: labels::comm(key),
        role: labels::role_name(labels::is_server(key)),
        client_ip: labels::text(labels::address(key.family, key.client_ip)),
        toa_client_ip: Label::default(),
        server_ip: labels::text(labels::address(key.family, key.server_ip)),
        client_port: labels::number(key.client_port),
        server_port: labels::number(key.server_port),
        protocol: labels::number(key.family),
        rx_bytes: stats(totals.rx_bytes),
        tx_bytes: stats(totals.tx_bytes),
        segs_in: stats(totals.segs_in),
        segs_out: stats(totals.segs_out),
        srtt: hist(groups.rtt, bpf::TCP_SRTT),
        rcv_rtt: hist(groups.rtt, bpf::TCP_RCV_RTT),
        snd_cwnd: hist(groups.windows, bpf::TCP_SND_CWND),
        notsent_bytes: hist(groups.windows, bpf::TCP_NOTSENT),
        notack_bytes: hist(groups.windows, bpf::TCP_NOTACK),
        reordering: hist(groups.windows, bpf::TCP_REORDERING),
        snd_wnd: hist(groups.windows, bpf::TCP_SND_WND),
        rcv_wnd: hist(groups.windows, bpf::TCP_RCV_WND),
        avl_snd_wnd: hist(groups.windows, bpf::TCP_AVL_SND_WND),
        zero_rcv_wnd_count: windows(totals.zero_rcv_wnd),
        zero_snd_wnd_count: windows(totals.zero_snd_wnd),
        zero_win_rx_ratio: period.zero_rcv_ratio.filter(|_| groups.windows),
        zero_win_tx_ratio: period.zero_snd_ratio.filter(|_| groups.windows),
        rto: hist(groups.rate, bpf::TCP_RTO),
        ato: hist(groups.rate, bpf::TCP_ATO),
        syn_srtt: hist(groups.srtt, bpf::TCP_SYN_SRTT),
        sk_rcvbuf: samples(groups.sockbuf).and_then(|samples| samples.rcvbuf.shown()),
        sk_sndbuf: samples(groups.sockbuf).and_then(|samples| samples.sndbuf.shown()),
        retran_packets: abnormal(totals.retransmitted),
        backlog_drops: dropped(totals.backlog_drops),
        sk_drops: abnormal(totals.drops),
        lost_out: abnormal(totals.lost),
        sacked_out: period.sacked_max.filter(|_| groups.abnormal).map(f64::from),
        filter_drops: dropped(totals.filter_drops),
        tmout_count: abnormal(totals.timeouts),
        snd_buf_limit_count: abnormal(totals.send_limits),
        rmem_scheduls: dropped(totals.memory_drops),
        tcp_oom: (groups.abnormal && groups.out_of_memory).then_some(totals.out_of_memory),
        send_rsts: abnormal(totals.rsts_sent),
        receive_rsts: abnormal(totals.rsts_received),
        retrans_ratio: period.retrans_ratio.filter(|_| groups.abnormal),
    }
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
