//! The host's IP addresses, from the routing socket: which there are, which of them count, and the label
//! that they make.

use super::super::rtnl::{RTM_GETADDR, RTM_GETLINK, Rtnl, attributes, u32_at};
use probe_core::Label;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// An address of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Address {
    device: u32,
    ip: IpAddr,
}

/// What matters of a device.
#[derive(Clone, Debug, PartialEq)]
struct Link {
    name: String,
    /// Up, and not the loopback device.
    counts: bool,
}

/// Longest label in bytes; addresses that do not fit are left out and counted.
const MAX_LABEL: usize = 1024;

/// The addresses that count, in the kernel's order: IPv4 first. Only the devices of addresses are asked
/// for, so a host with a thousand container devices costs no more than its own.
pub(super) fn read(socket: &mut Rtnl, chosen: &[String]) -> io::Result<Vec<IpAddr>> {
    let all = socket.list(RTM_GETADDR, &[0; IFADDRMSG], address)?;
    let mut links: HashMap<u32, Option<Link>> = HashMap::new();
    let mut found = Vec::new();
    for address in all.into_iter().filter(|address| !is_link_local(address.ip)) {
        let known = links.entry(address.device).or_insert_with(|| {
            // struct ifinfomsg; a device that has just gone is refused, and so left out.
            let mut request = [0; IFINFOMSG];
            request[4..8].copy_from_slice(&address.device.to_ne_bytes());
            socket.get(RTM_GETLINK, &request, link).ok().flatten()
        });
        if known.as_ref().is_some_and(|link| is_wanted(link, chosen)) {
            found.push(address.ip);
        }
    }
    Ok(found)
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn is_wanted(link: &Link, chosen: &[String]) -> bool {
    link.counts && (chosen.is_empty() || chosen.contains(&link.name))
}

/// The addresses separated by blanks, and how many did not fit.
pub(super) fn label(addresses: &[IpAddr]) -> (Label, u64) {
    let mut out = String::new();
    let mut left_out = 0;
    for address in addresses {
        let text = address.to_string();
        if out.len() + 1 + text.len() > MAX_LABEL {
            left_out += 1;
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&text);
    }
    (out.into(), left_out)
}

/// Lengths of struct ifaddrmsg and struct ifinfomsg, linux/if_addr.h and linux/rtnetlink.h.
const IFADDRMSG: usize = 8;
const IFINFOMSG: usize = 16;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;

fn address(body: &[u8]) -> Option<Address> {
    let device = u32_at(body, 4)?;
    let mut found = None;
    for (kind, value) in attributes(body.get(IFADDRMSG..)?) {
        // On a point-to-point device the address is the peer's and the local one is ours.
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && found.is_none()) {
            found = ip(value);
        }
    }
    found.map(|ip| Address { device, ip })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
        16 => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
        _ => None,
    }
}

fn link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let (_, name) = attributes(body.get(IFINFOMSG..)?).find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    Some(Link {
        name: String::from_utf8_lossy(name).into_owned(),
        counts: flags & IFF_UP != 0 && flags & IFF_LOOPBACK == 0,
    })
}

/// What holds of any bytes as an answer: an address and a name are in it.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    let has = |part: &[u8]| part.is_empty() || bytes.windows(part.len()).any(|window| window == part);
    if let Some(Address { ip, .. }) = address(bytes) {
        assert!(match ip {
            IpAddr::V4(ip) => has(&ip.octets()),
            IpAddr::V6(ip) => has(&ip.octets()),
        });
    }
    if let Some(Link { name, .. }) = link(bytes) {
        assert!(!name.contains('\0') && (name.contains('\u{fffd}') || has(name.as_bytes())), "{name:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::UdpSocket;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = u16::try_from(4 + value.len()).expect("short").to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn the_local_address_of_a_point_to_point_device_is_ours() {
        let mut body = vec![2, 32, 0, 0, 5, 0, 0, 0];
        body.extend(attribute(IFA_ADDRESS, &[10, 0, 0, 2]));
        body.extend(attribute(IFA_LOCAL, &[10, 0, 0, 1]));
        let ours = address(&body).expect("an address");
        assert_eq!(ours.ip, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(ours.device, u32::from_ne_bytes([5, 0, 0, 0]));
    }

    #[test]
    fn devices_that_are_down_or_loop_back_or_were_not_chosen_do_not_count() {
        let link = |flags: u32, name: &str| {
            let mut body = vec![0; IFINFOMSG];
            body[8..12].copy_from_slice(&flags.to_ne_bytes());
            body.extend(attribute(IFLA_IFNAME, format!("{name}\0").as_bytes()));
            super::link(&body).expect("a link")
        };
        assert!(is_wanted(&link(IFF_UP, "eth0"), &[]));
        assert!(is_wanted(&link(IFF_UP, "eth0"), &["eth0".into()]));
        assert!(!is_wanted(&link(IFF_UP, "eth0"), &["eth".into()]));
        assert!(!is_wanted(&link(0, "eth0"), &[]));
        assert!(!is_wanted(&link(IFF_UP | IFF_LOOPBACK, "lo"), &["lo".into()]));
        assert!(is_link_local("fe80::1".parse().expect("address")));
        assert!(!is_link_local("2001:db8::1".parse().expect("address")));
    }

    #[test]
    fn a_label_that_would_be_too_long_leaves_addresses_out_and_says_how_many() {
        let one: IpAddr = "192.0.2.1".parse().expect("address");
        let two: IpAddr = "2001:db8::1".parse().expect("address");
        assert_eq!(label(&[one, two]), ("192.0.2.1 2001:db8::1".into(), 0));
        let (text, left_out) = label(&[one; 200]);
        assert!(text.len() <= MAX_LABEL);
        assert_eq!(text.split(' ').count() as u64 + left_out, 200);
    }

    #[test]
    fn each_address_found_here_is_one_that_a_socket_can_be_bound_to() {
        let mut socket = Rtnl::open().expect("a socket");
        for address in read(&mut socket, &[]).expect("read") {
            assert!(!address.is_loopback());
            UdpSocket::bind((address, 0)).expect("an address of this host");
        }
        assert_eq!(read(&mut socket, &["no-such-dev".into()]).expect("read"), [] as [IpAddr; 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>) {
            let _ = (address(&bytes), link(&bytes));
        }
    }
}
