//! Which containers a cgroup path names, without asking anybody. Pure.
//!
//! Owns the path forms of the runtimes. A container's cgroup is a directory whose name is the id or, under a
//! systemd cgroup driver, a scope `<runtime>-<id>.scope`; ids are 64 hexadecimal digits. Units, sessions and user
//! slices of systemd have no such id in their names and so are none. Containers whose paths tell no id (plain
//! containerd's `/default/demo`) are found by the registry, which knows their paths from the runtime.

use super::container::{ContainerId, Runtime};
use smol_str::SmolStr;

/// A container that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: ContainerId,
    pub(super) runtime: Runtime,
    /// The pod's uid in the dashed form, if the path names a pod.
    pub(super) pod: Option<SmolStr>,
    /// Where the name ends in the path; a larger one is further in.
    pub(super) end: usize,
}

/// Names of scopes and directories before the id, and whose they are. Others are containers of a runtime that is
/// not known (`nerdctl-<id>.scope`), except those that [`NOT_CONTAINERS`] has.
const PREFIXES: [(&str, Runtime); 5] = [
    ("docker", Runtime::Docker),
    ("cri-containerd", Runtime::Containerd),
    ("crio", Runtime::CriO),
    ("libpod", Runtime::Podman),
    ("isulad", Runtime::Isulad),
];

/// The monitor of a container has a scope of its own beside it.
const NOT_CONTAINERS: [&str; 2] = ["crio-conmon", "libpod-conmon"];

/// Directories that a runtime's containers lie right below, under its cgroupfs driver.
const PARENTS: [(&str, Runtime); 2] = [("docker", Runtime::Docker), ("isulad", Runtime::Isulad)];

/// Where podman's cgroupfs driver puts containers as `libpod-<id>` and its own pods as `<id>`, which are none.
const PODMAN_PARENT: &str = "libpod_parent";

/// The path as the host sees it: seen from within a cgroup namespace, what lies outside begins with `/..`.
pub(super) fn from_the_root(path: &str) -> &str {
    let mut rest = path;
    while let Some(outer) =
        rest.strip_prefix("/..").filter(|outer| outer.is_empty() || outer.starts_with('/'))
    {
        rest = outer;
    }
    rest
}

/// The containers that `path` names, the innermost first.
pub(super) fn named(path: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut pod = None;
    let (mut before, mut end) = ("", 0);
    for component in path.split('/') {
        end += component.len();
        // `slice:prefix:name` is one directory if a kubelet with the systemd driver meets a runtime without it.
        let (slice, unit) = component.split_once(':').unwrap_or((component, component));
        if let Some(uid) = pod_uid(slice) {
            pod = Some(uid);
        }
        if let Some((id, runtime)) = container(unit, before) {
            found.push(Named { id, runtime, pod: pod.clone(), end });
        }
        before = component;
        end += 1; // the slash
    }
    found.reverse();
    found
}

/// The container that a directory is, if it is one; `parent` is the directory that it lies in.
fn container(component: &str, parent: &str) -> Option<(ContainerId, Runtime)> {
    if let Some(id) = id(component).filter(|_| parent != PODMAN_PARENT) {
        let runtime = PARENTS.iter().find(|(name, _)| *name == parent);
        return Some((id, runtime.map_or(Runtime::Unknown, |(_, runtime)| *runtime)));
    }
    // Of a scope, and of the cgroupfs drivers of podman and CRI-O, which name the directory in the same way.
    let unit = component.strip_suffix(".scope").unwrap_or(component);
    let (prefix, digits) = unit.rsplit_once(['-', ':'])?;
    let id = id(digits).filter(|_| !NOT_CONTAINERS.contains(&prefix))?;
    let runtime = PREFIXES.iter().find(|(name, _)| *name == prefix);
    Some((id, runtime.map_or(Runtime::Unknown, |(_, runtime)| *runtime)))
}

fn id(text: &str) -> Option<ContainerId> {
    let whole = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    whole.then(|| ContainerId::new(text)).flatten()
}

/// The pod whose directory this is: `pod<uid>` or `kubepods[-<class>]-pod<uid with underscores>.slice`. A uid is
/// dashed as a UUID is, or 32 hexadecimal digits: those of static pods have no dashes.
fn pod_uid(component: &str) -> Option<SmolStr> {
    let text = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod").filter(|(before, _)| before.contains("kubepods"))?.1,
        None => component.strip_prefix("pod")?,
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let groups = [8, 4, 4, 4, 12];
    let dashed = text.split(['-', '_']).map(str::len).eq(groups) && digits(&text.replace(['-', '_'], ""));
    (dashed || (text.len() == 32 && digits(text))).then(|| text.replace('_', "-").into())
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
