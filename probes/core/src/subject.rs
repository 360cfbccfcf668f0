//! What a row is about. The pipeline turns it into process, container and host labels; a probe
//! names the subject and no more.

/// One process, told apart from a later process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcKey {
    /// Thread-group id in the host's pid namespace.
    pub tgid: u32,
    /// Start time in clock ticks since boot: `/proc/<pid>/stat` field 22.
    pub start_ticks: u64,
}

/// A container: the first 12 characters of its id, which is what labels and selectors show of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey([u8; 12]);

impl ContainerKey {
    /// From an id of any length. `None` for text that is no id: empty, or not printable ASCII.
    pub fn new(id: &str) -> Option<Self> {
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic());
        let mut short = [0; 12];
        short.iter_mut().zip(id.bytes()).for_each(|(to, from)| *to = from);
        plain.then_some(Self(short))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        // Made of ASCII.
        self.0.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl std::fmt::Debug for ContainerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The host itself, or a part of it that the row's own keys name (a CPU, a mount).
    Host,
    /// A process.
    Process(ProcKey),
    /// A container that is or was in scope ([`ContainerTarget`](crate::ContainerTarget)).
    Container(ContainerKey),
    /// A cgroup, by its id (the inode number of its directory).
    Cgroup {
        /// cgroup v2 id, or the memory controller's on v1 hosts.
        id: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_the_first_twelve_characters_of_its_id() {
        let key = |id: &str| ContainerKey::new(id).map(|key| key.as_str().to_owned());
        assert_eq!(key(&"0123456789abcdef".repeat(4)).as_deref(), Some("0123456789ab"));
        assert_eq!(key("web-1").as_deref(), Some("web-1"));
        assert_eq!(key("0123456789ab").as_deref(), Some("0123456789ab"));
        for bad in ["", "a b", "é", "a\n", "\0"] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
    }
}
