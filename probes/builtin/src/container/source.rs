//! The files of one container's cgroups, each opened once and read again through its descriptor.
//!
//! Owns which files there are and what is remembered of one that is not there. What is in them is read by the file of
//! each sub-probe. A container whose files cannot be kept, because too many are, has them opened at each reading.

use super::place::Place;
use probe_kit::cgroup::Hierarchies;
use probe_kit::kept::{KeptFile, read_once};
use std::io;
use std::path::PathBuf;

/// A file of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // FILES says which
pub(super) enum File {
    CpuStat,
    AcctUsage,
    AcctUser,
    AcctSystem,
    V1CpuStat,
    MemoryCurrent,
    MemoryStat,
    MemoryMax,
    MemoryEvents,
    OomControl,
    FailCount,
    IoStat,
    IoBytes,
    IoCount,
    IoTime,
    CpuPressure,
    MemoryPressure,
    IoPressure,
}

/// The first that is there counts.
struct Name {
    v2: Option<&'static str>,
    v1: &'static [(&'static str, &'static str)],
}

const fn v2(name: &'static str) -> Name {
    Name { v2: Some(name), v1: &[] }
}

const fn v1(names: &'static [(&'static str, &'static str)]) -> Name {
    Name { v2: None, v1: names }
}

const fn both(name: &'static str, v1: &'static [(&'static str, &'static str)]) -> Name {
    Name { v2: Some(name), v1 }
}

/// In the order of [`File`].
const FILES: [Name; 18] = [
    v2("cpu.stat"),
    v1(&[("cpuacct", "cpuacct.usage")]),
    v1(&[("cpuacct", "cpuacct.usage_user")]),
    v1(&[("cpuacct", "cpuacct.usage_sys")]),
    v1(&[("cpu", "cpu.stat")]),
    both("memory.current", &[("memory", "memory.usage_in_bytes")]),
    both("memory.stat", &[("memory", "memory.stat")]),
    both("memory.max", &[("memory", "memory.limit_in_bytes")]),
    v2("memory.events"),
    v1(&[("memory", "memory.oom_control")]),
    v1(&[("memory", "memory.failcnt")]),
    v2("io.stat"),
    v1(&[
        ("blkio", "blkio.throttle.io_service_bytes_recursive"),
        ("blkio", "blkio.throttle.io_service_bytes"),
    ]),
    v1(&[("blkio", "blkio.throttle.io_serviced_recursive"), ("blkio", "blkio.throttle.io_serviced")]),
    v1(&[("blkio", "blkio.io_service_time_recursive"), ("blkio", "blkio.bfq.io_service_time_recursive")]),
    v2("cpu.pressure"),
    v2("memory.pressure"),
    v2("io.pressure"),
];

/// Descriptors that one container keeps at most where `hierarchies` are mounted: of these files those that can be there, its
/// process's directory, and `cgroup.procs` with its directory.
pub(super) fn each(hierarchies: &Hierarchies) -> usize {
    let there = |file: &&Name| {
        file.v2.is_some() && hierarchies.unified().is_some()
            || file.v1.iter().any(|(controller, _)| hierarchies.of(controller).is_some())
    };
    FILES.iter().filter(there).count() + 3
}

/// The same where everything is there.
#[cfg(test)]
pub(super) const EACH: usize = FILES.len() + 3;

#[derive(Debug)]
enum Source {
    /// Not looked for yet.
    New,
    /// None of its names is there.
    Absent,
    Kept(KeptFile),
    Once(PathBuf),
}

/// How a reading of a container's files fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Misses {
    /// The cgroup went while it was read.
    pub(super) gone: bool,
    /// A file is there and cannot be read.
    pub(super) refused: bool,
}

/// The files of one container.
#[derive(Debug)]
pub(super) struct Sources {
    place: Place,
    keep: bool,
    sources: [Source; FILES.len()],
    /// Since the last [`Sources::take_misses`].
    misses: Misses,
}

impl Sources {
    /// Those below `place`; their descriptors are kept if `keep`.
    pub(super) fn new(place: Place, keep: bool) -> Self {
        Self { place, keep, sources: std::array::from_fn(|_| Source::New), misses: Misses::default() }
    }

    /// Where they are.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether descriptors are kept.
    pub(super) fn keep(&self) -> bool {
        self.keep
    }

    /// What went wrong since the last call.
    pub(super) fn take_misses(&mut self) -> Misses {
        std::mem::take(&mut self.misses)
    }

    /// Reads one; `None` for one that is not there or cannot be read.
    pub(super) fn read<'b>(&mut self, file: File, buf: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        let index = file as usize;
        let length = match &mut self.sources[index] {
            Source::Absent => return None,
            Source::Kept(kept) => kept.read_in_one(buf).map(<[u8]>::len),
            Source::Once(path) => read_once(path, buf).map(<[u8]>::len),
            Source::New => self.look(index, buf).map(|source| {
                let found = !matches!(source, Source::Absent);
                self.sources[index] = source;
                if found { buf.len() } else { 0 }
            }),
        };
        match length {
            Ok(_) if matches!(self.sources[index], Source::Absent) => None,
            Ok(length) => buf.get(..length),
            Err(error) => {
                self.miss(&error);
                None
            }
        }
    }

    /// Finds a file by its names and reads it.
    fn look(&self, index: usize, buf: &mut Vec<u8>) -> io::Result<Source> {
        let Name { v2, v1 } = &FILES[index];
        let unified = v2.and_then(|name| Some(self.place.unified.as_ref()?.join(name)));
        let old = v1.iter().filter_map(|(controller, name)| Some(self.place.v1(controller)?.join(name)));
        for path in unified.into_iter().chain(old) {
            let mut file = KeptFile::new(path);
            match file.read(buf).map(drop) {
                Ok(()) if self.keep => return Ok(Source::Kept(file)),
                Ok(()) => return Ok(Source::Once(file.path().to_owned())),
                // EOPNOTSUPP: pressure accounting is switched off for this cgroup.
                Err(error) if matches!(error.raw_os_error(), Some(ENOENT | EOPNOTSUPP)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Source::Absent)
    }

    fn miss(&mut self, error: &io::Error) {
        // ENODEV: the cgroup of a kept descriptor is removed.
        let gone = matches!(error.raw_os_error(), Some(ENOENT | ENODEV));
        self.misses.gone |= gone;
        self.misses.refused |= !gone;
    }
}

const ENOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();
const ENODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();
const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;

    #[test]
    fn a_container_takes_as_many_descriptors_as_there_can_be_files() {
        let found = |files: &[&str]| {
            let host = FakeHost::new();
            for file in files {
                host.write(&format!("sys/fs/cgroup/{file}"), "");
            }
            each(&Hierarchies::find(&host.env().sys))
        };
        assert_eq!(found(&[]), 3);
        assert_eq!(found(&["cgroup.controllers"]), 9 + 3);
        // usage_in_bytes, stat, limit_in_bytes, oom_control and failcnt
        assert_eq!(found(&["memory/tasks"]), 5 + 3);
        let all = ["unified/cgroup.controllers", "memory/tasks", "cpu,cpuacct/tasks", "blkio/tasks"];
        assert_eq!(found(&all), EACH);
    }
}
