//! One side of an event: a task and its memory cgroup, from the kernel's bytes to texts; and counts by cgroup.

use super::bpf::trouble_side;
use probe_core::{Label, ProcKey, Subject};
use probe_kit::scan;
use std::collections::HashMap;

/// What stands before the NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// The path of a cgroup from the names of its directories, the innermost first. One that is deeper than is told
/// begins with `...`.
pub(in super::super) fn path<const N: usize>(names: &[[u8; N]]) -> Label {
    let levels = names.len();
    let names: Vec<_> = names.iter().map(|name| text(name)).take_while(|name| !name.is_empty()).collect();
    let mut path = Vec::new();
    if names.len() == levels {
        path.extend_from_slice(b"/...");
    }
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    scan::text(&path)
}

/// The name of the task's process.
pub(super) fn comm(side: &trouble_side) -> Label {
    scan::text(text(&side.comm))
}

/// The process, if it is known.
pub(super) fn subject(side: &trouble_side) -> Subject {
    if side.tgid == 0 {
        return Subject::Host;
    }
    Subject::Process(ProcKey { tgid: side.tgid, start_ticks: side.start_ticks })
}

/// The pid that people know it by.
pub(super) fn pid(side: &trouble_side) -> Label {
    let pid = if side.tgid == 0 { side.pid } else { side.tgid };
    itoa::Buffer::new().format(pid).into()
}

/// A number of pages in kB.
pub(super) fn kilobytes(pages: u64) -> Label {
    let size = rustix::param::page_size() as u64 / 1024;
    itoa::Buffer::new().format(pages.saturating_mul(size)).into()
}

/// The limit of the cgroup in kB, or that it has none: then the kernel has the largest number of pages.
pub(super) fn limit(side: &trouble_side) -> Label {
    let none = side.cgroup_max_pages == 0 || side.cgroup_max_pages >= 1 << 50;
    if none { "no".into() } else { kilobytes(side.cgroup_max_pages) }
}

/// Cgroups with a count; of more, the one that grew longest ago goes.
const MAX_CGROUPS: usize = 512;

/// Counts by the path of a cgroup.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_path: HashMap<Label, (u64, u64)>,
    turn: u64,
}

impl Counts {
    /// Counts one more.
    pub(super) fn add(&mut self, path: &Label) {
        self.turn += 1;
        if self.by_path.len() >= MAX_CGROUPS && !self.by_path.contains_key(path) {
            let oldest = self.by_path.iter().min_by_key(|(_, (_, turn))| *turn).map(|(path, _)| path.clone());
            oldest.map(|path| self.by_path.remove(&path));
        }
        let (count, turn) = self.by_path.entry(path.clone()).or_default();
        (*count, *turn) = (*count + 1, self.turn);
    }

    /// Paths and counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Label, u64)> {
        self.by_path.iter().map(|(path, (count, _))| (path, *count))
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        (self.by_path.capacity() * size_of::<(Label, (u64, u64))>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::bpf::abi::GOPHER_CGROUP_LEVELS;

    fn names(all: &[&[u8]]) -> [[u8; 8]; GOPHER_CGROUP_LEVELS as usize] {
        let mut names = [[b'#'; 8]; GOPHER_CGROUP_LEVELS as usize];
        for (slot, name) in names.iter_mut().zip(all.iter().chain(std::iter::repeat(&&b""[..]))) {
            slot[..name.len()].copy_from_slice(name);
            slot[name.len()] = 0;
        }
        names
    }

    #[test]
    fn a_path_is_put_together_from_the_inside_and_what_is_behind_a_nul_is_nothing() {
        let cases: &[(&[&[u8]], &str)] = &[
            (&[b"demo", b"default"], "/default/demo"),
            (&[], "/"),
            (&[b"\xff\"\n"], "/\u{fffd}\"\n"),
            (&[b"7", b"6", b"5", b"4", b"3", b"2", b"1"], "/.../1/2/3/4/5/6/7"),
        ];
        for (all, expected) in cases {
            assert_eq!(path(&names(all)), *expected);
        }
    }

    #[test]
    fn the_cgroup_that_grew_longest_ago_makes_room() {
        let mut counts = Counts::default();
        for number in 0..MAX_CGROUPS {
            counts.add(&format!("/{number}").into());
        }
        counts.add(&"/0".into());
        counts.add(&"/new".into());
        assert_eq!(counts.by_path.len(), MAX_CGROUPS);
        let count = |path: &str| counts.iter().find(|(at, _)| *at == path).map(|(_, count)| count);
        assert_eq!((count("/0"), count("/1"), count("/new")), (Some(2), None, Some(1)));
    }
}
