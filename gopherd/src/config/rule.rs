//! What the texts of the configuration must look like.
//!
//! Owns one pure check for each [`TextRule`]. Leaves to `value` where the text came from.

use super::spec::TextRule;
use super::tree::shown;
use rustix::thread::CapabilitySet;

/// Longest list of brokers in bytes.
const MAX_BROKERS: usize = 4096;
/// Kafka's own port, for brokers that name none.
const KAFKA_PORT: u16 = 9092;

impl TextRule {
    /// What it wants, after "write".
    pub(super) fn wants(self) -> &'static str {
        match self {
            Self::FileName => "the name of a file without a directory, at most 255 bytes",
            Self::Topic => "a topic of letters, digits, `.`, `_` and `-`, at most 249 of them",
            Self::MetricPrefix => {
                "letters, digits and `_`, not starting with a digit or `__`, at most 64 of them"
            }
            Self::Brokers => "host:port pairs separated by commas",
            Self::MachineId => "letters, digits, `-`, `_` and `.`, at most 64 of them, or nothing",
            Self::Name => "at most 255 printable characters",
            Self::Host => "a host name",
            Self::Capability => "the name of a capability, as in CAP_BPF",
            Self::Url => "an address that starts with https:// or http://",
            Self::Socket => "an absolute path, at most 107 bytes",
        }
    }
}

/// The text as it is kept, or why it is not of its rule.
pub(super) fn check_text(rule: TextRule, text: &str) -> Result<String, String> {
    let refused = || Err(format!("{} is not allowed", shown(text)));
    let good = match rule {
        TextRule::FileName => {
            (1..=255).contains(&text.len())
                && !matches!(text, "." | "..")
                && !text.contains('/')
                && !text.contains(char::is_control)
        }
        TextRule::Topic => {
            (1..=249).contains(&text.len()) && !matches!(text, "." | "..") && only(text, "._-")
        }
        TextRule::MetricPrefix => {
            (1..=64).contains(&text.len())
                && only(text, "_")
                && !text.starts_with(|c: char| c.is_ascii_digit())
                && !text.starts_with("__")
        }
        TextRule::Brokers => return brokers(text),
        TextRule::MachineId => text.len() <= 64 && only(text, "-_."),
        TextRule::Name => text.chars().count() <= 255 && !text.contains(char::is_control),
        TextRule::Host => (1..=253).contains(&text.len()) && only(text, "-_.:"),
        TextRule::Capability => {
            text.strip_prefix("CAP_").is_some_and(|name| CapabilitySet::from_name(name).is_some())
        }
        TextRule::Url => {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            text.len() <= 2048
                && text.bytes().all(|b| b.is_ascii_graphic())
                && host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        }
        // What a socket address of the kernel holds.
        TextRule::Socket => {
            (2..=107).contains(&text.len()) && text.starts_with('/') && !text.contains(char::is_control)
        }
    };
    if good { Ok(text.to_owned()) } else { refused() }
}

/// Whether `text` has only letters, digits and what is in `others`.
fn only(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// The brokers without blanks around them, each with a port.
fn brokers(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    if text.len() > MAX_BROKERS {
        return Err(format!("longer than {MAX_BROKERS} bytes"));
    }
    let brokers: Result<Vec<String>, String> =
        text.split(',').map(|broker| one_broker(broker.trim())).collect();
    brokers.map(|brokers| brokers.join(","))
}

fn one_broker(broker: &str) -> Result<String, String> {
    // An IPv6 address stands in brackets, so that its colons are not taken for the port's.
    let (host, port) = match broker.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (broker, None),
    };
    let plain = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && only(host, "-_."),
    };
    let port = port.map_or(Some(KAFKA_PORT), |port| port.parse().ok().filter(|port| *port != 0));
    match port {
        Some(port) if plain => Ok(format!("{host}:{port}")),
        _ => Err(format!("{} is no broker", shown(broker))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_get_their_port_and_lose_their_blanks() {
        for (text, wanted) in [
            ("", Ok("")),
            ("kafka", Ok("kafka:9092")),
            ("a:1, b ,c:3", Ok("a:1,b:9092,c:3")),
            ("[::1]:9092,[fe80::1]", Ok("[::1]:9092,[fe80::1]:9092")),
            ("a:0", Err("`a:0` is no broker")),
            ("a,,b", Err("`` is no broker")),
            ("a:b:c", Err("`a:b:c` is no broker")),
            ("::1", Err("`::1` is no broker")),
            ("a b", Err("`a b` is no broker")),
        ] {
            assert_eq!(brokers(text).as_deref().map_err(String::as_str), wanted, "{text}");
        }
    }

    #[test]
    fn each_rule_takes_what_it_says_and_nothing_else() {
        for (rule, good, bad) in [
            (TextRule::FileName, "gopher.log", "a/b"),
            (TextRule::FileName, "x", ".."),
            (TextRule::Topic, "gala_gopher-1.x", "a topic"),
            (TextRule::MetricPrefix, "gala_gopher", "9lives"),
            (TextRule::MetricPrefix, "_x", "__x"),
            (TextRule::MachineId, "", "a b"),
            (TextRule::Name, "CN=x, O=é", "a\nb"),
            (TextRule::Host, "node-1.example", "a/b"),
            (TextRule::Capability, "CAP_BPF", "BPF"),
            (TextRule::Capability, "CAP_SYS_PTRACE", "CAP_SYS_TRACE"),
            (TextRule::Url, "https://h/x?y", "ftp://h"),
            (TextRule::Url, "http://h", "https:///x"),
            (TextRule::Socket, "/run/docker.sock", "run/docker.sock"),
            (TextRule::Socket, "/x", "unix:///run/docker.sock"),
        ] {
            assert_eq!(check_text(rule, good).as_deref(), Ok(good), "{rule:?}");
            assert!(check_text(rule, bad).is_err(), "{rule:?} {bad}");
        }
    }
}
