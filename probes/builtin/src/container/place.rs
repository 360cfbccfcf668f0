//! Which cgroups are a container's: in each hierarchy the directory that the runtime made for it, found from the path
//! of one of its processes. Pure.
//!
//! The process may be deeper (systemd in a container has `init.scope`), so a path is cut after the component that
//! names the container. A hierarchy whose path names it nowhere is not the container's own, if another one does: its
//! numbers would be those of the daemon that started it. Where none does (a cgroup path that was chosen by hand) the
//! process's own cgroup is taken.

use probe_core::ContainerKey;
use probe_kit::cgroup::{Hierarchies, directory, memberships};
use std::path::{Path, PathBuf};

/// The directories of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) unified: Option<PathBuf>,
    /// By v1 controller.
    v1: Vec<(String, PathBuf)>,
}

impl Place {
    /// From the text of `/proc/<pid>/cgroup`.
    pub(super) fn find(hierarchies: &Hierarchies, text: &[u8], id: ContainerKey) -> Self {
        let named = memberships(text).any(|line| own_part(line.path, id).is_some());
        let mut place = Self::default();
        for line in memberships(text) {
            let path = match own_part(line.path, id) {
                Some(path) => path,
                // The root of a hierarchy is nobody's.
                None if named || line.path == b"/" => continue,
                None => line.path,
            };
            if line.is_unified() {
                place.unified = hierarchies.unified().and_then(|root| directory(root, path));
                continue;
            }
            for controller in hierarchies.controllers().filter(|name| line.has(name)) {
                let dir = hierarchies.of(controller).and_then(|root| directory(root, path));
                place.v1.extend(dir.map(|dir| (controller.to_owned(), dir)));
            }
        }
        place
    }

    /// The directory in the v1 hierarchy that has `controller`.
    pub(super) fn v1(&self, controller: &str) -> Option<&Path> {
        self.v1.iter().find(|(name, _)| name == controller).map(|(_, dir)| dir.as_path())
    }

    /// The directory whose processes are the container's.
    pub(super) fn processes(&self) -> Option<&Path> {
        let any = self.v1.first().map(|(_, dir)| dir.as_path());
        self.v1("memory").or(self.unified.as_deref()).or(any)
    }
}

/// An id is shortened to so many characters.
const SHORT: usize = 12;

/// The path up to the last component that names the container.
fn own_part(path: &[u8], id: ContainerKey) -> Option<&[u8]> {
    let mut end = path.len();
    loop {
        let start = path.get(..end)?.iter().rposition(|b| *b == b'/')?;
        if names(path.get(start + 1..end)?, id.as_str().as_bytes()) {
            return path.get(..end);
        }
        end = start;
    }
}

/// Whether a directory is that of the container: its name is the id, or a scope's with a prefix before the id, or
/// `slice:prefix:id`.
fn names(component: &[u8], id: &[u8]) -> bool {
    if id.len() < SHORT {
        return component == id;
    }
    component.starts_with(id)
        || component
            .windows(id.len() + 1)
            .any(|window| matches!(window.first(), Some(b'-' | b':')) && window.get(1..) == Some(id))
}

/// What holds of any text of `/proc/<pid>/cgroup`: what is a container's is the beginning of a path.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let Some(id) = ContainerKey::new("0123456789ab") else { return };
    for line in memberships(bytes) {
        let Some(own) = own_part(line.path, id) else { continue };
        assert!(line.path.starts_with(own) && own_part(own, id) == Some(own));
    }
    assert_eq!(Place::find(&Hierarchies::default(), bytes, id), Place::default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn key(id: &str) -> ContainerKey {
        ContainerKey::new(id).expect("an id")
    }

    #[test]
    fn the_path_ends_where_the_container_is_named() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            (ID, "/docker/{}", Some("/docker/{}")),
            (ID, "/docker/{}/init.scope", Some("/docker/{}")),
            (ID, "/system.slice/docker-{}.scope", Some("/system.slice/docker-{}.scope")),
            (
                ID,
                "/kubepods.slice/x.slice/cri-containerd-{}.scope/a/b",
                Some("/kubepods.slice/x.slice/cri-containerd-{}.scope"),
            ),
            (ID, "/system.slice/x.slice:cri-containerd:{}", Some("/system.slice/x.slice:cri-containerd:{}")),
            (ID, "/docker/fedcba/docker/{}", Some("/docker/fedcba/docker/{}")),
            (ID, "/system.slice/containerd.service", None),
            (ID, "/", None),
            (ID, "/x{}", None),
            ("demo", "/default/demo", Some("/default/demo")),
            ("demo", "/default/demo/child", Some("/default/demo")),
            ("demo", "/default/demonstration", None),
        ];
        for (id, path, expected) in cases {
            let (path, expected) = (path.replace("{}", ID), expected.map(|e| e.replace("{}", ID)));
            let found =
                own_part(path.as_bytes(), key(id)).map(|path| String::from_utf8_lossy(path).into_owned());
            assert_eq!(found, expected, "{path}");
        }
    }

    fn hybrid() -> (FakeHost, Hierarchies) {
        let host = FakeHost::new();
        host.write("sys/fs/cgroup/unified/cgroup.controllers", "");
        for controller in ["memory", "cpu,cpuacct"] {
            host.write(&format!("sys/fs/cgroup/{controller}/tasks"), "");
        }
        let found = Hierarchies::find(&host.env().sys);
        (host, found)
    }

    #[test]
    fn a_hierarchy_that_does_not_name_the_container_is_not_its_own() {
        let (host, hierarchies) = hybrid();
        let text =
            b"2:cpu,cpuacct:/default/demo\n4:memory:/default/demo/x\n0::/system.slice/containerd.service\n";
        let place = Place::find(&hierarchies, text, key("demo"));
        assert_eq!(place.unified, None);
        assert_eq!(place.v1("cpuacct"), Some(host.path("sys/fs/cgroup/cpu,cpuacct/default/demo").as_path()));
        assert_eq!(place.v1("memory"), Some(host.path("sys/fs/cgroup/memory/default/demo").as_path()));
        assert_eq!(place.processes(), place.v1("memory"));
    }

    #[test]
    fn where_none_names_it_its_process_is_in_a_cgroup_of_its_own_unless_that_is_the_root() {
        let (host, hierarchies) = hybrid();
        let place =
            Place::find(&hierarchies, b"4:memory:/by/hand\n2:cpu,cpuacct:/\n0::/by/hand\n", key("demo"));
        assert_eq!(place.unified, Some(host.path("sys/fs/cgroup/unified/by/hand")));
        assert_eq!((place.v1("memory").is_some(), place.v1("cpu")), (true, None));
        assert_eq!(Place::find(&hierarchies, b"4:memory:/\n0::/\n", key("demo")), Place::default());
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_and_what_is_found_is_its_beginning(path: Vec<u8>, text in "(/|[a-c-:]{1,4}|0123456789ab){0,12}") {
            for path in [&path[..], text.as_bytes()] {
                if let Some(part) = own_part(path, key("0123456789ab")) {
                    prop_assert!(path.starts_with(part) && !part.is_empty());
                }
            }
        }
    }
}
