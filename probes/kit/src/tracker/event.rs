//! An event as its readers see it. The record comes from our own program, the name in it from anybody.

use super::bpf::{TRACKER_CGROUP, TRACKER_COMM, TRACKER_EXEC, TRACKER_EXIT, TRACKER_FORK, tracker_event};
use crate::bpf::Early;
use crate::scan;
use probe_core::{Label, ProcKey};

/// Something that happened to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub process: ProcKey,
    /// What.
    pub change: Change,
    /// In which features the kernel listed it with that, by what [`crate::bpf::Foresight`] says of them.
    pub early: Early,
}

/// What happened. Names are as in `/proc/<pid>/stat`, with invalid UTF-8 replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It runs another program.
    Exec {
        /// Its name now.
        comm: Label,
        /// Its parent's pid.
        ppid: u32,
        /// Where code, stack and arguments begin: fields 26, 28 and 48 of `/proc/<pid>/stat`.
        image: [u64; 3],
    },
    /// It is new. Name, program and arguments are those of who forked it.
    Fork {
        /// Its name.
        comm: Label,
        /// Its parent's pid.
        ppid: u32,
        /// Who forked it: the parent but for `CLONE_PARENT`.
        forker: u32,
        /// It began in other cgroups than those of who forked it.
        moved: bool,
    },
    /// Its last thread ends. Its files are about to be closed, and its pid stays taken until it is waited for.
    Exit,
    /// It has another name.
    Comm(Label),
    /// It was moved to another cgroup.
    Cgroup,
}

impl Event {
    /// `None` for a kind that this version does not know.
    pub(super) fn read(record: &tracker_event) -> Option<Self> {
        let &tracker_event { tgid, start_ticks, ppid, forker, .. } = record;
        let comm = || {
            let end = record.comm.iter().position(|byte| *byte == 0).unwrap_or(record.comm.len());
            scan::text(&record.comm[..end])
        };
        let change = match record.kind {
            TRACKER_EXEC => Change::Exec {
                comm: comm(),
                ppid,
                image: [record.start_code, record.start_stack, record.arg_start],
            },
            TRACKER_FORK => Change::Fork { comm: comm(), ppid, forker, moved: record.moved != 0 },
            TRACKER_EXIT => Change::Exit,
            TRACKER_COMM => Change::Comm(comm()),
            TRACKER_CGROUP => Change::Cgroup,
            _ => return None,
        };
        let early = Early { features: record.early, since: record.early_since };
        Some(Self { process: ProcKey { tgid, start_ticks }, change, early })
    }
}

/// What holds of any record: its name ends at a NUL, and is not longer than its place and replacements make it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let record: tracker_event = crate::fuzz::record(bytes);
    let Some(event) = Event::read(&record) else { return };
    if let Change::Exec { comm, .. } | Change::Fork { comm, .. } | Change::Comm(comm) = event.change {
        assert!(!comm.contains('\0') && comm.len() <= 3 * record.comm.len(), "{comm:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, name: &[u8]) -> tracker_event {
        let mut record = tracker_event { kind, tgid: 7, start_ticks: 70, ..tracker_event::default() };
        record.comm[..name.len()].copy_from_slice(name);
        record
    }

    #[test]
    fn a_name_ends_at_its_nul_and_may_be_any_bytes() {
        for (name, read) in [
            (&b"redis\0rver"[..], "redis"),
            (b"", ""),
            (b"a) S 1 (\"b\"\n\\", "a) S 1 (\"b\"\n\\"),
            (b"\xff\xfex", "\u{fffd}\u{fffd}x"),
            (b"0123456789abcdef", "0123456789abcdef"),
        ] {
            let event = Event::read(&record(TRACKER_COMM, name)).expect("a kind that is known");
            assert_eq!(event.process, ProcKey { tgid: 7, start_ticks: 70 });
            assert_eq!(event.change, Change::Comm(read.into()));
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_no_event() {
        assert_eq!(Event::read(&record(0, b"")), None);
        assert_eq!(Event::read(&record(99, b"")), None);
    }
}
