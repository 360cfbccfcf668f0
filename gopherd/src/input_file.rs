//! Files that an operator wrote, read without ever waiting for a writer and never beyond a limit.
//!
//! Owns what may be read at all: a named pipe would hold the daemon up until somebody writes to it, and a device may
//! never end. Leaves the content to the caller.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The first `limit` bytes of the file at `path`: a caller that must know whether there is more asks for one
/// byte more than it takes. Fails for what is neither a file nor a character device such as `/dev/null`.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // NONBLOCK: opening a pipe must not wait for its other end. It changes nothing for files.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_block_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a disk, not a file"));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, mknodat};

    #[test]
    fn a_file_is_read_up_to_the_limit_and_an_empty_device_is_empty() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("f");
        std::fs::write(&path, "12345").expect("written");
        assert_eq!(read(&path, 100).expect("read"), b"12345");
        assert_eq!(read(&path, 3).expect("read"), b"123");
        assert_eq!(read(Path::new("/dev/null"), 3).expect("read"), b"");
        assert_eq!(read(Path::new("/dev/zero"), 3).expect("read"), [0; 3]);
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_and_a_directory_are_errors_at_once() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        assert!(read(&path, 3).expect_err("a pipe").to_string().contains("not a file"));
        assert!(read(dir.path(), 3).is_err());
        assert_eq!(read(&dir.path().join("none"), 3).expect_err("none").kind(), io::ErrorKind::NotFound);
    }
}
