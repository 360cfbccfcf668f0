//! The files of one process, reached so that a later process with the same pid can never be mistaken for it:
//! every one is opened through a descriptor of the process's own directory, which dies with the process.
//!
//! For a process whose descriptors are kept a reading costs two `pread` and one `fstat`; when the
//! [`Budget`] of its holder is spent, the directory and the files are opened and closed at each reading.

use crate::kept::read_piece;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Why a file of a process gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The process, or this file of it, is not there.
    Gone,
    /// The file is there and may not be read, or not now.
    Refused,
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        if matches!(errno, Errno::NOENT | Errno::SRCH) { Self::Gone } else { Self::Refused }
    }
}

/// Descriptors that may be kept open, over all holders of a share.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    each: usize,
}

impl Budget {
    /// The `part`-th part of what this process may open, less `others`, in shares of `each`.
    pub fn of_limit(part: u64, others: usize, each: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(usize::try_from(limit / part.max(1)).unwrap_or(usize::MAX).saturating_sub(others), each)
    }

    /// So many `descriptors`, in shares of `each`.
    pub fn new(descriptors: usize, each: usize) -> Self {
        Self { left: descriptors, each }
    }

    /// Takes one share, if it is left.
    pub fn take(&mut self) -> bool {
        let left = self.left.checked_sub(self.each);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Gives one share back.
    pub fn give(&mut self) {
        self.left = self.left.saturating_add(self.each);
    }
}

/// How the open descriptors of a process are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// The size of `/proc/<pid>/fd`: kernels since 6.2.
    Size,
    /// Its entries.
    Entries,
}

/// More entries than this are not counted: on an older kernel it would take too long.
const MAX_ENTRIES: usize = 1 << 16;

/// The `/proc` directory.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    count: Count,
}

fn open_dir(at: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_file(at: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

impl Root {
    /// Opens it and asks the kernel how descriptors are counted here.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let fd = openat(
            rustix::fs::CWD,
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let is_procfs = rustix::fs::fstatfs(&fd)?.f_type == rustix::fs::PROC_SUPER_MAGIC;
        let sized =
            rustix::fs::statat(&fd, "self/fd", rustix::fs::AtFlags::empty()).is_ok_and(|s| s.st_size > 0);
        Ok(Self { fd, count: if is_procfs && sized { Count::Size } else { Count::Entries } })
    }

    /// The pids in it, appended to `pids`.
    pub fn list(&self, pids: &mut Vec<u32>) -> Result<(), Errno> {
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = entry?;
            let pid = crate::scan::number(name.file_name().to_bytes());
            pids.extend(pid.and_then(|pid| u32::try_from(pid).ok()));
        }
        Ok(())
    }

    /// Number of open descriptors of the process that has `pid` now, where it is only counted once: without a
    /// descriptor where the kernel tells it as a size.
    pub fn descriptors(&self, pid: u32) -> Result<u64, Miss> {
        if self.count == Count::Entries {
            return count_entries(open_dir(&self.fd, itoa::Buffer::new().format(pid))?);
        }
        let mut path = [0; 16];
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(pid).as_bytes();
        // At most ten digits.
        path[..digits.len()].copy_from_slice(digits);
        path[digits.len()..digits.len() + 3].copy_from_slice(b"/fd");
        let stat = rustix::fs::statat(&self.fd, &path[..digits.len() + 3], rustix::fs::AtFlags::empty());
        u64::try_from(stat?.st_size).map_err(|_| Miss::Refused)
    }

    /// Opens the files of the process that has `pid` now.
    pub fn files(&self, pid: u32) -> Result<Files, Miss> {
        let dir = open_dir(&self.fd, itoa::Buffer::new().format(pid))?;
        let stat = open_file(&dir, "stat")?;
        Ok(Files { dir, stat, io: None, fd: None, count: self.count })
    }
}

/// The files of one process.
#[derive(Debug)]
pub struct Files {
    dir: OwnedFd,
    stat: OwnedFd,
    /// Opened when it is first read, again and again while that is refused.
    io: Option<OwnedFd>,
    /// A reference to the directory, opened when its size is first asked for.
    fd: Option<OwnedFd>,
    count: Count,
}

impl Files {
    /// Reads `stat`.
    pub fn stat<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read(self.stat.as_fd(), buf)
    }

    /// Whether the process is still there.
    pub fn alive(&self) -> bool {
        self.stat(&mut [0; 1024]).is_ok()
    }

    /// Reads `io`.
    pub fn io<'b>(&mut self, buf: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        let fd = match self.io.take() {
            Some(fd) => fd,
            None => open_file(&self.dir, "io")?,
        };
        let text = read(fd.as_fd(), buf);
        self.io = Some(fd);
        text
    }

    /// Reads a file that is not worth a kept descriptor. `smaps_rollup` must not have one: it would stay
    /// bound to the memory that the process had before an exec.
    pub fn once<'b>(&self, name: &str, buf: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read(open_file(&self.dir, name)?.as_fd(), buf)
    }

    /// Number of open descriptors.
    pub fn descriptors(&mut self) -> Result<u64, Miss> {
        match self.count {
            Count::Size => {
                let fd = match self.fd.take() {
                    Some(fd) => fd,
                    None => open_dir(&self.dir, "fd")?,
                };
                let stat = rustix::fs::fstat(&fd);
                self.fd = Some(fd);
                u64::try_from(stat?.st_size).map_err(|_| Miss::Refused)
            }
            Count::Entries => count_entries(&self.dir),
        }
    }
}

/// Entries of the directory `fd` of a process's directory, without the dots.
fn count_entries(process: impl AsFd) -> Result<u64, Miss> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = rustix::fs::Dir::new(openat(process, "fd", flags, Mode::empty())?)?;
    let mut count = 0;
    for entry in entries.take(MAX_ENTRIES + 2) {
        let dots = [&b"."[..], b".."].contains(&entry?.file_name().to_bytes());
        count += usize::from(!dots);
    }
    if count < MAX_ENTRIES { Ok(count as u64) } else { Err(Miss::Refused) }
}

fn read<'b>(fd: BorrowedFd<'_>, buf: &'b mut [u8]) -> Result<&'b [u8], Miss> {
    read_piece(fd, buf)?.ok_or(Miss::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn the_budget_is_at_most_its_part_of_what_may_be_open() {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(Budget::of_limit(2, 0, 4).left as u64 <= limit / 2);
        let mut budget = Budget::new(9, 4);
        assert!(budget.take() && budget.take() && !budget.take());
        budget.give();
        assert!(budget.take() && !budget.take());
    }

    #[test]
    fn the_files_of_this_process_are_read_and_its_descriptors_counted_both_ways() {
        let root = Root::open(Path::new("/proc")).expect("/proc");
        let mut files = root.files(std::process::id()).expect("this process");
        let mut buf = [0; 4096];
        let pid = std::process::id().to_string();
        assert!(files.stat(&mut buf).expect("stat").starts_with(pid.as_bytes()));
        assert!(files.io(&mut buf).expect("io").starts_with(b"rchar: "));
        assert!(files.once("limits", &mut buf).expect("limits").starts_with(b"Limit"));
        assert_eq!(files.once("no-such-file", &mut buf), Err(Miss::Gone));
        let many: Vec<_> = (0..500).map(|_| std::fs::File::open("/dev/null").expect("open")).collect();
        for count in [Count::Entries, root.count] {
            files.count = count;
            // Other tests open and close files meanwhile, far fewer than these.
            assert!(files.descriptors().expect("a count") >= many.len() as u64, "{count:?}");
            assert!(root.descriptors(std::process::id()).expect("a count") >= many.len() as u64);
        }
    }

    #[test]
    fn entries_are_counted_without_the_dots() {
        let host = FakeHost::new();
        host.write("proc/7/stat", "x").write("proc/7/fd/0", "").write("proc/7/fd/9", "");
        let root = Root::open(&host.env().proc).expect("the tree");
        assert_eq!(root.count, Count::Entries, "sizes of other file systems count nothing");
        assert_eq!(root.files(7).expect("the process").descriptors(), Ok(2));
        assert_eq!((root.descriptors(7), root.descriptors(8)), (Ok(2), Err(Miss::Gone)));
        let mut pids = Vec::new();
        root.list(&mut pids).expect("listed");
        assert_eq!(pids, [7]);
    }

    #[test]
    fn a_text_that_may_go_on_is_refused() {
        let host = FakeHost::new();
        host.write("proc/7/stat", "0123456789");
        let files = Root::open(&host.env().proc)
            .and_then(|root| root.files(7).map_err(|_| Errno::IO))
            .expect("files");
        assert_eq!(files.stat(&mut [0; 10]), Err(Miss::Refused));
        assert_eq!(files.stat(&mut [0; 11]).expect("whole").len(), 10);
    }
}
