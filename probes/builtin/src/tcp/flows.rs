//! Delays by process, peer and port: the second table, which has fewer keys than the first. Pure.

use super::bpf;
use super::labels::{self, Key};
use super::series::{IDLE, MAX_SERIES, Showing};
use super::tables::FlowPerf;
use super::totals::Distribution;
use probe_core::{Baseline, Batch, ProcKey, Subject};
use std::collections::HashMap;
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FlowKey {
    process: ProcKey,
    server: bool,
    family: u16,
    remote: [u8; 16],
    server_port: u16,
}

impl FlowKey {
    fn of(key: &Key) -> Self {
        let server = labels::is_server(key);
        Self {
            process: labels::process(key),
            server,
            family: key.family,
            remote: if server { key.client_ip } else { key.server_ip },
            server_port: key.server_port,
        }
    }
}

#[derive(Debug)]
struct Flow {
    sys: Distribution<6>,
    net: Distribution<6>,
    moved: Instant,
    /// As with a series: something came since it was last looked at, and it was shown then.
    news: bool,
    shown: bool,
}

/// Every flow that is known.
#[derive(Debug, Default)]
pub(super) struct Flows {
    known: HashMap<FlowKey, Flow>,
    over: u64,
}

impl Flows {
    /// Adds the delays among what was sampled.
    pub(super) fn add(&mut self, key: &Key, samples: &bpf::tcp_samples, now: Instant) {
        let delays = [bpf::TCP_SYS_DELAY, bpf::TCP_NET_DELAY].map(|index| samples.hist.get(index as usize));
        let [Some(sys), Some(net)] = delays else { return };
        if sys.count.iter().chain(&net.count).all(|count| *count == 0) {
            return;
        }
        let at = FlowKey::of(key);
        if self.known.len() >= MAX_SERIES && !self.known.contains_key(&at) {
            self.over += 1;
            return;
        }
        let fresh = || Flow {
            sys: Distribution::default(),
            net: Distribution::default(),
            moved: now,
            news: false,
            shown: false,
        };
        let flow = self.known.entry(at).or_insert_with(fresh);
        flow.sys.add(&sys.count, sys.sum, sys.max);
        flow.net.add(&net.count, net.sum, net.max);
        flow.moved = now;
        flow.news = true;
    }

    /// Puts the rows of all that are in scope into `out`, and of those that were until their process ended; ends
    /// those whose time has come.
    pub(super) fn show(&mut self, showing: &Showing<'_>, now: Instant, out: &mut Batch) {
        self.known.retain(|key, flow| {
            if showing.closes {
                flow.sys.close();
                flow.net.close();
            }
            let idle = now.saturating_duration_since(flow.moved) >= IDLE;
            let runs = (showing.runs)(key.process);
            let ended = idle || !runs;
            let show = showing.scope.contains(&key.process) || (!runs && (flow.news || flow.shown));
            (flow.news, flow.shown) = (false, show);
            if showing.groups.delay && show {
                let subject = Subject::Process(key.process);
                if ended {
                    out.push_last(subject, Baseline::Zero, row(key, flow));
                } else {
                    out.push(subject, Baseline::Zero, row(key, flow));
                }
            }
            !ended
        });
        out.skip("series_limit", std::mem::take(&mut self.over));
    }

    /// Memory held.
    pub(super) fn memory(&self) -> usize {
        self.known.capacity() * (size_of::<(FlowKey, Flow)>() + 1)
    }
}

fn row(key: &FlowKey, flow: &Flow) -> FlowPerf {
    FlowPerf {
        tgid: labels::number(key.process.tgid),
        role: labels::role_name(key.server),
        remote_ip: labels::text(labels::address(key.family, key.remote)),
        server_port: labels::number(key.server_port),
        sys_delay: flow.sys.shown(),
        net_delay: flow.net.shown(),
    }
}
