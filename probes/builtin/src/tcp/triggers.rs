//! What of the connections is an event.

use super::tables::TcpLink;
use probe_core::params::{DROPS_THR, LATENCY_THR, RES_UPPER_THR};
use probe_core::{Row, Severity, Text, Trigger, When};

const DROPS: When = When::GrewBy { threshold: &DROPS_THR, scale: 1.0 };
/// A share, against percent.
const SHARE: When = When::Above { threshold: &RES_UPPER_THR, scale: 100.0 };

const fn of_link(metric: &'static str, when: When, en: &'static str, zh: &'static str) -> Trigger {
    Trigger {
        table: TcpLink::TABLE,
        metric,
        when,
        severity: Severity::Warn,
        text: Text { en, zh },
        ip: "CIP({client_ip}), SIP({server_ip}:{server_port})",
        device: "",
    }
}

/// The triggers.
pub(super) static TRIGGERS: &[Trigger] = &[
    of_link(
        "tcp_oom",
        When::Grew,
        "The kernel found TCP to be out of memory {value} times.",
        "内核 {value} 次判定 TCP 内存不足。",
    ),
    of_link(
        "backlog_drops",
        DROPS,
        "{value} segments were dropped because the socket's backlog was full, more than {threshold}.",
        "因套接字积压队列已满丢弃了 {value} 个报文段，超过 {threshold}。",
    ),
    of_link(
        "filter_drops",
        DROPS,
        "A socket filter refused {value} segments, more than {threshold}.",
        "套接字过滤器拒绝了 {value} 个报文段，超过 {threshold}。",
    ),
    of_link(
        "sk_drops",
        DROPS,
        "The socket dropped {value} segments, more than {threshold}.",
        "套接字丢弃了 {value} 个报文段，超过 {threshold}。",
    ),
    of_link(
        "lost_out",
        DROPS,
        "{value} segments were taken for lost, more than {threshold}.",
        "{value} 个报文段被判定为丢失，超过 {threshold}。",
    ),
    of_link(
        "sacked_out",
        // A level: the most that were so at one time in the period.
        When::Above { threshold: &DROPS_THR, scale: 1.0 },
        "{value} segments were acknowledged out of order, more than {threshold}.",
        "{value} 个报文段被乱序确认，超过 {threshold}。",
    ),
    of_link(
        "retran_packets",
        DROPS,
        "{value} segments were sent again, more than {threshold}.",
        "重传了 {value} 个报文段，超过 {threshold}。",
    ),
    of_link(
        "zero_win_rx_ratio",
        SHARE,
        "The own receive window was closed {value}% of the time, more than {threshold}%.",
        "本端接收窗口有 {value}% 的时间为零，超过 {threshold}%。",
    ),
    of_link(
        "zero_win_tx_ratio",
        SHARE,
        "The peer's window was closed {value}% of the time, more than {threshold}%.",
        "对端窗口有 {value}% 的时间为零，超过 {threshold}%。",
    ),
    of_link(
        "syn_srtt_max",
        // Microseconds, against milliseconds.
        When::Above { threshold: &LATENCY_THR, scale: 0.001 },
        "A handshake took {value} ms, more than {threshold} ms.",
        "一次握手耗时 {value} ms，超过 {threshold} ms。",
    ),
];
