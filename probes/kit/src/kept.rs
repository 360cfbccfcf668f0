//! Files of /proc and /sys that are read again and again: the descriptor is kept and read from its start,
//! which costs about half of open, read and close.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Larger files than this are cut off, with an error: nothing that is read here comes near it.
pub const MAX_FILE: usize = 16 << 20;

/// A file that is read again and again through a kept descriptor.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    fd: Option<OwnedFd>,
}

impl KeptFile {
    /// Names the file; it is opened at the first read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), fd: None }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file into `buf`, which is emptied first. A kept descriptor whose file has gone
    /// (a hot-unplugged device) is closed and the path is opened once more.
    pub fn read<'b>(&mut self, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        if let Some(fd) = &self.fd {
            match read_all(fd, buf) {
                Ok(()) => return Ok(buf),
                Err(_) => self.fd = None,
            }
        }
        let fd = open(&self.path)?;
        read_all(&fd, buf)?;
        self.fd = Some(fd);
        Ok(buf)
    }

    /// The same for a text that the kernel makes in one piece ([`read_piece`]), with one call if it fits the room that
    /// `buf` has. What stands behind the text in `buf` is left over.
    pub fn read_in_one<'b>(&mut self, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        buf.resize(buf.len().max(4096), 0);
        let length = self.fd.as_ref().and_then(|fd| Some(read_piece(fd, buf).ok()??.len()));
        match length {
            Some(length) => Ok(&buf[..length]),
            // Not open yet, gone, or too long.
            None => self.read(buf),
        }
    }
}

/// Reads a file once: open, read, close.
pub fn read_once<'b>(path: &Path, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    let fd = open(path)?;
    read_all(&fd, buf)?;
    Ok(buf)
}

/// The same for a text that the kernel makes in one piece ([`read_piece`]), with one reading if it fits the room that `buf`
/// has. What stands behind the text in `buf` is left over.
pub fn read_once_in_one<'b>(path: &Path, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    let fd = open(path)?;
    buf.resize(buf.len().max(4096), 0);
    match read_piece(&fd, buf)?.map(<[u8]>::len) {
        Some(length) => Ok(&buf[..length]),
        None => {
            read_all(&fd, buf)?;
            Ok(buf)
        }
    }
}

/// Reads the whole of an open file.
pub fn read_open(fd: &OwnedFd, buf: &mut Vec<u8>) -> io::Result<()> {
    read_all(fd, buf)
}

/// Reads the first `limit` bytes of a file whose length somebody else chooses, such as a command line.
pub fn read_head<'b>(path: &Path, limit: usize, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    let fd = open(path)?;
    buf.clear();
    buf.resize(limit, 0);
    let mut filled = 0;
    while filled < limit {
        match rustix::io::pread(&fd, &mut buf[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(e) => {
                buf.clear();
                return Err(e.into());
            }
        }
    }
    buf.truncate(filled);
    Ok(buf)
}

/// Reads, in one call, a text that the kernel makes in one piece and hands out whole if it fits (the files of
/// `/proc/<pid>`): there one short read is all of it. `None` for a text that fills `buf`, for it may go on.
pub fn read_piece(fd: impl AsFd, buf: &mut [u8]) -> Result<Option<&[u8]>, Errno> {
    let read = loop {
        match rustix::io::pread(&fd, &mut *buf, 0) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    Ok(buf.get(..read).filter(|_| read < buf.len()))
}

/// Opens a file of /proc or /sys to read it.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Reads `fd` from offset 0 to its end. Files of /proc have no size, so the buffer grows until a read
/// returns nothing; seq files may return short reads, which is why one short read is no end.
fn read_all(fd: &OwnedFd, buf: &mut Vec<u8>) -> io::Result<()> {
    buf.clear();
    let mut filled = 0;
    loop {
        if buf.len() - filled < 1024 {
            if buf.len() >= MAX_FILE {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
            }
            let grown = (buf.capacity().max(4096)).max(buf.len() * 2).min(MAX_FILE);
            buf.resize(grown, 0);
        }
        match rustix::io::pread(fd, &mut buf[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(e) => {
                buf.clear();
                return Err(e.into());
            }
        }
    }
    buf.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_read_afresh_each_time() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("f");
        std::fs::write(&path, vec![b'x'; 10_000]).expect("write");
        let mut file = KeptFile::new(&path);
        let mut buf = Vec::new();
        assert_eq!(file.read(&mut buf).expect("read").len(), 10_000);
        assert_eq!(file.read_in_one(&mut Vec::new()).expect("too long for one call").len(), 10_000);
        assert_eq!(read_once_in_one(&path, &mut Vec::new()).expect("too long for one call").len(), 10_000);
        std::fs::write(&path, b"short").expect("write");
        assert_eq!(file.read(&mut buf).expect("read"), b"short");
        assert_eq!(file.read_in_one(&mut buf).expect("read"), b"short");
        assert_eq!(read_once_in_one(&path, &mut buf).expect("read"), b"short");
    }

    #[test]
    fn only_the_head_of_a_long_file_is_read() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("f");
        std::fs::write(&path, vec![b'x'; 10_000]).expect("write");
        let mut buf = Vec::new();
        assert_eq!(read_head(&path, 4096, &mut buf).expect("read").len(), 4096);
        assert_eq!(read_head(&path, 20_000, &mut buf).expect("read").len(), 10_000);
    }

    #[test]
    fn a_missing_file_is_an_error_and_found_once_it_is_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut file = KeptFile::new(dir.path().join("f"));
        let mut buf = Vec::new();
        assert!(file.read(&mut buf).is_err());
        std::fs::write(file.path(), b"now").expect("write");
        assert_eq!(file.read(&mut buf).expect("read"), b"now");
    }
}
