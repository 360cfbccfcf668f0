//! What of the devices is an event.

use super::tables::{IoErr, IoLatency};
use probe_core::params::LATENCY_THR;
use probe_core::{Row as _, Severity, Text, Trigger, When};

/// The triggers.
pub(super) static TRIGGERS: &[Trigger] = &[
    Trigger {
        table: IoLatency::TABLE,
        metric: "latency_req_max",
        // Nanoseconds, against milliseconds.
        when: When::Above { threshold: &LATENCY_THR, scale: 1e-6 },
        severity: Severity::Warn,
        text: Text {
            en: "The longest request of {blk_name} (disk {disk_name}) took {value} ms, more than {threshold} ms.",
            zh: "{blk_name}（磁盘 {disk_name}）耗时最长的请求用了 {value} ms，超过 {threshold} ms。",
        },
        ip: "",
        device: "blk_name",
    },
    FAILED,
];

/// A request that failed.
const FAILED: Trigger = Trigger {
    table: IoErr::TABLE,
    metric: "err_code",
    when: When::Told,
    severity: Severity::Warn,
    text: Text {
        en: "A request of {blk_name} (disk {disk_name}) failed: {op} of {size} bytes at sector {sector} by {comm} ({pid}): {error} ({code}).",
        zh: "{blk_name}（磁盘 {disk_name}）的请求失败：{comm}（{pid}）在扇区 {sector} 处 {op} {size} 字节：{error}（{code}）。",
    },
    ip: "",
    device: "blk_name",
};

/// That of failures, which the probe tells itself.
pub(super) static REQUEST_FAILED: &Trigger = &FAILED;
