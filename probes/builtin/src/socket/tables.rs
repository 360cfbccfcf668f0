//! The two tables.

use super::bpf::{SOCKET_LATENCY_BOUNDS, SOCKET_LATENCY_SLOTS};

/// Upper bounds of `estab_latency` in nanoseconds: those of the original's class EST.
pub(super) const LATENCY_BOUNDS: [u64; SOCKET_LATENCY_BOUNDS as usize] =
    [3_000_000, 10_000_000, 50_000_000, 100_000_000, 500_000_000, 1_000_000_000, 10_000_000_000];

const _: () = assert!(LATENCY_BOUNDS.len() + 1 == SOCKET_LATENCY_SLOTS as usize);

probe_core::table! {
    /// Connections of a process to or from one address at one server port; or a listening socket, which has no
    /// client's address.
    pub(super) struct EndpointTcp = "endpoint_tcp", entity "endpoint_tcp", sub_probe "tcp_socket" {
        keys { tgid, comm, role, client_ip, toa_client_ip, server_ip, server_port, protocol }
        labels { multi }
        counter listendrop: Count = "Connection requests that the listening socket dropped, for whatever reason; its sk_drops.";
        counter accept_overflow: Count = "Those of them that found the accept queue full: ListenOverflows of the network namespace, given to the listening sockets whose drops grew; a lower bound when several did.";
        counter syn_overflow: Count = "Those of them that found the queue of handshakes full: TCPReqQFullDrop of the network namespace, given likewise; a lower bound when several sockets dropped.";
        counter passive_open: Count = "Connections that the listening socket took, at the end of their handshake; tracepoint inet_sock_set_state.";
        counter passive_open_failed: Count = "Connections that ended before anybody accepted them, when their socket stopped to listen or while it was being made; a lower bound, because a handshake that never ends is no socket yet.";
        counter retran_synacks: Count = "SYN-ACKs sent again; tracepoint tcp_retransmit_synack.";
        counter retran_syn: Count = "SYNs sent again; tracepoint tcp_retransmit_skb in SYN_SENT.";
        counter req_drops: Count = "Handshakes under way that were dropped because the socket stopped to listen; tracepoint inet_sock_set_state.";
        counter active_open: Count = "Successful connects; tracepoint inet_sock_set_state.";
        counter active_open_failed: Count = "Connects that were refused, timed out or were given up; tracepoint inet_sock_set_state.";
        counter syn_sent: Count = "Connects that were begun, each with a first SYN; tracepoint inet_sock_set_state.";
        counter syn_drop: Count = "SYNs dropped on this host because the neighbour could not be resolved; tracepoint kfree_skb.";
        counter synack_sent: Count = "SYN-ACKs sent, a lower bound: the connections taken and the SYN-ACKs sent again.";
        histogram(&LATENCY_BOUNDS) estab_latency: Nanoseconds = "Time to establish a connection: of a client from connect to the SYN-ACK, of a server from the SYN-ACK to the client's answer.";
    }
}

probe_core::table! {
    /// A UDP socket of a process.
    pub(super) struct EndpointUdp = "endpoint_udp", entity "endpoint_udp", sub_probe "udp_socket" {
        keys { tgid, local_ip, local_port, remote_ip, remote_port, protocol }
        labels { }
        counter udp_rcv_drops: Bytes = "Payload of datagrams dropped because the receive queue was full; tracepoint udp_fail_queue_rcv_skb where it has the datagram.";
        counter udp_rcv_drop_packets: Count = "Datagrams dropped because the receive queue was full; tracepoint udp_fail_queue_rcv_skb.";
        counter bind_sends: Bytes = "Payload sent; tracepoint sock_send_length.";
        counter bind_rcvs: Bytes = "Payload received; tracepoint sock_recv_length.";
    }
}
