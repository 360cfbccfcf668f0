//! The capabilities of `baseinfo`: what each is needed for and what is absent without it. Which of them is
//! lacking here is said by the readers, which also raise them, each around its own reading.

use probe_core::{Capability, Need};

/// Every need of the feature.
pub(super) const NEEDS: &[Need] = &[
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["proc"],
        purpose: "read `io` and `smaps_rollup` of processes of other users, and of those that may do more than this one",
        without: "I/O counts and memory detail are absent for processes of other users, and for those that may do more than this one",
    },
    Need {
        capability: Capability::DacReadSearch,
        sub_probes: &["proc"],
        purpose: "open `io`, and on kernels before 6.2 `fd`, of processes of other users",
        without: "I/O counts are absent for processes of other users, and before Linux 6.2 their open descriptors too",
    },
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["fs"],
        purpose: "enter the root of process 1, whose mounts are the host's",
        without: "the file systems are those that this program sees, not the host's",
    },
    Need {
        capability: Capability::DacReadSearch,
        sub_probes: &["fs"],
        purpose: "reach mounts below directories that others may not search",
        without: "mounts below directories that this user may not search are left out, and counted as lost",
    },
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["nic", "host"],
        purpose: "see which network namespace is the host's, namely that of process 1",
        without: "egress queues and addresses are absent, for there is no telling whose they would be",
    },
    Need {
        capability: Capability::SysAdmin,
        sub_probes: &["nic", "host"],
        purpose: "ask in the host's network namespace when this program has one of its own",
        without: "egress queues and addresses are absent, for this program has a network namespace of its own",
    },
    Need {
        capability: Capability::SysPtrace,
        sub_probes: &["con"],
        purpose: "enter the root directories of containers of other users",
        without: "containers of other users have no rate, and are counted as lost",
    },
    Need {
        capability: Capability::DacReadSearch,
        sub_probes: &["con"],
        purpose: "list directories of other users inside containers",
        without: "what other users keep in directories of their own is not counted, and such directories are counted as lost",
    },
    programs(Capability::Bpf, "load their programs and make their maps", "they do not run"),
    programs(
        Capability::Perfmon,
        "attach their programs and let them read the kernel's memory",
        "they do not run",
    ),
    programs(
        Capability::SysResource,
        "make their maps on kernels before 5.11, where RLIMIT_MEMLOCK counts them",
        "on kernels before 5.11 they run only below RLIMIT_MEMLOCK",
    ),
    Need {
        capability: Capability::Syslog,
        sub_probes: &["lockup"],
        purpose: "read the kernel's log where kernel.dmesg_restrict is 1",
        without: "it does not run where kernel.dmesg_restrict is 1",
    },
];

const fn programs(capability: Capability, purpose: &'static str, without: &'static str) -> Need {
    Need { capability, sub_probes: &["oom", "hung_task", "reclaim", "runqueue"], purpose, without }
}
