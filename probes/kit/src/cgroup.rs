//! Where cgroups are: the hierarchies of the host, v1, v2 or both, and the path of a process in each.
//!
//! Owns the layout below /sys/fs/cgroup, which is the one that systemd and every container runtime make and expect,
//! and the text of `/proc/<pid>/cgroup`. Leaves to others what is read in a cgroup, and which one is a container's.

use crate::scan::{lines, pair};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The hierarchies of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    unified: Option<PathBuf>,
    /// Of v1, by controller.
    controllers: Vec<(String, PathBuf)>,
}

/// Most v1 hierarchies that are looked at; the kernel has 16 controllers.
const MAX_HIERARCHIES: usize = 64;

impl Hierarchies {
    /// Looks for them below `sys`, the host's /sys.
    pub fn find(sys: &Path) -> Self {
        let root = sys.join("fs/cgroup");
        let is_unified = |dir: &Path| dir.join("cgroup.controllers").is_file();
        if is_unified(&root) {
            return Self { unified: Some(root), controllers: Vec::new() };
        }
        let mut found = Self::default();
        let entries = std::fs::read_dir(&root).into_iter().flatten().flatten().take(MAX_HIERARCHIES);
        // Links too: `cpu` and `cpuacct` point to `cpu,cpuacct` where they are one hierarchy.
        let mut dirs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        dirs.sort();
        for dir in dirs {
            if is_unified(&dir) {
                found.unified.get_or_insert(dir);
            } else if let Some(names) = dir.file_name().and_then(|name| name.to_str()) {
                found.controllers.extend(names.split(',').map(|name| (name.to_owned(), dir.clone())));
            }
        }
        found
    }

    /// The root of the v2 hierarchy.
    pub fn unified(&self) -> Option<&Path> {
        self.unified.as_deref()
    }

    /// The root of the v1 hierarchy that has `controller`.
    pub fn of(&self, controller: &str) -> Option<&Path> {
        self.controllers.iter().find(|(name, _)| name == controller).map(|(_, dir)| dir.as_path())
    }

    /// The names of the v1 controllers.
    pub fn controllers(&self) -> impl Iterator<Item = &str> {
        self.controllers.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.unified.is_none() && self.controllers.is_empty()
    }
}

/// One line of `/proc/<pid>/cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership<'t> {
    /// `cpu,cpuacct`; empty for the v2 hierarchy.
    controllers: &'t [u8],
    /// The path below the hierarchy's root.
    pub path: &'t [u8],
}

impl Membership<'_> {
    /// Whether this is the v2 hierarchy.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Whether this v1 hierarchy has `controller`.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.split(|b| *b == b',').any(|name| name == controller.as_bytes())
    }
}

/// The lines of `/proc/<pid>/cgroup`. Paths are as the reader's cgroup namespace shows them.
pub fn memberships(text: &[u8]) -> impl Iterator<Item = Membership<'_>> {
    lines(text).filter_map(|line| {
        let (_, rest) = pair(line, b':')?;
        // A name of a v1 hierarchy may have no colon, a path may.
        let at = rest.iter().position(|b| *b == b':')?;
        let path = rest.get(at + 1..)?;
        path.starts_with(b"/").then(|| Membership { controllers: &rest[..at], path })
    })
}

/// The directory of the cgroup `path` in the hierarchy whose root is `root`. `None` for one that is removed, and
/// for a path that would lead out of the hierarchy: only the beginning may go up, which is how a cgroup outside the
/// reader's namespace is shown.
pub fn directory(root: &Path, path: &[u8]) -> Option<PathBuf> {
    if path.ends_with(b" (deleted)") || path.contains(&0) {
        return None;
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut directory = root.to_path_buf();
    let mut named = false;
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::ParentDir if !named => {}
            Component::Normal(name) => {
                named = true;
                directory.push(name);
            }
            _ => return None,
        }
    }
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;
    use proptest::prelude::*;

    #[test]
    fn each_layout_is_recognised() {
        let v2 = FakeHost::new();
        v2.write("sys/fs/cgroup/cgroup.controllers", "cpu memory")
            .write("sys/fs/cgroup/memory/cgroup.procs", "");
        let found = Hierarchies::find(&v2.env().sys);
        assert_eq!(found.unified(), Some(v2.path("sys/fs/cgroup").as_path()));
        assert_eq!(found.of("memory"), None, "a cgroup may have any name");

        let hybrid = FakeHost::new();
        hybrid.write("sys/fs/cgroup/unified/cgroup.controllers", "").write("sys/fs/cgroup/memory/tasks", "");
        hybrid.write("sys/fs/cgroup/cpu,cpuacct/tasks", "");
        let found = Hierarchies::find(&hybrid.env().sys);
        assert_eq!(found.unified(), Some(hybrid.path("sys/fs/cgroup/unified").as_path()));
        assert_eq!(found.of("cpuacct"), Some(hybrid.path("sys/fs/cgroup/cpu,cpuacct").as_path()));
        assert_eq!(found.of("memory"), Some(hybrid.path("sys/fs/cgroup/memory").as_path()));
        assert_eq!(found.of("blkio"), None);
        assert!(Hierarchies::find(&FakeHost::new().env().sys).is_empty());
    }

    #[test]
    fn lines_are_told_apart_and_a_colon_may_be_in_a_path() {
        let text = b"9:name=systemd:/a\n2:cpu,cpuacct:/kube:cri:1\n0::/\nbad\n1:x\n3:memory:relative\n";
        let all: Vec<_> = memberships(text).collect();
        assert_eq!(all.len(), 3);
        assert!(all[1].has("cpu") && all[1].has("cpuacct") && !all[1].has("cp") && !all[1].is_unified());
        assert_eq!(all[1].path, b"/kube:cri:1");
        assert!(all[2].is_unified() && !all[2].has("cpu"));
    }

    #[test]
    fn a_path_leads_nowhere_but_down() {
        let at = |path: &[u8]| directory(Path::new("/r"), path);
        assert_eq!(at(b"/a/b"), Some("/r/a/b".into()));
        assert_eq!(at(b"/"), Some("/r".into()));
        assert_eq!(at(b"/../../docker/x"), Some("/r/docker/x".into()), "of another namespace");
        for bad in [&b"/a/../../etc"[..], b"/a (deleted)", b"/a\0b"] {
            assert_eq!(at(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_leads_out_of_the_hierarchy(bytes: Vec<u8>, text in "([0-9]:|[a-z,]{0,5}:|/|\\.\\.|[a-z]{1,3}|\n){0,30}") {
            for text in [&bytes[..], text.as_bytes()] {
                for line in memberships(text) {
                    if let Some(dir) = directory(Path::new("/r"), line.path) {
                        prop_assert!(dir.starts_with("/r") && !dir.components().any(|c| c == Component::ParentDir));
                    }
                }
            }
        }
    }
}
