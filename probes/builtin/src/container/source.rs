//! The files of one container's cgroups, each opened once and read again through its descriptor.
//!
//! Owns which files there are and what is remembered of one that is not there. What is in them is read by the file of
//! each sub-probe. Files for which no descriptor is left are opened at each reading.

use super::place::Place;
use probe_kit::kept::{KeptFile, read_once_in_one};
use probe_kit::process::Budget;
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
    sources: [Source; FILES.len()],
    /// Since the last [`Sources::take_misses`].
    misses: Misses,
}

impl Sources {
    /// Those below `place`.
    pub(super) fn new(place: Place) -> Self {
        Self { place, sources: std::array::from_fn(|_| Source::New), misses: Misses::default() }
    }

    /// Where they are.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Files that are kept open.
    pub(super) fn kept(&self) -> usize {
        self.sources.iter().filter(|source| matches!(source, Source::Kept(_))).count()
    }

    /// What went wrong since the last call.
    pub(super) fn take_misses(&mut self) -> Misses {
        std::mem::take(&mut self.misses)
    }

    /// To be read; those that are opened are kept while `budget` lasts.
    pub(super) fn within<'a>(&'a mut self, budget: &'a mut Budget) -> Files<'a> {
        Files { sources: self, budget }
    }

    /// Finds a file by its names and reads it; it is kept open if `keep` allows.
    fn look(&self, index: usize, mut keep: impl FnMut() -> bool, buf: &mut Vec<u8>) -> io::Result<Source> {
        let Name { v2, v1 } = &FILES[index];
        let unified = v2.and_then(|name| Some(self.place.unified.as_ref()?.join(name)));
        let old = v1.iter().filter_map(|(controller, name)| Some(self.place.v1(controller)?.join(name)));
        for path in unified.into_iter().chain(old) {
            let mut file = KeptFile::new(path);
            match file.read(buf).map(drop) {
                Ok(()) if keep() => return Ok(Source::Kept(file)),
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

/// The files of one container, with the descriptors that may still be kept.
#[derive(Debug)]
pub(super) struct Files<'a> {
    sources: &'a mut Sources,
    budget: &'a mut Budget,
}

impl Files<'_> {
    /// Reads one; `None` for one that is not there or cannot be read.
    pub(super) fn read<'b>(&mut self, file: File, buf: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        let (sources, index) = (&mut *self.sources, file as usize);
        // There may be room by now.
        if let Source::Once(path) = &sources.sources[index]
            && self.budget.take()
        {
            sources.sources[index] = Source::Kept(KeptFile::new(path.as_path()));
        }
        let length = match &mut sources.sources[index] {
            Source::Absent => return None,
            Source::Kept(kept) => kept.read_in_one(buf).map(<[u8]>::len),
            Source::Once(path) => read_once_in_one(path, buf).map(<[u8]>::len),
            Source::New => sources.look(index, || self.budget.take(), buf).map(|source| {
                sources.sources[index] = source;
                buf.len()
            }),
        };
        match length {
            Ok(_) if matches!(sources.sources[index], Source::Absent) => None,
            Ok(length) => buf.get(..length),
            Err(error) => {
                sources.miss(&error);
                None
            }
        }
    }
}

const ENOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();
const ENODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();
const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();
