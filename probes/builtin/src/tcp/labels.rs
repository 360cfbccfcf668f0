//! A series' key as labels. Pure.

use super::bpf;
use probe_core::{Label, ProcKey};
use probe_kit::bpf::abi;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Key of a series as the kernel has it.
pub(super) type Key = bpf::tcp_series_key;

/// Whose connections a series has.
pub(super) fn process(key: &Key) -> ProcKey {
    ProcKey { tgid: key.tgid, start_ticks: key.start_ticks }
}

/// The name of the process at the time; never empty, as no key label is.
pub(super) fn comm(key: &Key) -> Label {
    let end = key.comm.iter().position(|byte| *byte == 0).unwrap_or(key.comm.len());
    match String::from_utf8_lossy(key.comm.get(..end).unwrap_or_default()) {
        name if name.is_empty() => Label::new_static("-"),
        name => name.as_ref().into(),
    }
}

/// `client` or `server`.
pub(super) fn role_name(server: bool) -> Label {
    Label::new_static(if server { "server" } else { "client" })
}

/// Whether the process is the server.
pub(super) fn is_server(key: &Key) -> bool {
    u32::from(key.role) == abi::GOPHER_ROLE_SERVER
}

/// An address of `family`, as a key has both.
pub(super) fn address(family: u16, bytes: [u8; 16]) -> IpAddr {
    if u32::from(family) == abi::GOPHER_FAMILY_IPV6 {
        return Ipv6Addr::from(bytes).into();
    }
    let [a, b, c, d, ..] = bytes;
    Ipv4Addr::new(a, b, c, d).into()
}

/// A number as a label.
pub(super) fn number(value: impl itoa::Integer) -> Label {
    itoa::Buffer::new().format(value).into()
}

/// Any address or the like as a label.
pub(super) fn text(value: impl std::fmt::Display) -> Label {
    let mut label = smol_str::SmolStrBuilder::new();
    // Writing to memory does not fail.
    let _ = std::fmt::Write::write_fmt(&mut label, format_args!("{value}"));
    label.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_in_their_family() {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[127, 0, 0, 1]);
        assert_eq!(text(address(2, bytes)), "127.0.0.1");
        assert_eq!(text(address(10, Ipv6Addr::LOCALHOST.octets())), "::1");
    }

    #[test]
    fn a_name_ends_at_its_first_zero_and_is_never_empty() {
        let named = |bytes: &[u8]| {
            let mut key = Key::default();
            key.comm[..bytes.len()].copy_from_slice(bytes);
            comm(&key)
        };
        assert_eq!(named(b"nginx\0rest"), "nginx");
        assert_eq!(named(b"sixteen bytes ha"), "sixteen bytes ha");
        assert_eq!(named(b""), "-");
        assert_eq!(named(b"a\xff"), "a\u{fffd}");
    }
}
