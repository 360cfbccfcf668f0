//! `socket`: how TCP connections are set up, what listening sockets drop, and what UDP sockets move and drop.
//!
//! Owns the programs (`socket.bpf.c`), their jobs and the tables. `kernel` runs the programs and reads what they
//! counted; `listeners`, `overflow`, `tcp` and `udp` decide whose it is and keep it, without a system call; `probe`
//! is the loop. Which processes are in scope is decided by the daemon; the programs only look it up.

#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod jobs;
mod kernel;
mod labels;
mod listeners;
mod netns;
mod overflow;
mod probe;
mod tables;
mod tcp;
#[cfg(test)]
mod tests;
mod triggers;
mod udp;

probe_kit::bpf_object!("socket");

use crate::params::params;
use probe_core::{Descriptor, Row as _, ScopeUse, SubProbe};

/// The sub-probe of TCP.
const TCP: &str = "tcp_socket";

/// The sub-probe of UDP.
const UDP: &str = "udp_socket";

/// The feature.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "socket",
    summary: "Connection set-up, listen queues and errors of TCP and UDP sockets.",
    sub_probes: &[
        SubProbe::new(
            TCP,
            "Connections that were opened, failed, waited or were dropped, by process and peer.",
        ),
        SubProbe::new(
            UDP,
            "Bytes sent and received, and datagrams dropped at a full socket, by process and socket.",
        ),
    ],
    scope: ScopeUse::Processes,
    params: params![CLUSTER_IP_BACKEND, RINGBUF_MAP_SIZE],
    tables: &[tables::EndpointTcp::TABLE, tables::EndpointUdp::TABLE],
    triggers: triggers::TRIGGERS,
    needs: jobs::NEEDS,
    build: Some(|env| Box::new(probe::Socket::new(env))),
};
