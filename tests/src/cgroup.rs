//! Cgroups with the paths that container runtimes give theirs, made by hand: what a process's place is read from
//! is its path, so a container needs no runtime to be one.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Trees of cgroups of one test; its processes go back to the root and the trees are removed when it is dropped.
#[derive(Debug)]
pub struct Cgroups(Vec<Tree>);

/// The tree in one hierarchy.
#[derive(Debug)]
struct Tree {
    mount: PathBuf,
    root: PathBuf,
}

impl Cgroups {
    /// An empty tree in a hierarchy that may be written to. Needs root.
    #[track_caller]
    pub fn new() -> Self {
        Self::first(1)
    }

    /// An empty tree in every hierarchy, as a runtime makes them.
    #[track_caller]
    pub fn everywhere() -> Self {
        Self::first(usize::MAX)
    }

    #[track_caller]
    fn first(count: usize) -> Self {
        static TREES: AtomicU32 = AtomicU32::new(0);
        let name = format!("gopherd-e2e-{}-{}", std::process::id(), TREES.fetch_add(1, Ordering::Relaxed));
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mounts = mounts.lines().filter_map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let (point, kind, options) = (words.get(1)?, words.get(2)?, words.get(3)?);
            // A cpuset of v1 takes no process before it has CPUs.
            let usable = kind.starts_with("cgroup") && !options.split(',').any(|option| option == "cpuset");
            usable.then(|| PathBuf::from(point))
        });
        let trees = mounts.filter_map(|mount| {
            let root = mount.join(&name);
            fs::create_dir(&root).ok().map(|()| Tree { mount, root })
        });
        let trees: Vec<_> = trees.take(count).collect();
        assert!(!trees.is_empty(), "no cgroup can be made (run as root, with a writable /sys/fs/cgroup)");
        Self(trees)
    }

    /// Moves a process into the cgroup `path` of each tree, made if it is not there.
    #[track_caller]
    pub fn put(&self, pid: u32, path: &str) {
        for tree in &self.0 {
            let dir = tree.root.join(path);
            fs::create_dir_all(&dir).expect("a cgroup");
            fs::write(dir.join("cgroup.procs"), pid.to_string()).expect("a process can be moved");
        }
    }

    /// Moves a process back to the root of each hierarchy.
    #[track_caller]
    pub fn release(&self, pid: u32) {
        for tree in &self.0 {
            fs::write(tree.mount.join("cgroup.procs"), pid.to_string()).expect("a process can be moved");
        }
    }
}

impl Tree {
    fn clear(&self, dir: &PathBuf) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.clear(&entry.path());
            }
        }
        for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(self.mount.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(dir);
    }
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.0.iter().for_each(|tree| tree.clear(&tree.root));
    }
}

/// An id as Docker makes them, which no other test on this machine has now.
pub fn container_id() -> String {
    static IDS: AtomicU32 = AtomicU32::new(0);
    format!("{:08x}{:04x}{:052x}", std::process::id(), IDS.fetch_add(1, Ordering::Relaxed), 0xabc)
}
