//! `cluster_ip_backend`: asking the kernel's connection tracking where a connection to a service's address really
//! goes, one question for each connection, over netlink. Which connections are asked about is the probes'.

use crate::netlink::{Netlink, attributes};
use crate::privilege::raise;
use probe_core::{Capability, Outcome, Params, params};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `IPCTNL_MSG_CT_GET` of `NFNL_SUBSYS_CTNETLINK`, linux/netfilter/nfnetlink_conntrack.h.
const GET: u16 = 1 << 8 | 1;
/// An attribute that has attributes.
const NESTED: u16 = 1 << 15;

// enum ctattr_type, ctattr_tuple, ctattr_ip, ctattr_l4proto.
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const V4_SRC: u16 = 1;
const V4_DST: u16 = 2;
const V6_SRC: u16 = 3;
const V6_DST: u16 = 4;
const PROTO_NUM: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;

/// struct nfgenmsg: family, version, resource.
const HEADER: usize = 4;
const TCP: u8 = 6;

/// Both ends of a connection as the client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who connected.
    pub client: SocketAddr,
    /// What it connected to.
    pub server: SocketAddr,
}

/// What the parameter `cluster_ip_backend` makes of this host.
#[derive(Debug, Default)]
pub enum Backends {
    /// Not asked for.
    #[default]
    Off,
    /// Connection tracking is asked.
    Tracked(Conntrack),
    /// Asked for, and not to be had; a sentence.
    Lacking(String),
}

impl Backends {
    /// As the parameters have it.
    pub fn of(params: &Params) -> Self {
        match params.int(&params::CLUSTER_IP_BACKEND) {
            0 => Self::Off,
            1 => Conntrack::open().map_or_else(Self::Lacking, Self::Tracked),
            _ => Self::Lacking(
                "cluster_ip_backend 2: the feature flowtracer, not supported in the current version".into(),
            ),
        }
    }

    /// What is lacking.
    pub fn lacking(&self) -> Option<&str> {
        if let Self::Lacking(lacking) = self { Some(lacking) } else { None }
    }

    /// Says what is lacking, of the sub-probes that `concerned` chooses.
    pub fn tell(&self, outcome: &mut Outcome, concerned: impl Fn(&str) -> bool) {
        let Some(lacking) = self.lacking() else { return };
        for sub in outcome.sub_probes.iter_mut().filter(|sub| concerned(sub.name)) {
            sub.lacks.push(lacking.to_owned());
        }
    }
}

/// The table of the daemon's network namespace.
#[derive(Debug)]
pub struct Conntrack(Netlink);

impl Conntrack {
    /// Opens it and asks once, so that what is missing is known; the error says what.
    fn open() -> Result<Self, String> {
        let refused =
            |error: io::Error| format!("cluster_ip_backend: connection tracking of the kernel: {error}");
        let mut table = Self(Netlink::netfilter().map_err(refused)?);
        let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        table.backend(&Connection { client: nobody, server: nobody }).map_err(refused)?;
        Ok(table)
    }

    /// Who answers the connection; `None` if it is not tracked.
    pub fn backend(&mut self, connection: &Connection) -> io::Result<Option<SocketAddr>> {
        let _right = raise(&[Capability::NetAdmin]);
        match self.0.get(GET, &question(connection), answer) {
            Ok(found) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn attribute(kind: u16, value: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The tuple as the client sent it.
fn question(connection: &Connection) -> Vec<u8> {
    let (mut ip, mut proto) = (Vec::new(), Vec::new());
    let family = match (connection.client.ip(), connection.server.ip()) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            attribute(V4_SRC, &client.octets(), &mut ip);
            attribute(V4_DST, &server.octets(), &mut ip);
            2
        }
        (client, server) => {
            let bytes = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            attribute(V6_SRC, &bytes(client), &mut ip);
            attribute(V6_DST, &bytes(server), &mut ip);
            10
        }
    };
    attribute(PROTO_NUM, &[TCP], &mut proto);
    attribute(PROTO_SRC_PORT, &connection.client.port().to_be_bytes(), &mut proto);
    attribute(PROTO_DST_PORT, &connection.server.port().to_be_bytes(), &mut proto);
    let mut tuple = Vec::new();
    attribute(TUPLE_IP | NESTED, &ip, &mut tuple);
    attribute(TUPLE_PROTO | NESTED, &proto, &mut tuple);
    let mut out = vec![family, 0, 0, 0];
    attribute(TUPLE_ORIG | NESTED, &tuple, &mut out);
    out
}

fn child(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| found & !NESTED == kind).map(|(_, value)| value)
}

/// Where the answers come from: the source of the reply.
fn answer(body: &[u8]) -> Option<SocketAddr> {
    let reply = child(body.get(HEADER..)?, TUPLE_REPLY)?;
    let ip = child(reply, TUPLE_IP)?;
    let address: IpAddr = match child(ip, V4_SRC) {
        Some(bytes) => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
        None => Ipv6Addr::from(*child(ip, V6_SRC)?.first_chunk::<16>()?).into(),
    };
    let port = child(child(reply, TUPLE_PROTO)?, PROTO_SRC_PORT)?;
    Some(SocketAddr::new(address, u16::from_be_bytes(*port.first_chunk()?)))
}

/// What holds of any bytes as an answer: its address and its port are in it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let Some(found) = answer(bytes) else { return };
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let address = match found.ip() {
        IpAddr::V4(ip) => has(&ip.octets()),
        IpAddr::V6(ip) => has(&ip.octets()),
    };
    assert!(address && has(&found.port().to_be_bytes()), "{found} is not in the answer");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn connection(client: &str, server: &str) -> Connection {
        Connection {
            client: client.parse().expect("an address"),
            server: server.parse().expect("an address"),
        }
    }

    /// What the kernel answers has the same shape, with the reply beside it.
    fn answered(reply: &Connection) -> Vec<u8> {
        let mut body = question(&connection("10.0.0.1:1", "10.96.0.1:80"));
        let tuple = question(reply);
        let tuple = child(&tuple[HEADER..], TUPLE_ORIG).expect("a tuple").to_vec();
        attribute(TUPLE_REPLY | NESTED, &tuple, &mut body);
        body
    }

    #[test]
    fn the_source_of_the_reply_is_the_backend() {
        for backend in ["10.1.2.3:8080", "[fd00::7]:8080"] {
            let reply =
                connection(backend, if backend.starts_with('[') { "[fd00::1]:1" } else { "10.0.0.1:1" });
            assert_eq!(answer(&answered(&reply)), Some(backend.parse().expect("an address")));
        }
        assert_eq!(answer(&question(&connection("10.0.0.1:1", "10.96.0.1:80"))), None, "no reply");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = answer(&bytes);
        }
    }
}
