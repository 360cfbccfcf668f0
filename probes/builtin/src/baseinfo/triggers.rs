//! What of the host's levels and counters is an event.

use super::{cpu, disk, fs, lockup, mem, nic, proc, trouble};
use probe_core::params::{DROPS_THR, RES_UPPER_THR};
use probe_core::{Row, Severity, Table, Text, Trigger, When};

/// A share in percent.
const FULL: When = When::Above { threshold: &RES_UPPER_THR, scale: 1.0 };
/// Packets of a device.
const DROPS: When = When::GrewBy { threshold: &DROPS_THR, scale: 1.0 };

const fn warn(table: &'static Table, metric: &'static str, when: When, text: Text) -> Trigger {
    Trigger { table, metric, when, severity: Severity::Warn, text, ip: "", device: "" }
}

const fn of_device(
    table: &'static Table,
    device: &'static str,
    metric: &'static str,
    when: When,
    text: Text,
) -> Trigger {
    Trigger { device, ..warn(table, metric, when, text) }
}

/// The triggers.
pub(super) static TRIGGERS: &[Trigger] = &[
    warn(
        cpu::TotalRow::TABLE,
        "total_used_per",
        FULL,
        Text {
            en: "The CPUs are {value}% busy, more than {threshold}%.",
            zh: "CPU 使用率为 {value}%，超过 {threshold}%。",
        },
    ),
    warn(
        mem::MemRow::TABLE,
        "util",
        FULL,
        Text {
            en: "{value}% of the memory is in use, more than {threshold}%.",
            zh: "内存使用率为 {value}%，超过 {threshold}%。",
        },
    ),
    warn(
        mem::MemRow::TABLE,
        "swap_util",
        FULL,
        Text {
            en: "{value}% of the swap space is in use, more than {threshold}%.",
            zh: "交换空间使用率为 {value}%，超过 {threshold}%。",
        },
    ),
    warn(
        fs::SystemDf::TABLE,
        "IUsePer",
        FULL,
        Text {
            en: "{value}% of the inodes of {MountOn} ({Fsname}) are in use, more than {threshold}%.",
            zh: "{MountOn}（{Fsname}）的 inode 使用率为 {value}%，超过 {threshold}%。",
        },
    ),
    warn(
        fs::SystemDf::TABLE,
        "UsePer",
        FULL,
        Text {
            en: "{value}% of the space of {MountOn} ({Fsname}) is in use, more than {threshold}%.",
            zh: "{MountOn}（{Fsname}）的空间使用率为 {value}%，超过 {threshold}%。",
        },
    ),
    of_device(
        disk::SystemIostat::TABLE,
        "disk_name",
        "util",
        FULL,
        Text {
            en: "Disk {disk_name} was busy {value}% of the time, more than {threshold}%.",
            zh: "磁盘 {disk_name} 的繁忙率为 {value}%，超过 {threshold}%。",
        },
    ),
    of_device(
        nic::NicRow::TABLE,
        "dev_name",
        "tx_dropped",
        DROPS,
        Text {
            en: "{dev_name} dropped {value} packets that were to be sent, more than {threshold}.",
            zh: "网卡 {dev_name} 丢弃了 {value} 个待发送的报文，超过 {threshold}。",
        },
    ),
    of_device(
        nic::NicRow::TABLE,
        "dev_name",
        "rx_dropped",
        DROPS,
        Text {
            en: "{dev_name} dropped {value} packets that had arrived, more than {threshold}.",
            zh: "网卡 {dev_name} 丢弃了 {value} 个收到的报文，超过 {threshold}。",
        },
    ),
    of_device(
        nic::NicRow::TABLE,
        "dev_name",
        "tx_errs",
        DROPS,
        Text {
            en: "{dev_name} had {value} errors while sending, more than {threshold}.",
            zh: "网卡 {dev_name} 发送出错 {value} 次，超过 {threshold}。",
        },
    ),
    of_device(
        nic::NicRow::TABLE,
        "dev_name",
        "rx_errs",
        DROPS,
        Text {
            en: "{dev_name} had {value} errors while receiving, more than {threshold}.",
            zh: "网卡 {dev_name} 接收出错 {value} 次，超过 {threshold}。",
        },
    ),
    warn(
        proc::SystemProc::TABLE,
        "fd_free_per",
        When::FreeBelow { threshold: &RES_UPPER_THR },
        Text {
            en: "Process {tgid} can open only {value}% more of its descriptors, less than {threshold}%.",
            zh: "进程 {tgid} 可用的文件描述符仅剩 {value}%，低于 {threshold}%。",
        },
    ),
    lockup::TRIGGER,
    trouble::OOM_TRIGGER,
    trouble::HUNG_TASK_TRIGGER,
];
