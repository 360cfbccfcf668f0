//! What holds of `baseinfo`'s parsers for any bytes.

use super::host::{addresses, facts};
use super::proc::{smaps, stat};
use super::{cpu, disk, fs, lockup, mem, net, nic, trouble};
use probe_kit::fuzz::Check;

/// Texts of /proc.
pub(crate) const TEXTS: &[Check] = &[
    cpu::parse::any_bytes,
    disk::any_bytes,
    fs::mountinfo::any_bytes,
    facts::any_bytes,
    mem::any_bytes,
    net::any_bytes,
    smaps::any_bytes,
    stat::any_bytes,
];

/// Answers over netlink.
pub(crate) const NETLINK: &[Check] = &[addresses::any_bytes, nic::qdisc::any_bytes];

/// A record of the kernel's log.
pub(crate) fn kernel_log(bytes: &[u8]) {
    lockup::any_bytes(bytes);
}

/// A record of `trouble.bpf.c`.
pub(crate) fn trouble(bytes: &[u8]) {
    trouble::any_bytes(bytes);
}
