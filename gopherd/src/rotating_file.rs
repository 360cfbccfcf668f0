//! A file that is written at its end and never grows beyond a limit.
//!
//! Owns size, the one backup, and what happens when the disk is full: what cannot be written is counted and
//! forgotten, and the next write tries again. Leaves the content to the caller.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The file, its size limit, and what was lost. Shared by whoever writes.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    lost: AtomicU64,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl RotatingFile {
    /// Opens `path`, making its directory if it is missing. At `max_bytes` the file becomes `<path>.1`, in
    /// place of the one before it, so that both together stay below twice the limit.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        }
        let open = Mutex::new(Some(open(path)?));
        Ok(Self { path: path.to_owned(), max_bytes, lost: AtomicU64::new(0), open })
    }

    /// Writes one whole record. A record that the disk does not take is counted in [`Self::lost`].
    pub fn append(&self, record: &[u8]) {
        // A thread that panicked while it held the lock left a file that is still good.
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.try_append(&mut slot, record).is_err() {
            // The next record opens the path afresh: the directory may be back, or the disk have room.
            *slot = None;
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn try_append(&self, slot: &mut Option<Open>, record: &[u8]) -> io::Result<()> {
        let size = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let mut current = match slot.take() {
            Some(current) => current,
            None => open(&self.path)?,
        };
        if current.bytes > 0 && current.bytes.saturating_add(size) > self.max_bytes {
            let mut backup = self.path.clone().into_os_string();
            backup.push(".1");
            std::fs::rename(&self.path, backup)?;
            current = open(&self.path)?;
        }
        // Half a record would spoil the next one: what a full disk took of it is taken back.
        if let Err(error) = current.file.write_all(record) {
            let _cut = current.file.set_len(current.bytes);
            return Err(error);
        }
        current.bytes = current.bytes.saturating_add(size);
        *slot = Some(current);
        Ok(())
    }

    /// Lets the next record open the path afresh, after someone else moved the file away.
    pub fn reopen(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that were not written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_its_backup_stay_below_the_limit() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("d/log");
        let file = RotatingFile::open(&path, 100).expect("open");
        for i in 0..50 {
            file.append(format!("record {i:03}\n").as_bytes());
        }
        let read = |path: &Path| std::fs::read_to_string(path).expect("read");
        let (now, before) = (read(&path), read(&dir.path().join("d/log.1")));
        assert!(now.len() <= 100 && before.len() <= 100);
        assert!(now.ends_with("record 049\n"));
        assert!(before.starts_with("record ") && before.ends_with('\n'), "records stay whole");
        assert_eq!(std::fs::read_dir(dir.path().join("d")).expect("dir").count(), 2);
        assert_eq!(file.lost(), 0);
    }

    #[test]
    fn a_record_beyond_the_limit_is_written_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = RotatingFile::open(&dir.path().join("log"), 10).expect("open");
        file.append(&[b'x'; 50]);
        file.append(b"y");
        assert_eq!(std::fs::read(dir.path().join("log")).expect("read"), b"y");
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_the_next_record_is_tried_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (logs, path) = (dir.path().join("d"), dir.path().join("d/log"));
        let file = RotatingFile::open(&path, 100).expect("open");
        std::fs::remove_dir_all(&logs).expect("gone");
        file.reopen();
        file.append(b"lost\n");
        assert_eq!(file.lost(), 1);
        std::fs::create_dir(&logs).expect("back");
        file.append(b"kept\n");
        assert_eq!(std::fs::read(&path).expect("read"), b"kept\n");
    }

    #[test]
    fn a_full_disk_is_counted() {
        // The kernel's own full disk: opens, and takes nothing.
        let file = RotatingFile::open(Path::new("/dev/full"), 100).expect("open");
        file.append(b"x\n");
        file.append(b"y\n");
        assert_eq!(file.lost(), 2);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log");
        let file = RotatingFile::open(&path, 100).expect("open");
        file.append(b"one\n");
        std::fs::rename(&path, dir.path().join("moved")).expect("moved");
        file.reopen();
        file.append(b"two\n");
        assert_eq!(std::fs::read(&path).expect("read"), b"two\n");
    }
}
