//! A file of lines that never grows beyond its bound: rotated by size and by age, opened anew when asked
//! to, and usable again by itself after the disk was full.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Rotated files that are kept beside the one that is written: `name.1` is the youngest.
pub const BACKUPS: u32 = 4;
/// A file is rotated at the latest after a day, so that what lies in it can be found by its date.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Readable by the owner's group: log collectors run under other users.
const MODE: u32 = 0o640;

/// A bounded log file. Nothing is opened before the first line comes.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    max_file: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    since: SystemTime,
}

impl Rotating {
    /// The file at `path`, which with its backups stays within `max_total` bytes. Missing folders are
    /// made; nothing that is there is removed but by rotation.
    pub fn new(path: PathBuf, max_total: u64) -> Self {
        Self { path, max_file: max_total / u64::from(BACKUPS + 1), open: None }
    }

    /// Appends whole lines. After an error some of the first may have been written, none in part; the
    /// next call tries again with a newly opened file.
    pub fn append(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        let result = self.append_all(lines, now);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    /// Lets go of the file; the next line opens it by its name. For tools that move it away.
    pub fn reopen(&mut self) {
        self.open = None;
    }

    /// Opens the file now instead of at the first line, to see whether that works.
    pub fn open(&mut self, now: SystemTime) -> io::Result<()> {
        self.open = Some(Open::at(&self.path, now)?);
        Ok(())
    }

    fn append_all(&mut self, mut lines: &[u8], now: SystemTime) -> io::Result<()> {
        while !lines.is_empty() {
            let open = match &mut self.open {
                Some(open) => open,
                empty => empty.insert(Open::at(&self.path, now)?),
            };
            let old = open.size > 0 && now.duration_since(open.since).is_ok_and(|age| age >= MAX_AGE);
            let fitting = if old { 0 } else { fitting(lines, self.max_file.saturating_sub(open.size)) };
            if fitting > 0 {
                let (piece, rest) = lines.split_at(fitting);
                open.write(piece)?;
                lines = rest;
            } else if open.size > 0 {
                self.open = None;
                rotate(&self.path)?;
            } else {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "a line is longer than a file may be",
                ));
            }
        }
        Ok(())
    }
}

impl Open {
    fn at(path: &Path, now: SystemTime) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
        let metadata = file.metadata()?;
        let mut size = metadata.len();
        if size > 0 && ends_in_part(&mut file)? {
            // Whoever wrote before was killed within a line: it must not spoil the next one.
            file.write_all(b"\n")?;
            size += 1;
        }
        let since = if size == 0 { now } else { metadata.created().or_else(|_| metadata.modified())? };
        Ok(Self { file, size, since })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(piece);
        match written {
            Ok(()) => self.size += piece.len() as u64,
            // Takes back what was written of a line before the disk was full; that needs no space. If it
            // fails all the same, opening the file anew ends the line.
            Err(_) => drop(self.file.set_len(self.size)),
        }
        written
    }
}

fn ends_in_part(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// How many bytes of `lines` are whole lines within `room`. A last line without a line feed is whole too.
fn fitting(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if lines.len() <= room {
        return lines.len();
    }
    let head = lines.get(..room).unwrap_or(lines);
    head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// `name` becomes `name.1`, that `name.2`, and so on; the oldest is gone.
fn rotate(path: &Path) -> io::Result<()> {
    for number in (0..BACKUPS).rev() {
        match fs::rename(backup(path, number), backup(path, number + 1)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

fn backup(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    fn read(path: &Path, number: u32) -> String {
        fs::read_to_string(backup(path, number)).unwrap_or_default()
    }

    #[test]
    fn lines_stay_whole_and_the_oldest_files_go() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("metrics/a.log");
        let mut file = Rotating::new(path.clone(), 8 * u64::from(BACKUPS + 1));
        for line in 0..12 {
            file.append(format!("{line:03}\n").as_bytes(), SystemTime::now()).expect("written");
        }
        let kept: Vec<_> = (0..=BACKUPS + 1).map(|number| read(&path, number)).collect();
        assert_eq!(kept, ["010\n011\n", "008\n009\n", "006\n007\n", "004\n005\n", "002\n003\n", ""]);
    }

    #[test]
    fn a_piece_longer_than_a_file_is_divided_at_lines() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        let mut file = Rotating::new(path.clone(), 10 * u64::from(BACKUPS + 1));
        file.append(b"one\ntwo\nthree\nfour\n", SystemTime::now()).expect("written");
        assert_eq!([read(&path, 0), read(&path, 1), read(&path, 2)], ["four\n", "three\n", "one\ntwo\n"]);
        let error = file.append(b"longer than ten bytes\n", SystemTime::now()).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        file.append(b"x\n", SystemTime::now()).expect("goes on");
    }

    #[test]
    fn a_day_old_file_is_rotated() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        let mut file = Rotating::new(path.clone(), 1 << 20);
        let start = SystemTime::now();
        for (line, age) in [(b"a\n", Duration::ZERO), (b"b\n", MAX_AGE / 2), (b"c\n", MAX_AGE)] {
            file.append(line, start + age).expect("written");
        }
        assert_eq!([read(&path, 0), read(&path, 1)], ["c\n", "a\nb\n"]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_after_reopen() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("moved"));
        let mut file = Rotating::new(path.clone(), 1 << 20);
        file.append(b"a\n", SystemTime::now()).expect("written");
        fs::rename(&path, &moved).expect("moved");
        file.append(b"b\n", SystemTime::now()).expect("written");
        file.reopen();
        file.append(b"c\n", SystemTime::now()).expect("written");
        assert_eq!([read(&moved, 0), read(&path, 0)], ["a\nb\n", "c\n"]);
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        fs::write(&path, "whole\npar").expect("written");
        Rotating::new(path.clone(), 1 << 20).append(b"next\n", SystemTime::now()).expect("written");
        assert_eq!(read(&path, 0), "whole\npar\nnext\n");
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_file_is_used_again_when_there_is_space() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        symlink("/dev/full", &path).expect("linked");
        let mut file = Rotating::new(path.clone(), 1 << 20);
        assert!(file.append(b"a\n", SystemTime::now()).is_err());
        fs::remove_file(&path).expect("removed");
        file.append(b"b\n", SystemTime::now()).expect("written");
        assert_eq!(read(&path, 0), "b\n");
    }

    proptest! {
        #[test]
        fn what_fits_is_the_longest_run_of_whole_lines(lines in "([a-z]{0,5}\n){0,6}", room in 0u64..40) {
            let at = fitting(lines.as_bytes(), room);
            prop_assert!(at as u64 <= room);
            prop_assert!(at == 0 || lines.as_bytes()[at - 1] == b'\n');
            let next = lines[at..].find('\n').map_or(0, |end| end + 1);
            prop_assert!(next == 0 || (at + next) as u64 > room);
        }
    }
}
