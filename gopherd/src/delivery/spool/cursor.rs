//! How far a sink has come, on disk: two slots that are written in turn, so that a torn write leaves the other.
//!
//! Written without forcing it to the disk: after a power failure an older cursor delivers some records twice, which is
//! allowed; a killed process loses nothing of it.

use super::position::Position;
use super::segment::MODE;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A position, a number of records, a checksum.
const CONTENT: usize = Position::BYTES + 8;
const SLOT: usize = CONTENT + 4;
pub(super) const SUFFIX: &str = ".cursor";

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Everything before it is delivered or given up.
    pub done: Position,
    /// So many records behind it are counted as lost already.
    pub counted: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct CursorFile {
    file: File,
    next_slot: u64,
    stored: Option<Kept>,
}

impl CursorFile {
    /// Opens or makes the file of `sink`. What it held, if that can be read.
    pub(super) fn open(folder: &Path, sink: &str) -> io::Result<(Self, Option<Kept>)> {
        let path = folder.join(format!("{sink}{SUFFIX}"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
        let mut bytes = [0; 2 * SLOT];
        let got = file.read_at(&mut bytes, 0)?;
        let slots = bytes[..got].chunks_exact(SLOT).enumerate();
        let best = slots.filter_map(|(at, slot)| Some((parse(slot)?, at))).max_by_key(|(kept, at)| {
            // Of two that are equally far the later one; which of the slots that is does not matter then.
            (kept.done.offset, kept.counted, *at)
        });
        let next_slot = best.map_or(0, |(_, at)| 1 - at as u64);
        let stored = best.map(|(kept, _)| kept);
        Ok((Self { file, next_slot, stored }, stored))
    }

    /// Writes `kept` if it is news.
    pub(super) fn store(&mut self, kept: Kept) -> io::Result<()> {
        if self.stored == Some(kept) {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(SLOT);
        kept.done.write(&mut bytes);
        bytes.extend_from_slice(&kept.counted.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        self.file.write_all_at(&bytes, self.next_slot * SLOT as u64)?;
        self.next_slot = 1 - self.next_slot;
        self.stored = Some(kept);
        Ok(())
    }
}

fn parse(slot: &[u8]) -> Option<Kept> {
    let (content, sum) = slot.split_last_chunk::<4>()?;
    let (position, counted) = content.split_first_chunk::<{ Position::BYTES }>()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*sum)).then_some(())?;
    // A slot that was never written is zeros, whose checksum is not zero.
    Some(Kept { done: Position::read(position)?, counted: u64::from_le_bytes(counted.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Kept {
        Kept { done: Position { offset, seq: offset, totals: [offset; 2] }, counted: 3 }
    }

    #[test]
    fn the_last_one_is_found_and_a_torn_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().expect("folder");
        let open = || CursorFile::open(folder.path(), "kafka").expect("opened");
        assert_eq!(open().1, None);
        for offset in 1..=5 {
            let (mut cursor, before) = open();
            assert_eq!(before, (offset > 1).then(|| at(offset - 1)));
            cursor.store(at(offset)).expect("stored");
        }
        let (cursor, _) = open();
        let torn = (1 - cursor.next_slot) * SLOT as u64;
        cursor.file.write_all_at(b"torn", torn).expect("written");
        assert_eq!(open().1, Some(at(4)));
    }

    #[test]
    fn a_place_that_no_log_reaches_is_damage_though_its_checksum_is_right() {
        let folder = tempfile::tempdir().expect("folder");
        let (mut cursor, _) = CursorFile::open(folder.path(), "kafka").expect("opened");
        cursor.store(at(7)).expect("stored");
        cursor.store(at(u64::MAX)).expect("stored");
        assert_eq!(CursorFile::open(folder.path(), "kafka").expect("opened").1, Some(at(7)));
    }
}
