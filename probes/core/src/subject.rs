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

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The host itself, or a part of it that the row's own keys name (a CPU, a mount).
    Host,
    /// A process.
    Process(ProcKey),
    /// A cgroup, by its id (the inode number of its directory).
    Cgroup {
        /// cgroup v2 id, or the memory controller's on v1 hosts.
        id: u64,
    },
}
