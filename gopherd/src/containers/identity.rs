//! Which containers a cgroup path names, without asking anybody. Pure.

use super::container::{ContainerId, Runtime};
use smol_str::SmolStr;

/// A container that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: ContainerId,
    pub(super) runtime: Runtime,
    /// The pod's uid in the dashed form, if the path names a pod.
    pub(super) pod: Option<SmolStr>,
}

/// The containers that `path` names, the innermost first.
pub(super) fn named(path: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut before = "";
    for component in path.split('/') {
        let plain = component.len() == 64 && component.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(id) = plain.then(|| ContainerId::new(component)).flatten() {
            let runtime = if before == "docker" { Runtime::Docker } else { Runtime::Unknown };
            found.push(Named { id, runtime, pod: None });
        }
        before = component;
    }
    found.reverse();
    found
}
