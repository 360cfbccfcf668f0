//! What of the sockets is an event.

use super::tables::EndpointTcp;
use probe_core::{Row, Severity, Text, Trigger, When};

const fn of_endpoint(metric: &'static str, en: &'static str, zh: &'static str) -> Trigger {
    Trigger {
        table: EndpointTcp::TABLE,
        metric,
        when: When::Grew,
        severity: Severity::Warn,
        text: Text { en, zh },
        ip: "Client {client_ip}, Server {server_ip}:{server_port}",
        device: "",
    }
}

/// The triggers.
pub(super) static TRIGGERS: &[Trigger] = &[
    of_endpoint(
        "listendrop",
        "The listening socket dropped {value} connection requests.",
        "监听套接字丢弃了 {value} 个连接请求。",
    ),
    of_endpoint(
        "accept_overflow",
        "The accept queue was full for {value} connections.",
        "accept 队列溢出，影响 {value} 个连接。",
    ),
    of_endpoint(
        "syn_overflow",
        "The queue of handshakes was full for {value} connection requests.",
        "半连接队列溢出，影响 {value} 个连接请求。",
    ),
    of_endpoint("retran_synacks", "{value} SYN-ACKs were sent again.", "重传了 {value} 个 SYN-ACK。"),
    of_endpoint(
        "req_drops",
        "{value} handshakes under way were dropped.",
        "丢弃了 {value} 个进行中的握手请求。",
    ),
];
