//! `tcp`: state, round trips, windows, losses and delays of TCP connections, by process and peer.
//!
//! Owns the programs (`tcp.bpf.c` and its headers), their jobs and the tables. `kernel` runs the programs and takes
//! out what they counted, `series` keeps it and makes rows of it, `probe` is the loop. Which processes are in scope
//! is decided by the daemon; the programs only look it up.

mod backend;
mod flows;
mod jobs;
mod kernel;
mod labels;
mod probe;
mod series;
mod tables;
mod totals;
mod triggers;

probe_kit::bpf_object!("tcp");

use crate::params::params;
use probe_core::{Capability, Descriptor, Need, Row, ScopeUse, SubProbe, SubProbes};

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "tcp",
    summary: "State, round trip, windows, losses and delays of TCP connections, by process and peer.",
    sub_probes: &[
        sub("tcp_abnormal", "Retransmissions, drops, resets and time-outs."),
        sub("tcp_windows", "Windows and bytes in flight."),
        sub("tcp_rtt", "Round trip times."),
        sub("tcp_stats", "Bytes and segments."),
        sub("tcp_sockbuf", "Socket buffer sizes."),
        sub("tcp_rate", "Retransmission and delayed acknowledgement timers."),
        sub("tcp_srtt", "Round trip time at connect."),
        // The only one that costs something with each segment.
        SubProbe { default: false, ..sub("tcp_delay", "Delay between the network and the application.") },
    ],
    scope: ScopeUse::Processes,
    params: params![SAMPLE_PERIOD, CLUSTER_IP_BACKEND, REPORT_CPORT, RINGBUF_MAP_SIZE, DEV_NAME],
    tables: &[tables::TcpLink::TABLE, tables::FlowPerf::TABLE],
    triggers: triggers::TRIGGERS,
    needs: NEEDS,
    build: Some(|env| Box::new(probe::Tcp::new(env))),
};

/// The capabilities that it needs.
const NEEDS: &[Need] = &[
    Need {
        capability: Capability::Bpf,
        sub_probes: &[],
        purpose: "load its programs",
        without: "nothing of it runs",
    },
    Need {
        capability: Capability::Perfmon,
        sub_probes: &[],
        purpose: "attach its programs to the kernel's tracepoints",
        without: "nothing of it runs",
    },
    Need {
        capability: Capability::SysResource,
        sub_probes: &[],
        purpose: "lock the memory of its maps, before Linux 5.11",
        without: "nothing of it runs where the limit of locked memory is small",
    },
    Need {
        capability: Capability::NetAdmin,
        sub_probes: &[],
        purpose: "ask connection tracking for the backend of a service's address, with `cluster_ip_backend`",
        without: "services are shown under their own address",
    },
];

const fn sub(name: &'static str, summary: &'static str) -> SubProbe {
    SubProbe::new(name, summary)
}

/// Which columns are shown, by sub-probe; and what this kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each sub-probe
struct Groups {
    abnormal: bool,
    windows: bool,
    rtt: bool,
    stats: bool,
    sockbuf: bool,
    rate: bool,
    srtt: bool,
    delay: bool,
    /// The kernel says which socket dropped a segment, and why.
    drops: bool,
    /// It can be asked when TCP is out of memory.
    out_of_memory: bool,
}

impl Groups {
    fn of(wanted: &SubProbes, drops: bool, out_of_memory: bool) -> Self {
        Self {
            abnormal: wanted.has("tcp_abnormal"),
            windows: wanted.has("tcp_windows"),
            rtt: wanted.has("tcp_rtt"),
            stats: wanted.has("tcp_stats"),
            sockbuf: wanted.has("tcp_sockbuf"),
            rate: wanted.has("tcp_rate"),
            srtt: wanted.has("tcp_srtt"),
            delay: wanted.has("tcp_delay"),
            drops,
            out_of_memory,
        }
    }

    /// Whether the table of connections is shown at all.
    fn links(&self) -> bool {
        self.abnormal || self.windows || self.rtt || self.stats || self.sockbuf || self.rate || self.srtt
    }

    /// What the programs shall sample.
    fn sampled(&self) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        bit(self.rtt, bpf::TCP_SAMPLE_RTT)
            | bit(self.srtt, bpf::TCP_SAMPLE_SYN)
            | bit(self.windows, bpf::TCP_SAMPLE_WINDOWS)
            | bit(self.rate, bpf::TCP_SAMPLE_RATE)
            | bit(self.sockbuf, bpf::TCP_SAMPLE_SOCKBUF)
    }
}
