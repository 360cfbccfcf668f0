//! `cluster_ip_backend`: a client's connections to a service's address are shown under the address of the backend
//! that answers them. Owns what is remembered of each connection; asking is `probe_kit::conntrack`'s. Pure.
//!
//! The programs then tell connections apart by the client's port, which is what connection tracking is asked with;
//! here it is taken out of the key again, unless it was asked for.

use super::labels::{self, Key};
use probe_kit::conntrack::Connection;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Connections that are remembered; more are shown as they are and counted.
const MAX_CONNECTIONS: usize = 65_536;

/// What was found out of each connection that lives.
#[derive(Debug, Default)]
pub(super) struct Known {
    known: HashMap<Key, Option<SocketAddr>>,
    over: u64,
}

impl Known {
    /// `key` with the backend in place of a service's address, asking `find` the first time.
    pub(super) fn shown(
        &mut self,
        key: &Key,
        find: impl FnOnce(&Connection) -> Option<SocketAddr>,
        client_ports: bool,
    ) -> Key {
        let mut shown = *key;
        if !client_ports {
            shown.client_port = 0;
        }
        if labels::is_server(key) || key.client_port == 0 {
            return shown;
        }
        let backend = match self.known.get(key) {
            Some(known) => *known,
            None if self.known.len() >= MAX_CONNECTIONS => {
                self.over += 1;
                None
            }
            None => {
                let end = |ip, port| SocketAddr::new(labels::address(key.family, ip), port);
                let connection = Connection {
                    client: end(key.client_ip, key.client_port),
                    server: end(key.server_ip, key.server_port),
                };
                let found = find(&connection).filter(|backend| *backend != connection.server);
                self.known.insert(*key, found);
                found
            }
        };
        if let Some(backend) = backend {
            shown.server_ip = [0; 16];
            match backend.ip() {
                IpAddr::V4(ip) => shown.server_ip[..4].copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => shown.server_ip = ip.octets(),
            }
            shown.server_port = backend.port();
        }
        shown
    }

    /// The connections of `key` have ended.
    pub(super) fn forget(&mut self, key: &Key) {
        self.known.remove(key);
    }

    /// Connections that were too many to be asked for, since the last time.
    pub(super) fn over(&mut self) -> u64 {
        std::mem::take(&mut self.over)
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.known.capacity() * (size_of::<(Key, Option<SocketAddr>)>() + 1)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16, role: u8) -> Key {
        let mut key = Key { role, client_port: port, server_port: 80, family: 2, ..Key::default() };
        key.server_ip[..4].copy_from_slice(&[10, 96, 0, 1]);
        key
    }

    fn backend() -> Option<SocketAddr> {
        Some("10.1.2.3:8080".parse().expect("an address"))
    }

    #[test]
    fn a_client_s_service_address_becomes_the_backend_s_and_is_asked_for_once() {
        let mut known = Known::default();
        let shown = known.shown(&key(4711, 1), |_| backend(), false);
        assert_eq!((shown.server_ip[..4].to_vec(), shown.server_port), (vec![10, 1, 2, 3], 8080));
        assert_eq!(shown.client_port, 0, "the port was only for asking");
        let again = known.shown(&key(4711, 1), |_| panic!("asked again"), true);
        assert_eq!((again.server_port, again.client_port), (8080, 4711));
        known.forget(&key(4711, 1));
        let mut asked = false;
        known.shown(
            &key(4711, 1),
            |_| {
                asked = true;
                None
            },
            false,
        );
        assert!(asked, "another connection from the same port");
    }

    #[test]
    fn servers_and_plain_addresses_stay_as_they_are() {
        let mut known = Known::default();
        let server = known.shown(&key(4711, 2), |_| panic!("asked for a server"), false);
        assert_eq!((server.server_port, server.client_port), (80, 0));
        let plain = known.shown(&key(4711, 1), |connection| Some(connection.server), false);
        assert_eq!(plain.server_port, 80);
        let untracked = known.shown(&key(4712, 1), |_| None, false);
        assert_eq!(untracked.server_port, 80);
    }
}
