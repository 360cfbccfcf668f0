//! One daemon for one run directory.
//!
//! Owns the lock on `<run>/gopherd.pid`. The lock is the kernel's and goes with its holder, so a file that a
//! killed daemon left behind is no obstacle; the number in it is for people.

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file's name.
const NAME: &str = "gopherd.pid";

/// Why the lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error(
        "{} is held by {}: gopherd is running already; stop it, or use another --run-dir", path.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Its holder, if the file says so.
        pid: Option<u32>,
    },
    /// The directory or the file cannot be used.
    #[error("{}: {cause}; gopherd needs to write there, or use another --run-dir", path.display())]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// The lock; held until it is dropped.
#[derive(Debug)]
pub struct InstanceLock {
    file: File,
    path: PathBuf,
}

impl InstanceLock {
    /// Makes the run directory if it is missing, and takes the lock.
    pub fn acquire(run: &Path) -> Result<Self, LockError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause| LockError::Unusable { path, cause }
        };
        DirBuilder::new().recursive(true).mode(0o750).create(run).map_err(unusable(run))?;
        let path = run.join(NAME);
        // NOFOLLOW: whoever can write a link here must not choose the file that is truncated below.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&path, flags, Mode::from(0o640)).map_err(|e| unusable(&path)(e.into()))?;
        let mut file = File::from(fd);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held { pid: holder(&mut file), path }),
            Err(error) => return Err(unusable(&path)(error.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable(&path))?;
        Ok(Self { file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A daemon that ended leaves no number behind; the file itself stays, because removing it would let two
/// daemons hold locks on two files of one name.
impl Drop for InstanceLock {
    fn drop(&mut self) {
        let _emptied = self.file.set_len(0);
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_second_one_is_told_who_the_first_one_is() {
        let dir = tempfile::tempdir().expect("tempdir");
        let run = dir.path().join("a/run");
        let first = InstanceLock::acquire(&run).expect("free");
        assert_eq!(std::fs::metadata(&run).expect("made").mode() & 0o7777, 0o750);
        let error = InstanceLock::acquire(&run).expect_err("held");
        let path = first.path().display().to_string();
        let pid = std::process::id();
        assert_eq!(
            error.to_string(),
            format!(
                "{path} is held by process {pid}: gopherd is running already; stop it, or use another --run-dir"
            )
        );
        drop(first);
        InstanceLock::acquire(&run).expect("free again");
    }

    #[test]
    fn a_file_that_a_killed_daemon_left_is_taken_over() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join(NAME), "999999999 and more text than a number").expect("write");
        let lock = InstanceLock::acquire(dir.path()).expect("stale");
        let text = std::fs::read_to_string(lock.path()).expect("read");
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_link_or_a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = dir.path().join("precious");
        std::fs::write(&target, "content").expect("write");
        std::os::unix::fs::symlink(&target, dir.path().join(NAME)).expect("symlink");
        assert!(matches!(InstanceLock::acquire(dir.path()), Err(LockError::Unusable { .. })));
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "content");
        let error = InstanceLock::acquire(&target).expect_err("a file, not a directory");
        assert!(error.to_string().contains("precious"), "{error}");
    }
}
