//! What the host adds to the kernel's answers: lockdown, locked memory, capabilities, control groups, pressure.

use super::Kernel;
use libbpf_rs::{ProgramType, libbpf_sys};
use probe_core::Env;
use rustix::process::{Resource, getrlimit};
use std::fs;

/// What is said about the host. Absent is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The lockdown mode; `None` when the kernel has none.
    pub lockdown: Option<String>,
    /// `v1`, `v2` or `hybrid`, by what is mounted at the usual place.
    pub cgroup_version: Option<&'static str>,
    /// Pressure stall information can be read.
    pub pressure: bool,
    /// The limit of locked memory in bytes that maps count against; `None` when they do not (since 5.11 they
    /// are accounted to the control group) or when there is no limit.
    pub memlock_bytes: Option<u64>,
    /// Capabilities that a thread of this process may raise, as `CAP_BPF`, sorted.
    pub capabilities: Vec<String>,
}

/// Looks at the host that `kernel` runs on.
pub fn look(kernel: &Kernel) -> Host {
    let env = kernel.env();
    // This helper came with the accounting to control groups; libbpf asks the same.
    let by_cgroup = ProgramType::SocketFilter
        .is_helper_supported(libbpf_sys::BPF_FUNC_ktime_get_coarse_ns)
        .unwrap_or(false);
    Host {
        lockdown: fs::read_to_string(env.sys.join("kernel/security/lockdown"))
            .ok()
            .and_then(|text| chosen(&text)),
        cgroup_version: cgroup_version(env),
        // Present in a kernel that was started with psi=0 too, but then it cannot be read.
        pressure: fs::read(env.proc.join("pressure/cpu")).is_ok(),
        memlock_bytes: if by_cgroup { None } else { getrlimit(Resource::Memlock).current },
        capabilities: held(),
    }
}

/// The version by what is mounted at its usual place.
fn cgroup_version(env: &Env) -> Option<&'static str> {
    let root = env.sys.join("fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        Some("v2")
    } else if root.join("unified/cgroup.controllers").exists() {
        Some("hybrid")
    } else if root.join("memory").exists() || root.join("cpu").exists() {
        Some("v1")
    } else {
        None
    }
}

/// The word in brackets, as in `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// What a thread of this process may raise when it needs it.
fn held() -> Vec<String> {
    let Ok(sets) = rustix::thread::capabilities(None) else { return Vec::new() };
    let mut names: Vec<_> = sets.permitted.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_version_is_told_by_what_is_mounted() {
        for (paths, version) in [
            (&["fs/cgroup/cgroup.controllers"][..], Some("v2")),
            (&["fs/cgroup/memory/x", "fs/cgroup/unified/cgroup.controllers"], Some("hybrid")),
            (&["fs/cgroup/memory/x"], Some("v1")),
            (&["x"], None),
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            for path in paths {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
                fs::write(path, "").expect("written");
            }
            let env = Env { sys: dir.path().into(), ..Env::default() };
            assert_eq!(cgroup_version(&env), version);
        }
    }

    #[test]
    fn the_lockdown_mode_is_the_word_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(chosen("none\n"), None);
    }
}
