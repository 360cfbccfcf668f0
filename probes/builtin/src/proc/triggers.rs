//! What in the tables is an event.

use super::tables::{ProcCpu, ProcDns, ProcIo, ProcSyscall};
use probe_core::{Row as _, Severity, Table, Text, Trigger, When, params};

const NS_TO_MS: f64 = 1e-6;
const RATIO_TO_PERCENT: f64 = 100.0;

const fn warn(
    table: &'static Table,
    metric: &'static str,
    when: When,
    en: &'static str,
    zh: &'static str,
) -> Trigger {
    Trigger { table, metric, when, severity: Severity::Warn, text: Text { en, zh }, ip: "", device: "" }
}

/// Every trigger of the feature.
pub(super) static TRIGGERS: &[Trigger] = &[
    warn(
        ProcSyscall::TABLE,
        "syscall_failed",
        When::GrewBy { threshold: &params::DROPS_THR, scale: 1.0 },
        "{value} system calls failed within a report period.",
        "一个上报周期内有 {value} 次系统调用失败。",
    ),
    warn(
        ProcCpu::TABLE,
        "iowait_ns",
        When::Above { threshold: &params::LATENCY_THR, scale: NS_TO_MS },
        "A thread waited {value} ns for I/O.",
        "线程等待 I/O 达 {value} 纳秒。",
    ),
    warn(
        ProcIo::TABLE,
        "hang_count",
        When::Grew,
        "The kernel found a thread hanging ({value} times within a report period).",
        "内核发现线程挂起(一个上报周期内 {value} 次)。",
    ),
    warn(
        ProcIo::TABLE,
        "bio_err_count",
        When::Grew,
        "{value} block I/O requests failed within a report period.",
        "一个上报周期内有 {value} 次块设备 I/O 失败。",
    ),
    warn(
        ProcDns::TABLE,
        "error_ratio",
        When::Above { threshold: &params::RES_UPPER_THR, scale: RATIO_TO_PERCENT },
        "Lookups of {domain} failed, {value} of all.",
        "域名 {domain} 解析失败,比例 {value}。",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::Kind;

    #[test]
    fn every_trigger_watches_a_column_of_the_right_kind() {
        for trigger in TRIGGERS {
            let column = trigger.table.columns.iter().find(|column| column.name == trigger.metric);
            let kind = column.unwrap_or_else(|| panic!("{}", trigger.metric)).kind;
            let wanted = match trigger.when {
                When::GrewBy { .. } | When::Grew => Kind::Counter,
                _ => Kind::Gauge,
            };
            assert_eq!(kind, wanted, "{}", trigger.metric);
        }
    }
}
