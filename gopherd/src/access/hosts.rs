//! Under which names a listener may be reached.
//!
//! A web page that an administrator visits can let a name of its own lead to 127.0.0.1 and then send requests
//! to the loopback door; the browser says that name as `Host`, and for requests that matter an `Origin`.
//! No program that has business here sends either of them wrongly.

use std::net::{IpAddr, Ipv6Addr};

/// The names of this host and those that were configured.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// The names of a host that calls itself `own`, and `configured`; the latter may name a port.
    pub fn new(own: &str, configured: &[String]) -> Self {
        let short = own.split('.').next().unwrap_or_default();
        let own = [own, short, "localhost"].into_iter().filter(|name| !name.is_empty());
        let names = own.chain(configured.iter().map(String::as_str)).map(tidy);
        Self { names: names.collect() }
    }

    /// Whether the value of a `Host` header, or an authority, means this host.
    pub fn has(&self, host: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(host) else { return false };
        let text = text.trim();
        // A bare IPv6 address is all colons.
        if text.parse::<IpAddr>().is_ok() {
            return true;
        }
        let Some(name) = without_port(text) else { return false };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if let Some(address) = bare {
            return address.parse::<Ipv6Addr>().is_ok();
        }
        if name.parse::<IpAddr>().is_ok() {
            return true;
        }
        let (whole, name) = (tidy(text), tidy(name));
        !name.is_empty() && self.names.iter().any(|known| *known == name || *known == whole)
    }
}

/// Names are compared without case and without the dot that may end them.
fn tidy(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// `host` of `host` or `host:port`; `None` if what follows the colon is no port.
fn without_port(text: &str) -> Option<&str> {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = text.get(after_bracket..)?.rfind(':').map(|at| after_bracket + at) else {
        return Some(text);
    };
    let port = text.get(colon + 1..)?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5;
    digits.then(|| text.get(..colon)).flatten()
}

/// What holds of any bytes as a `Host`: a page's name is none of this host's, whatever is put around it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let hosts = Hosts::new("node-1.example.org", &["proxy:8443".to_owned()]);
    if hosts.has(bytes) {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let named = ["node-1", "localhost", "proxy:8443"].iter().any(|name| text.contains(name));
        // An address has a colon, or a dot and nothing but digits.
        let address = text.contains(':') || text.trim().bytes().all(|b| b.is_ascii_digit() || b == b'.');
        assert!(named || address, "{text:?} is taken for this host");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts() -> Hosts {
        Hosts::new("Node-1.example.org", &["metrics.example".into(), "proxy:8443".into()])
    }

    #[test]
    fn addresses_and_known_names_are_this_host_and_nothing_else_is() {
        for (host, wanted) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9999", true),
            ("192.0.2.7:1", true),
            ("[::1]:9999", true),
            ("[::1]", true),
            ("::1", true),
            ("localhost", true),
            ("LOCALHOST:9999", true),
            ("localhost.", true),
            ("node-1.example.org:9999", true),
            ("node-1", true),
            ("metrics.example", true),
            ("metrics.example:443", true),
            ("proxy:8443", true),
            ("proxy", false),
            ("proxy:8444", false),
            ("", false),
            (":9999", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("evil.example:127.0.0.1", false),
            ("127.0.0.1.evil.example", false),
            ("localhost:80@evil.example", false),
            ("evil@localhost", false),
            ("[::1", false),
            ("[localhost]", false),
            ("[::1]evil", false),
            ("localhost:999999", false),
            ("2130706433", false),
            ("node-1.evil.example", false),
        ] {
            assert_eq!(hosts().has(host.as_bytes()), wanted, "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = hosts().has(&bytes);
        }

        #[test]
        fn a_name_with_something_after_it_is_another_name(tail in "[a-z.@/]{1,10}") {
            prop_assume!(tail != ".");
            let name = format!("localhost{tail}");
            prop_assert!(!hosts().has(name.as_bytes()), "{}", name);
        }
    }
}
