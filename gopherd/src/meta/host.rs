//! Who this host is, fixed while the daemon runs. Leaves finding it out to the configuration.

use std::net::Ipv4Addr;

/// The host's identity, for labels and message headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    machine_id: String,
    label: String,
    name: String,
}

impl Host {
    /// `machine_id` is the machine's uuid, `address` the host's first address, `name` its host name.
    pub fn new(machine_id: impl Into<String>, address: Ipv4Addr, name: impl Into<String>) -> Self {
        let machine_id = machine_id.into();
        Self { label: format!("{machine_id}-{address}"), machine_id, name: name.into() }
    }

    /// The uuid alone, as Kafka metric records have it.
    pub fn machine_id(&self) -> &str {
        &self.machine_id
    }

    /// The value of the label `machine_id`: uuid, `-`, address.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_uuid_and_address() {
        let host = Host::new("1234-ab", Ipv4Addr::new(10, 0, 0, 7), "node-1");
        assert_eq!((host.label(), host.machine_id(), host.name()), ("1234-ab-10.0.0.7", "1234-ab", "node-1"));
    }
}
