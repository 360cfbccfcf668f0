//! The thread that writes one log file, and the bounded queue before it. Whoever offers lines never waits
//! for a disk; what does not fit is dropped and counted, the newest first.

use super::rotate::Rotating;
use crate::vital;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Pieces that may wait, and their bytes together. A piece is what one probe has to say at one time.
const QUEUE: usize = 64;
const QUEUE_BYTES: u64 = 32 << 20;

/// What became of the lines, readable from any thread.
#[derive(Debug, Default)]
pub struct SinkCounts {
    /// Pieces that wait now.
    pub waiting: AtomicU64,
    /// Bytes that wait now.
    pub waiting_bytes: AtomicU64,
    /// Lines written.
    pub written: AtomicU64,
    /// Lines dropped because the queue was full.
    pub dropped: AtomicU64,
    /// Lines lost because they could not be written.
    pub failed: AtomicU64,
    /// Failed attempts to write.
    pub errors: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl SinkCounts {
    /// How many pieces the queue takes.
    pub const CAPACITY: usize = QUEUE;

    /// Why the last attempt to write failed; `None` if it did not.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn outcome(&self, lines: u64, result: &io::Result<()>) {
        let text = result.as_ref().err().map(ToString::to_string);
        match &text {
            None => self.written.fetch_add(lines, Relaxed),
            Some(_) => {
                self.errors.fetch_add(1, Relaxed);
                self.failed.fetch_add(lines, Relaxed)
            }
        };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// A log file with its thread. Dropping it lets the thread write what waits and end by itself.
#[derive(Debug)]
pub struct FileWriter {
    queue: SyncSender<Vec<u8>>,
    reopen: Arc<AtomicBool>,
    counts: Arc<SinkCounts>,
    ended: Receiver<()>,
}

impl FileWriter {
    /// Starts the thread `name`. Fails if there can be no thread; what is wrong with the file shows in
    /// `counts`, which outlive the writer, so that totals go on when it is made anew.
    pub fn start(name: &str, mut file: Rotating, counts: Arc<SinkCounts>) -> io::Result<Self> {
        let (queue, pieces) = sync_channel::<Vec<u8>>(QUEUE);
        let (end, ended) = sync_channel(1);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = Self { queue, reopen: Arc::clone(&reopen), counts: Arc::clone(&counts), ended };
        vital::spawn(name, move || {
            for piece in pieces {
                if reopen.swap(false, Relaxed) {
                    file.reopen();
                }
                // An empty piece only says that the file shall be opened anew.
                if !piece.is_empty() {
                    let result = file.append(&piece, SystemTime::now());
                    counts.outcome(lines(&piece), &result);
                }
                counts.waiting.fetch_sub(1, Relaxed);
                counts.waiting_bytes.fetch_sub(piece.len() as u64, Relaxed);
            }
            // Nobody may be waiting for the end.
            let _ = end.try_send(());
        })?;
        Ok(writer)
    }

    /// Hands whole lines over. Never blocks; says whether they were taken.
    pub fn offer(&self, piece: Vec<u8>) -> bool {
        let (count, bytes) = (lines(&piece), piece.len() as u64);
        let waiting = self.counts.waiting_bytes.fetch_add(bytes, Relaxed);
        // A single piece is always taken, however long it is: the store's limits bound it.
        if waiting > 0 && waiting + bytes > QUEUE_BYTES {
            self.counts.waiting_bytes.fetch_sub(bytes, Relaxed);
            self.counts.dropped.fetch_add(count, Relaxed);
            return false;
        }
        self.counts.waiting.fetch_add(1, Relaxed);
        match self.queue.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counts.waiting.fetch_sub(1, Relaxed);
                self.counts.waiting_bytes.fetch_sub(bytes, Relaxed);
                self.counts.dropped.fetch_add(count, Relaxed);
                false
            }
        }
    }

    /// Opens the file by its name before the next line is written.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
        // Lets go of a file that was moved away even if no line comes; a full queue does that too.
        self.offer(Vec::new());
    }

    /// What became of the lines.
    pub fn counts(&self) -> &Arc<SinkCounts> {
        &self.counts
    }

    /// Writes what waits and ends the thread. `false` if that took longer than `deadline`; the thread then
    /// goes on alone.
    pub fn close(self, deadline: Duration) -> bool {
        drop(self.queue);
        !matches!(self.ended.recv_timeout(deadline), Err(RecvTimeoutError::Timeout))
    }
}

fn lines(piece: &[u8]) -> u64 {
    piece.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_offered_is_in_the_file_after_close() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        let writer =
            FileWriter::start("test", Rotating::new(path.clone(), 1 << 20), Arc::default()).expect("thread");
        let counts = Arc::clone(writer.counts());
        for i in 0..10 {
            assert!(writer.offer(format!("{i}\n{i}\n").into_bytes()));
        }
        writer.reopen();
        assert!(writer.close(LONG));
        assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 20);
        assert_eq!(counts.written.load(Relaxed), 20);
        assert_eq!((counts.waiting.load(Relaxed), counts.waiting_bytes.load(Relaxed)), (0, 0));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // a named pipe is the only file that blocks on demand
    fn a_stuck_disk_blocks_nobody_and_what_does_not_fit_is_counted() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        // Opened for reading and writing the pipe takes 64 KiB, then blocks.
        let writer =
            FileWriter::start("test", Rotating::new(path.clone(), 1 << 30), Arc::default()).expect("thread");
        let counts = Arc::clone(writer.counts());
        let piece = || vec![b'\n'; 1 << 20];
        let taken = (0..QUEUE + 10).filter(|_| writer.offer(piece())).count();
        assert!(taken <= 34, "32 MiB wait, and at most two are on their way: {taken}");
        let dropped = (QUEUE + 10 - taken) as u64;
        assert_eq!(counts.dropped.load(Relaxed), dropped << 20);
        assert!(!writer.close(Duration::ZERO), "the deadline holds");
    }

    #[test]
    fn a_full_disk_is_counted_and_forgotten_when_there_is_space() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.log");
        symlink("/dev/full", &path).expect("linked");
        let writer =
            FileWriter::start("test", Rotating::new(path.clone(), 1 << 20), Arc::default()).expect("thread");
        let counts = Arc::clone(writer.counts());
        writer.offer(b"a\nb\n".to_vec());
        while counts.waiting.load(Relaxed) > 0 {
            std::thread::yield_now();
        }
        assert_eq!((counts.errors.load(Relaxed), counts.failed.load(Relaxed)), (1, 2));
        assert!(counts.last_error().is_some_and(|error| error.contains("space")));
        fs::remove_file(&path).expect("removed");
        writer.offer(b"c\n".to_vec());
        assert!(writer.close(LONG));
        assert_eq!((counts.written.load(Relaxed), counts.last_error()), (1, None));
    }
}
