//! What `baseinfo` asks the kernel's routing socket for; asking is the kit's.

pub(super) use probe_kit::netlink::{Netlink as Rtnl, attributes, u32_at};

/// Message types, linux/rtnetlink.h.
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_GETADDR: u16 = 22;
pub(super) const RTM_GETQDISC: u16 = 38;
