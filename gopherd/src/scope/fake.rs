//! A /proc made by hand, and selections in a few words, for the tests of this module.

use super::facts::ProcFacts;
use crate::containers::{Container, ContainerId, Pod, Runtime};
use crate::feature::{Mode, ProcId, ProcName, Selection, Selectors};
use probe_core::ProcKey;
use probe_kit::testing::FakeHost;
use regex::Regex;
use std::path::PathBuf;
use std::sync::Arc;

/// A process of the fake /proc.
#[derive(Clone, Debug)]
pub(super) struct Fake {
    pub(super) pid: u32,
    pub(super) ppid: u32,
    pub(super) comm: &'static str,
    pub(super) start: u64,
    /// Where its program lies; another number after an exec, 0 if the kernel hides it.
    pub(super) image: u64,
    pub(super) cmdline: &'static [u8],
}

impl Fake {
    pub(super) fn new(pid: u32, comm: &'static str) -> Self {
        Self { pid, ppid: 1, comm, start: u64::from(pid) * 10, image: 5000, cmdline: b"" }
    }

    pub(super) fn key(&self) -> ProcKey {
        ProcKey { tgid: self.pid, start_ticks: self.start }
    }
}

/// A fake /proc.
#[derive(Debug)]
pub(super) struct FakeProc(pub(super) FakeHost);

impl FakeProc {
    pub(super) fn new() -> Self {
        let host = FakeHost::new();
        host.write("proc/uptime", "1 1\n");
        Self(host)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.0.path("proc")
    }

    /// The process starts, or is now like this.
    pub(super) fn put(&self, fake: &Fake) -> &Self {
        let Fake { pid, ppid, comm, start, image, cmdline } = fake;
        let zeros = |n: usize| "0 ".repeat(n);
        let stat = format!(
            "{pid} ({comm}) S {ppid} {}{start} {}{image} 0 {image} {}{image} 0 0 0 0\n",
            zeros(17),
            zeros(3),
            zeros(19)
        );
        self.0.write(&format!("proc/{pid}/stat"), stat);
        self.0.write(&format!("proc/{pid}/status"), format!("Name:\tx\nTgid:\t{pid}\nPid:\t{pid}\n"));
        self.0.write(&format!("proc/{pid}/cmdline"), cmdline);
        self
    }

    /// The process is in these containers, the innermost last; the daemon that reads it is not.
    pub(super) fn move_to(&self, pid: u32, containers: &[u32]) -> &Self {
        let path: String =
            containers.iter().map(|number| format!("/docker/{}", container_id(*number).as_str())).collect();
        self.0.write(&format!("proc/{pid}/cgroup"), format!("2:cpu:/\n1:name=systemd:{path}/\n0::/\n"));
        self
    }

    /// The process ends.
    pub(super) fn end(&self, pid: u32) -> &Self {
        std::fs::remove_dir_all(self.root().join(pid.to_string())).expect("was there");
        self
    }
}

/// A `proc_name` entry; an empty expression means any.
pub(super) fn name(comm: &str, cmdline: &str, label: Option<(&str, &str)>) -> ProcName {
    let regex = |text: &str| (!text.is_empty()).then(|| Regex::new(text).expect("valid"));
    let label = label.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ProcName { comm: regex(comm), cmdline: regex(cmdline), label }
}

/// A selection of `proc_name` entries by comm.
pub(super) fn comms(mode: Mode, comms: &[&str]) -> Selection {
    let proc_name = comms.iter().map(|comm| name(comm, "", None)).collect();
    Selection { mode, selectors: Selectors { proc_name, ..Selectors::default() } }
}

/// A selection of bound processes.
pub(super) fn ids(mode: Mode, keys: &[ProcKey]) -> Selection {
    let proc_id = keys.iter().map(|key| ProcId { pid: key.tgid, process: Some(*key) }).collect();
    Selection { mode, selectors: Selectors { proc_id, ..Selectors::default() } }
}

/// Facts without a /proc.
pub(super) fn facts(pid: u32, ppid: u32, comm: &str, cmdline: &str) -> ProcFacts {
    ProcFacts {
        key: ProcKey { tgid: pid, start_ticks: u64::from(pid) },
        ppid,
        comm: comm.into(),
        cmdline: Some(cmdline.into()),
        place: None,
        image: [1; 3],
        ended: false,
    }
}

/// The same process in these containers, the innermost first.
pub(super) fn in_container(facts: ProcFacts, place: &[&ContainerId]) -> ProcFacts {
    ProcFacts { place: Some(place.iter().map(|id| (*id).clone()).collect()), ..facts }
}

/// The id of container number `number`: its first 12 characters end with it.
pub(super) fn container_id(number: u32) -> ContainerId {
    ContainerId::new(&format!("{number:012}{:052}", 0)).expect("an id")
}

/// A container as a runtime tells it.
pub(super) fn known(number: u32, name: Option<&str>, pod: Option<&str>) -> Container {
    let of_pod = |uid: &str| Arc::new(Pod { uid: uid.into(), name: None, namespace: None, labels: None });
    Container {
        id: container_id(number),
        runtime: Runtime::Unknown,
        name: name.map(Into::into),
        image: None,
        pod: pod.map(of_pod),
    }
}
