//! `process`: the processes of a container and what they have open.

use probe_kit::kept::{KeptFile, read_once};
use probe_kit::process::{Miss, Root};
use probe_kit::scan::{lines, number};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Cgroups below one container that are looked into.
const MAX_CGROUPS: usize = 256;

/// Processes of one pass; the descriptors of more are not counted.
pub(super) const MAX_PROCESSES: usize = 20_000;

/// What was found in one container.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) processes: Option<u64>,
    pub(super) descriptors: Option<u64>,
    /// More cgroups than are looked into.
    pub(super) cut: bool,
    /// Processes whose descriptors may not be counted.
    pub(super) refused: u64,
}

/// The list of processes in a cgroup.
pub(super) fn procs(cgroup: &Path) -> PathBuf {
    cgroup.join("cgroup.procs")
}

/// Looks into the cgroup `top` and those below it; its own list is `kept` if it is kept open. `left` is how many processes
/// may still be looked at.
pub(super) fn look(
    top: &Path,
    mut kept: Option<&mut KeptFile>,
    root: Option<&Root>,
    left: &mut usize,
    buf: &mut Vec<u8>,
) -> Found {
    let mut found = Found::default();
    let mut waiting = vec![top.to_owned()];
    let mut looked = 0;
    let (mut processes, mut descriptors) = (0u64, Some(0u64));
    while let Some(dir) = waiting.pop() {
        looked += 1;
        if looked > MAX_CGROUPS {
            // What is left out would make both numbers too small.
            return Found { cut: true, ..Found::default() };
        }
        children(&dir, &mut waiting);
        let text = match kept.take() {
            Some(kept) => kept.read(buf),
            None => read_once(&procs(&dir), buf),
        };
        let Ok(text) = text else {
            // One below may go at any time, or have threads only, which the kernel does not list.
            if looked > 1 {
                continue;
            }
            return Found::default();
        };
        for pid in lines(text).filter_map(number).filter_map(|pid| u32::try_from(pid).ok()) {
            processes += 1;
            if *left == 0 {
                descriptors = None;
                continue;
            }
            *left -= 1;
            match root.map(|root| root.descriptors(pid)) {
                Some(Ok(count)) => descriptors = descriptors.map(|sum| sum + count),
                Some(Err(Miss::Gone)) => {}
                Some(Err(Miss::Refused)) => {
                    found.refused += 1;
                    descriptors = None;
                }
                None => descriptors = None,
            }
        }
    }
    found.processes = Some(processes);
    found.descriptors = descriptors;
    found
}

/// Adds the directories in `dir`. The kernel counts them as links of it, so most need not be listed.
fn children(dir: &Path, waiting: &mut Vec<PathBuf>) {
    if !std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir() && meta.nlink() != 2) {
        return;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    waiting.extend(dirs.map(|entry| entry.path()).take(MAX_CGROUPS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;

    #[test]
    fn processes_of_cgroups_below_count_and_one_that_is_gone_has_nothing_open() {
        let host = FakeHost::new();
        host.write("c/cgroup.procs", "7\n8\n")
            .write("c/in/cgroup.procs", "9\n")
            .write("c/in/deep/cgroup.procs", "");
        for descriptor in ["7/fd/0", "7/fd/1", "9/fd/0"] {
            host.write(&format!("proc/{descriptor}"), "");
        }
        let root = Root::open(&host.env().proc).expect("a tree");
        let (mut left, mut buf) = (10, Vec::new());
        let found = look(&host.path("c"), None, Some(&root), &mut left, &mut buf);
        assert_eq!(found, Found { processes: Some(3), descriptors: Some(3), cut: false, refused: 0 });
        assert_eq!(left, 7);
        let mut left = 2;
        let found = look(&host.path("c"), None, Some(&root), &mut left, &mut buf);
        assert_eq!((found.processes, found.descriptors), (Some(3), None), "a part is not the number");
    }

    #[test]
    fn a_container_with_too_many_cgroups_is_said_and_not_counted_in_part() {
        let host = FakeHost::new();
        host.write("c/cgroup.procs", "");
        for number in 0..=MAX_CGROUPS {
            host.write(&format!("c/{number}/cgroup.procs"), "1\n");
        }
        let found = look(&host.path("c"), None, None, &mut 10_000, &mut Vec::new());
        assert!(found.cut && found.processes.is_none());
    }
}
