//! A segment: a file of records, whose head says what came before it.

use super::position::Position;
use super::record::{self, Found};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"gphrspl\x01";
/// The magic, a position, a checksum.
pub(super) const HEAD: usize = 8 + Position::BYTES + 4;
const SUFFIX: &str = ".spool";
/// Messages may name users and addresses.
pub(super) const MODE: u32 = 0o600;
/// What a file costs at least on a disk, so that many small ones are bounded too.
const BLOCK: u64 = 4096;

/// A segment that can be read; the youngest one is written too.
#[derive(Debug)]
pub(super) struct Segment {
    /// What came before it.
    pub before: Position,
    pub path: PathBuf,
    pub file: Arc<File>,
    /// Bytes of whole records.
    pub length: u64,
    /// When its first record happened; 0 if that is not known.
    pub oldest_ms: u64,
}

impl Segment {
    /// Makes the file that begins at `before`. Nothing stays behind if that fails.
    pub(super) fn create(folder: &Path, before: Position) -> io::Result<Self> {
        let path = folder.join(format!("{:020}{SUFFIX}", before.offset));
        // A file of this name can only be one that held no record.
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(MODE).open(&path)?;
        if let Err(error) = file.write_all_at(&head(&before), 0) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { before, path, file: Arc::new(file), length: 0, oldest_ms: 0 })
    }

    /// What there is in `folder`, oldest first, and the number of files that are no segments any more; those are
    /// removed.
    pub(super) fn find(folder: &Path) -> io::Result<(Vec<Self>, u64)> {
        let (mut found, mut damaged) = (Vec::new(), 0);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if !entry.file_name().to_string_lossy().ends_with(SUFFIX) || !entry.file_type()?.is_file() {
                continue;
            }
            match Self::open(path.clone())? {
                Some(segment) => found.push(segment),
                None => {
                    // Shorter than a head: its writer was killed before the first record.
                    damaged += u64::from(entry.metadata()?.len() > HEAD as u64);
                    fs::remove_file(&path)?;
                }
            }
        }
        found.sort_by_key(|segment| segment.before.offset);
        Ok((found, damaged))
    }

    fn open(path: PathBuf) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut bytes = [0; HEAD];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(before) = parse_head(&bytes) else { return Ok(None) };
        let length = file.metadata()?.len().saturating_sub(HEAD as u64);
        let mut segment = Self { before, path, file: Arc::new(file), length, oldest_ms: 0 };
        let mut first = vec![0; record::MAX.min(usize::try_from(length).unwrap_or(record::MAX))];
        let got = segment.read_at(before.offset, &mut first)?;
        if let Found::Record(record, _) = record::decode(&first[..got]) {
            segment.oldest_ms = record.at_ms;
        }
        Ok(Some(segment))
    }

    /// The position behind its last record.
    pub(super) fn end_offset(&self) -> u64 {
        self.before.offset + self.length
    }

    /// Bytes that it is counted with.
    pub(super) fn cost(&self) -> u64 {
        (HEAD as u64 + self.length).next_multiple_of(BLOCK)
    }

    /// Reads from the place `offset` of the log, at most to its end; how many bytes.
    pub(super) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&self.file, self.before.offset, self.length, offset, into)
    }

    /// Cuts what is behind its last whole record off, and tells where that is and how many damaged records are before.
    /// For the youngest one, which its writer may have been killed in.
    pub(super) fn mend(&mut self) -> io::Result<(Position, u64)> {
        let mut bytes = vec![0; usize::try_from(self.length).map_err(io::Error::other)?];
        let got = self.read_at(self.before.offset, &mut bytes)?;
        let (mut position, mut damaged, mut damaged_before) = (self.before, 0, 0);
        let (mut at, mut good) = (0, 0);
        while let Some(rest) = bytes.get(at..got) {
            match record::decode(rest) {
                Found::Record(record, size) => {
                    position = position.after(record.seq, record.routes, size);
                    at += size;
                    good = at;
                    damaged_before = damaged;
                }
                Found::Damaged(size) => {
                    at += size;
                    damaged += 1;
                }
                Found::Unreadable | Found::Cut(_) => break,
            }
        }
        // Damaged bytes between good records stay in the file, so the offset counts them.
        position.offset = self.before.offset + good as u64;
        if (good as u64) < self.length {
            self.file.set_len((HEAD + good) as u64)?;
            self.length = good as u64;
        }
        Ok((position, damaged_before))
    }
}

/// [`Segment::read_at`] for whoever holds only the file.
pub(super) fn read_at(
    file: &File,
    start: u64,
    length: u64,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let within = offset.saturating_sub(start);
    let most = usize::try_from(length.saturating_sub(within)).unwrap_or(usize::MAX).min(into.len());
    let (mut got, into) = (0, &mut into[..most]);
    while got < most {
        match file.read_at(&mut into[got..], HEAD as u64 + within + got as u64) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn head(before: &Position) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    before.write(&mut bytes);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn parse_head(bytes: &[u8; HEAD]) -> Option<Position> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    let position = content.strip_prefix(&MAGIC)?;
    (crc32fast::hash(content) == u32::from_le_bytes(*sum)).then_some(())?;
    Position::read(position.try_into().ok()?)
}

/// The head of a segment that begins at the place that `before` are the bytes of.
#[cfg(any(test, feature = "testing"))]
pub(super) fn sealed(before: &[u8; Position::BYTES]) -> Vec<u8> {
    let content = [&MAGIC[..], before].concat();
    let sum = crc32fast::hash(&content).to_le_bytes();
    [content, sum.to_vec()].concat()
}
