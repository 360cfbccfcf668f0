//! What holds of the probes' parsers for any bytes, by where the bytes come from. The first byte says which parser.

use crate::registry::{baseinfo, container, io, proc, socket};
use probe_kit::fuzz::{self as kit, Check, choose};

/// Texts of /proc, /sys and the cgroups.
pub fn kernel_text(bytes: &[u8]) {
    choose(bytes, &[kit::TEXTS, baseinfo::fuzz::TEXTS, container::fuzz::TEXTS, OTHERS]);
}

const OTHERS: &[Check] = &[socket::fuzz::netstat, proc::fuzz::maps];

/// Records of the kernel's log.
pub fn kernel_log(bytes: &[u8]) {
    baseinfo::fuzz::kernel_log(bytes);
}

/// Answers over netlink.
pub fn netlink(bytes: &[u8]) {
    choose(bytes, &[kit::NETLINK, baseinfo::fuzz::NETLINK]);
}

/// Records and map entries of our own programs, which hold what processes chose.
pub fn bpf_records(bytes: &[u8]) {
    choose(bytes, &[kit::RECORDS, RECORDS]);
}

const RECORDS: &[Check] =
    &[baseinfo::fuzz::trouble, io::failure::any_bytes, socket::fuzz::holders, proc::fuzz::lookups];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for target in [kernel_text, kernel_log, netlink, bpf_records] {
                target(&bytes);
            }
        }
    }
}
