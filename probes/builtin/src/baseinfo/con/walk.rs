//! How many bytes a directory inside a container holds: one bounded walk.
//!
//! The numbers are those of `du -sb --one-file-system`: the apparent sizes of files, directories and symbolic
//! links, each hard-linked file once. The tree belongs to whoever runs in the container, so nothing of it is
//! trusted: no link is followed below the start, no mount is entered (what is written there is not written into
//! this directory, and its server may be dead), nothing but directories is opened (a FIFO would block), and
//! entries, depth and time are limited.
//!
//! A walk that meets a limit has no result: the growth of a part would be taken for the growth of the whole.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, openat2, statx};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How far a walk may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Names that are looked at.
    pub(super) entries: u64,
    /// Directories inside each other; as many descriptors are open.
    pub(super) depth: usize,
    /// How long it may take.
    pub(super) time: Duration,
}

/// What a walk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Device and inode of the directory, to tell whether the next walk was of the same one.
    pub(super) start: (u64, u64),
    /// Apparent sizes, added up.
    pub(super) bytes: u64,
    /// Names that were looked at.
    pub(super) entries: u64,
    /// Directories that could not be read. What is in them is not in `bytes`.
    pub(super) unreadable: u64,
}

/// Why a walk has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The container has no such directory. No loss.
    Absent,
    /// The directory cannot be opened.
    Unreadable,
    /// More entries than the limit.
    Entries,
    /// Deeper than the limit.
    Depth,
    /// Longer than the limit.
    Time,
    /// Somebody wants the thread to end.
    Cancelled,
}

/// Opens `dir` below the container's root directory. Links in it are followed within that root.
pub(super) fn open_start(root: impl AsFd, dir: &str) -> Result<OwnedFd, Stop> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    open(root.as_fd(), Path::new(dir), OFlags::empty(), resolve).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => Stop::Absent,
        _ => Stop::Unreadable,
    })
}

/// Opens a directory to list it, if possible without a trace in its access time.
fn open<P: rustix::path::Arg + Copy>(
    at: BorrowedFd<'_>,
    path: P,
    more: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    match openat2(at, path, flags | OFlags::NOATIME, Mode::empty(), resolve) {
        // Only the owner may.
        Err(Errno::PERM) => openat2(at, path, flags, Mode::empty(), resolve),
        other => other,
    }
}

struct Walk<'a> {
    limits: Limits,
    deadline: Instant,
    cancelled: &'a AtomicBool,
    /// The mount on which the walk began; `None` on a kernel that does not tell.
    mount: Option<u64>,
    linked: HashSet<(u64, u64)>,
    size: Size,
}

/// Walks the directory `start`.
pub(super) fn walk(start: OwnedFd, limits: Limits, cancelled: &AtomicBool) -> Result<Size, Stop> {
    let stat = fstat(&start).map_err(|_| Stop::Unreadable)?;
    let seen = look(start.as_fd(), c"").map_err(|_| Stop::Unreadable)?;
    let mut walk = Walk {
        limits,
        deadline: Instant::now() + limits.time,
        cancelled,
        mount: seen.mount,
        linked: HashSet::new(),
        size: Size { start: (stat.st_dev, stat.st_ino), bytes: seen.bytes, ..Size::default() },
    };
    // One descriptor for each level. Names are read as they come, so a huge directory takes no memory.
    let mut open_dirs = vec![Dir::new(start).map_err(|_| Stop::Unreadable)?];
    while let Some(dir) = open_dirs.last_mut() {
        match dir.read() {
            None => drop(open_dirs.pop()),
            Some(Err(_)) => {
                walk.size.unreadable += 1;
                open_dirs.pop();
            }
            Some(Ok(entry)) => {
                let name = entry.file_name();
                if name == c"." || name == c".." {
                    continue;
                }
                walk.tick()?;
                let at = dir.fd().map_err(|_| Stop::Unreadable)?;
                if let Some(inner) = walk.enter(at, name, entry.file_type()) {
                    if open_dirs.len() >= limits.depth {
                        return Err(Stop::Depth);
                    }
                    open_dirs.push(inner);
                }
            }
        }
    }
    Ok(walk.size)
}

impl Walk<'_> {
    /// One more entry.
    fn tick(&mut self) -> Result<(), Stop> {
        self.size.entries += 1;
        if self.size.entries > self.limits.entries {
            return Err(Stop::Entries);
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(Stop::Time);
        }
        Ok(())
    }

    /// Adds an entry's size; a directory to go into is returned. What has vanished meanwhile is not there.
    fn enter(&mut self, at: BorrowedFd<'_>, name: &CStr, kind: FileType) -> Option<Dir> {
        match kind {
            FileType::Directory => self.directory(at, name),
            // Nobody can write bytes into these that would stay.
            FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => None,
            // Some file systems do not tell the kind.
            FileType::Unknown => {
                let seen = look(at, name).ok()?;
                if seen.directory { self.directory(at, name) } else { self.add(&seen) }
            }
            _ => look(at, name).ok().and_then(|seen| self.add(&seen)),
        }
    }

    fn directory(&mut self, at: BorrowedFd<'_>, name: &CStr) -> Option<Dir> {
        // A directory on which something is mounted is another file system's, which NO_XDEV refuses before the
        // kernel asks that file system anything.
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let opened = open(at, name, OFlags::NOFOLLOW, resolve | ResolveFlags::NO_MAGICLINKS);
        let dir = match opened {
            Ok(dir) => dir,
            // Vanished, or became something else, or a mount.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return None,
            Err(_) => {
                self.size.unreadable += 1;
                return None;
            }
        };
        self.size.bytes = self.size.bytes.saturating_add(look(dir.as_fd(), c"").map_or(0, |seen| seen.bytes));
        Dir::new(dir).ok()
    }

    fn add(&mut self, seen: &Seen) -> Option<Dir> {
        let elsewhere = self.mount.is_some() && seen.mount.is_some() && seen.mount != self.mount;
        // At most as many are remembered as entries are allowed.
        if !elsewhere && (seen.links < 2 || self.linked.insert(seen.inode)) {
            self.size.bytes = self.size.bytes.saturating_add(seen.bytes);
        }
        None
    }
}

struct Seen {
    bytes: u64,
    directory: bool,
    links: u32,
    inode: (u64, u64),
    mount: Option<u64>,
}

/// Asks about `name` in a directory, or about the directory itself; links and automounts stay as they are.
fn look(at: BorrowedFd<'_>, name: &CStr) -> Result<Seen, Errno> {
    let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if name.is_empty() {
        flags |= AtFlags::EMPTY_PATH;
    }
    let stat = statx(at, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    let has_mount = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    Ok(Seen {
        bytes: stat.stx_size,
        directory: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory,
        links: stat.stx_nlink,
        inode: (device, stat.stx_ino),
        mount: has_mount.then_some(stat.stx_mnt_id),
    })
}
