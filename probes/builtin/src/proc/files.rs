//! Programs in user space's files: which files the processes in scope have mapped, and the links to them. A file is
//! known by device and inode, so a library that a thousand processes share is one; links go when nobody in scope has
//! the file mapped any more.

use super::process::Look;
use libbpf_rs::Link;
use probe_core::{Batch, Capability, Scope};
use probe_kit::kept::read_once;
use probe_kit::privilege::raise;
use probe_kit::scan::{lines, words};
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Processes that are looked at at a time.
const PROCESSES: usize = 8192;

/// Files that there are links to at a time.
const FILES: usize = 256;

/// Device and inode, as /proc/<pid>/maps has them.
type FileId = (Box<[u8]>, Box<[u8]>);

/// Which of a process's files is meant, by its name.
pub(super) type Pick = fn(&[u8]) -> bool;

/// The files that are followed.
#[derive(Default)]
pub(super) struct Files {
    /// No links: the file has nothing to attach to.
    links: HashMap<FileId, Vec<Link>>,
    /// Processes that were looked at.
    seen: HashSet<u32>,
    /// Why the last file could not be attached to.
    refused: Option<String>,
    left_out: u64,
}

impl Files {
    /// Looks at every process in scope, or only at those that were not looked at yet, and attaches to files that are
    /// new by `attach`, which gets a path that leads to the file.
    pub(super) fn meet(
        &mut self,
        look: &Look<'_>,
        all: bool,
        pick: Pick,
        attach: &mut dyn FnMut(&Path) -> Result<Vec<Link>, String>,
    ) {
        // Maps and files of other users, in other roots.
        let _raised = raise(&[Capability::SysPtrace, Capability::DacReadSearch]);
        let before = std::mem::take(&mut self.seen);
        let mut used = HashSet::new();
        let mut text = Vec::new();
        for tgid in in_scope(look) {
            if self.seen.len() >= PROCESSES {
                self.left_out += 1;
                continue;
            }
            self.seen.insert(tgid);
            if !all && before.contains(&tgid) {
                continue;
            }
            let folder = look.proc.join(tgid.to_string());
            // One that has ended, or has no memory of its own.
            let Ok(maps) = read_once(&folder.join("maps"), &mut text) else { continue };
            for (id, path) in mapped(maps, pick) {
                if used.insert(id.clone()) && !self.links.contains_key(&id) {
                    self.add(id, &folder.join("root").join(path), attach);
                }
            }
        }
        if all {
            self.links.retain(|id, _| used.contains(id));
        }
    }

    fn add(&mut self, id: FileId, path: &Path, attach: &mut dyn FnMut(&Path) -> Result<Vec<Link>, String>) {
        if self.links.len() >= FILES {
            self.left_out += 1;
            return;
        }
        match attach(path) {
            Ok(links) => {
                self.links.insert(id, links);
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "a file cannot be attached to");
                self.refused = Some(reason);
            }
        }
    }

    /// Why no file can be attached to, if there is one and that is so.
    pub(super) fn refused(&self) -> Option<&String> {
        self.refused.as_ref().filter(|_| self.links.is_empty())
    }

    /// Drops all links.
    pub(super) fn leave(&mut self) {
        self.links.clear();
        self.seen.clear();
    }

    /// Tells what was not looked at since the last call.
    pub(super) fn tell(&mut self, out: &mut Batch) {
        out.skip("file_limit", std::mem::take(&mut self.left_out));
    }
}

/// The processes to look at, as far as their number is enough to tell: programs look once more.
fn in_scope(look: &Look<'_>) -> Vec<u32> {
    if let Scope::Only(set) = look.scope {
        return set.iter().map(|key| key.tgid).collect();
    }
    let Ok(folder) = std::fs::read_dir(look.proc) else { return Vec::new() };
    folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The files that are mapped to be executed and that `pick` picks by name, each with its path from the root.
fn mapped(maps: &[u8], pick: Pick) -> impl Iterator<Item = (FileId, PathBuf)> + '_ {
    lines(maps).filter_map(move |line| {
        // address, rights, offset, device, inode, path
        let mut fields = words(line).skip(1);
        let (rights, device, inode) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let path = &line[line.iter().position(|byte| *byte == b'/')?..];
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        if rights.get(2) != Some(&b'x') || !pick(name) {
            return None;
        }
        // A path that began with a second slash would not be one below the process's root.
        let below = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
        let from_root = std::ffi::OsStr::from_bytes(&path[below..]);
        Some(((device.into(), inode.into()), PathBuf::from(from_root)))
    })
}

/// What holds of any text: a path can be looked for below a process's root.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    for (_, path) in mapped(bytes, |_| true) {
        assert!(path.is_relative(), "{} leads past a process's root", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_picked_by_name_where_they_are_executed_and_text_that_is_none_is_passed_over() {
        let maps = b"55-56 r-xp 00000000 08:01 11 /usr/bin/a b\n\
            7f-80 r--p 00000000 08:01 12    /lib/libc.so.6\n\
            80-81 r-xp 00028000 08:01 12    /lib/libc.so.6\n\
            81-82 r-xp 00000000 08:01 13    /x/libc.so.6 (deleted)\n\
            82-83 r-xp 00000000 00:00 0     [vdso]\n83-84 r-xp\n\xff\xfe\n84-85 rwxp 0 08:01 14 /";
        let found: Vec<_> = mapped(maps, |name| name == b"libc.so.6" || name == b"a b").collect();
        let paths: Vec<_> = found.iter().map(|(_, path)| path.display().to_string()).collect();
        assert_eq!(paths, ["usr/bin/a b", "lib/libc.so.6"]);
        assert_eq!(found[1].0, (b"08:01"[..].into(), b"12"[..].into()));
    }

    #[test]
    fn a_path_that_begins_with_two_slashes_is_one_below_the_root_too() {
        let found: Vec<_> = mapped(b"7f-80 r-xp 0 08:01 12 //lib/libc.so.6\n", |_| true).collect();
        assert_eq!(found[0].1, std::path::Path::new("lib/libc.so.6"));
    }
}
