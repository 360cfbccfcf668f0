//! Which capabilities a probe needs and for what, as static data: the daemon keeps those and gives up the
//! rest, and whoever runs it with fewer is told what is missing and what for. Raising one is the kit's.

/// A capability that some part of the daemon can need; capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Read files and search directories of other users.
    DacReadSearch,
    /// Ask the kernel about network state that is not the own processes'.
    NetAdmin,
    /// Look into other processes.
    SysPtrace,
    /// Enter namespaces; count the run time of BPF programs.
    SysAdmin,
    /// Go beyond resource limits.
    SysResource,
    /// See the addresses of kernel symbols.
    Syslog,
    /// Read performance counters and, in a BPF program, kernel memory.
    Perfmon,
    /// Load BPF programs and make maps.
    Bpf,
}

impl Capability {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::DacReadSearch,
        Self::NetAdmin,
        Self::SysPtrace,
        Self::SysAdmin,
        Self::SysResource,
        Self::Syslog,
        Self::Perfmon,
        Self::Bpf,
    ];

    /// As `CAP_BPF`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Syslog => "CAP_SYSLOG",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// A capability that a feature needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub capability: Capability,
    /// The sub-probes that need it; empty: the feature as a whole.
    pub sub_probes: &'static [&'static str],
    /// What for, as the end of "is needed to …".
    pub purpose: &'static str,
    /// What is not there without it, as a sentence.
    pub without: &'static str,
}

impl Need {
    /// Whether the sub-probe named `name` has it.
    pub fn is_of(&self, name: &str) -> bool {
        self.sub_probes.is_empty() || self.sub_probes.contains(&name)
    }
}

/// What the sub-probe named `name` goes without when `lacking` is not held, one sentence for each of its needs.
pub fn without(needs: &[Need], name: &str, lacking: &[Capability]) -> Vec<String> {
    needs
        .iter()
        .filter(|need| need.is_of(name) && lacking.contains(&need.capability))
        .map(|need| format!("without {}: {}", need.capability.name(), need.without))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sub_probe_that_needs_what_is_not_held_is_told() {
        let need = Need { capability: Capability::Bpf, sub_probes: &["a"], purpose: "look", without: "dark" };
        let needs = [need, Need { capability: Capability::Syslog, sub_probes: &[], ..need }];
        let both = [Capability::Bpf, Capability::Syslog];
        assert_eq!(without(&needs, "a", &both), ["without CAP_BPF: dark", "without CAP_SYSLOG: dark"]);
        assert_eq!(without(&needs, "b", &both), ["without CAP_SYSLOG: dark"]);
        assert_eq!(without(&needs, "a", &[Capability::NetAdmin]), Vec::<String>::new());
    }
}
