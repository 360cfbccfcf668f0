//! Label texts of what the kernel counted.

use probe_core::{Label, SmolStr};
use probe_kit::bpf::abi;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A number in decimal.
pub(super) fn number(value: impl itoa::Integer) -> Label {
    SmolStr::new(itoa::Buffer::new().format(value))
}

/// An address of a tuple's family: IPv4 lies in the first four bytes.
pub(super) fn ip(ip: [u8; 16], family: u16) -> IpAddr {
    if u32::from(family) == abi::GOPHER_FAMILY_IPV4 {
        let [a, b, c, d, ..] = ip;
        return Ipv4Addr::new(a, b, c, d).into();
    }
    Ipv6Addr::from(ip).into()
}

/// The same as text.
pub(super) fn address(bytes: [u8; 16], family: u16) -> Label {
    smol_str::format_smolstr!("{}", ip(bytes, family))
}

/// The name of a process, up to its NUL. A process chooses it, so it may be anything.
pub(super) fn comm(bytes: [u8; 16]) -> Label {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    SmolStr::new(String::from_utf8_lossy(&bytes[..end]))
}

/// `client` or `server`.
pub(super) fn role(server: bool) -> Label {
    SmolStr::new_static(if server { "server" } else { "client" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_by_their_family() {
        let mut ip = [0; 16];
        ip[..4].copy_from_slice(&[127, 0, 0, 9]);
        assert_eq!(address(ip, 2), "127.0.0.9");
        assert_eq!(address([0; 16], 2), "0.0.0.0");
        assert_eq!(address([0; 16], 10), "::");
        assert_eq!(address(Ipv6Addr::LOCALHOST.octets(), 10), "::1");
    }

    #[test]
    fn a_name_ends_at_its_nul_and_need_not_be_text() {
        let mut name = [0; 16];
        name[..5].copy_from_slice(b"nginx");
        assert_eq!(comm(name), "nginx");
        assert_eq!(comm([b'x'; 16]).len(), 16);
        assert_eq!(comm([0xff; 16]).chars().next(), Some('\u{fffd}'));
    }
}
