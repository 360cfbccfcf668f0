//! The tables of `tcp` and the bounds of their distributions, which the programs get from here.

use probe_core::table;

/// Upper bounds of round trip times, in microseconds.
pub(super) const RTT: &[u64; 5] = &[50, 100, 200, 500, 1000];
/// Of windows, in bytes or segments.
pub(super) const WIN: &[u64; 5] = &[1000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Of timers, in milliseconds.
pub(super) const RTO: &[u64; 5] = &[1000, 10_000, 20_000, 40_000, 80_000];
/// Of delays, in nanoseconds.
pub(super) const DELAY: &[u64; 5] = &[1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];
/// Of socket buffers, in bytes.
pub(super) const BUF: &[u64; 8] =
    &[128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20];

table! {
    /// A group of connections: those of a process in one role between the same addresses.
    pub(crate) struct TcpLink = "tcp_metric", entity "tcp_link", sub_probe "" {
        keys { tgid, comm, role, client_ip, toa_client_ip, server_ip, client_port, server_port, protocol }
        labels { }
        counter rx_bytes: Bytes = "Payload bytes received (tcp_stats), bytes_received of the sockets less the peers' FINs.";
        counter tx_bytes: Bytes = "Payload bytes sent once (tcp_stats), bytes_sent of the sockets less bytes_retrans.";
        counter segs_in: Count = "Segments received (tcp_stats), segs_in of the sockets.";
        counter segs_out: Count = "Segments sent (tcp_stats), segs_out of the sockets.";
        histogram(RTT) srtt: Microseconds = "Smoothed round trip time (tcp_rtt), one sample of each connection that moved in a sample_period and one at its end.";
        histogram(RTT) rcv_rtt: Microseconds = "Round trip time as the receiver estimates it (tcp_rtt), sampled like srtt once it is known.";
        histogram(WIN) snd_cwnd: Count = "Congestion window in segments (tcp_windows), sampled like srtt.";
        histogram(WIN) notsent_bytes: Bytes = "Bytes in the send queue that were not sent yet (tcp_windows), sampled like srtt.";
        histogram(WIN) notack_bytes: Bytes = "Bytes that were sent and not acknowledged yet (tcp_windows), sampled like srtt.";
        histogram(WIN) reordering: Count = "Reordering distance in segments that is tolerated (tcp_windows), sampled like srtt.";
        histogram(WIN) snd_wnd: Bytes = "Window that the peer offers (tcp_windows), sampled like srtt.";
        histogram(WIN) rcv_wnd: Bytes = "Window that is offered to the peer (tcp_windows), sampled like srtt.";
        histogram(WIN) avl_snd_wnd: Bytes = "Part of the peer's window that is free (tcp_windows), sampled like srtt.";
        counter zero_rcv_wnd_count: Count = "Samples in which the own window was closed (tcp_windows).";
        counter zero_snd_wnd_count: Count = "Samples in which the peer's window was closed (tcp_windows).";
        gauge zero_win_rx_ratio: Ratio = "Share of the last period's samples in which the own window was closed (tcp_windows).";
        gauge zero_win_tx_ratio: Ratio = "Share of the last period's samples in which the peer's window was closed (tcp_windows).";
        histogram(RTO) rto: Milliseconds = "Retransmission timeout (tcp_rate), sampled like srtt.";
        histogram(RTO) ato: Milliseconds = "Timeout of delayed acknowledgements (tcp_rate), sampled like srtt once it is known.";
        histogram(RTT) syn_srtt: Microseconds = "Round trip time of the handshake (tcp_srtt), one for each connection that was made while it was observed.";
        histogram(BUF) sk_rcvbuf: Bytes = "Limit of the receive buffer (tcp_sockbuf), sampled like srtt.";
        histogram(BUF) sk_sndbuf: Bytes = "Limit of the send buffer (tcp_sockbuf), sampled like srtt.";
        counter retran_packets: Count = "Segments sent again, SYNs included (tcp_abnormal), total_retrans of the sockets.";
        counter backlog_drops: Count = "Segments dropped because a busy socket's backlog was full (tcp_abnormal); needs the socket in the kernel's drop events, Linux 6.11.";
        counter sk_drops: Count = "Segments dropped by the sockets (tcp_abnormal), sk_drops of the sockets.";
        counter lost_out: Count = "Segments that were taken for lost (tcp_abnormal), lost of the sockets.";
        gauge sacked_out: Count = "Largest number of segments in the last period that were acknowledged out of order at a reading (tcp_abnormal).";
        counter filter_drops: Count = "Segments that a socket filter refused (tcp_abnormal); needs the socket in the kernel's drop events, Linux 6.11.";
        counter tmout_count: Count = "Connections that ended by a timeout (tcp_abnormal).";
        counter snd_buf_limit_count: Count = "Times that memory for sending was refused (tcp_abnormal), tracepoint sock_exceed_buf_limit.";
        counter rmem_scheduls: Count = "Segments dropped for want of receive memory (tcp_abnormal), a lower bound; needs the socket in the kernel's drop events, Linux 6.11.";
        counter tcp_oom: Count = "Verdicts that TCP is out of memory (tcp_abnormal), returns of tcp_check_oom; needs fexit.";
        counter send_rsts: Count = "Resets sent (tcp_abnormal), tracepoint tcp_send_reset.";
        counter receive_rsts: Count = "Resets received (tcp_abnormal), tracepoint tcp_receive_reset.";
        gauge retrans_ratio: Ratio = "Segments of the last period that were sent again, of all that were sent (tcp_abnormal).";
    }
}

table! {
    /// What a process waits for with one peer.
    pub(crate) struct FlowPerf = "proc_flow_perf", entity "proc_flow_perf", sub_probe "tcp_delay" {
        keys { tgid, role, remote_ip, server_port }
        labels { }
        histogram(DELAY) sys_delay: Nanoseconds = "Time from the arrival of data until the process reads it, tracepoints tcp_probe and tcp_rcv_space_adjust.";
        histogram(DELAY) net_delay: Nanoseconds = "Time from the return of a sending call until what it sent is acknowledged, if that was not before, tracepoints sock_send_length and tcp_probe.";
    }
}
