//! The log as a whole: opening it after whatever end, appending within its bound, forcing to the disk.

use super::cursor::{self, CursorFile, Kept};
use super::position::{Position, Route, Routes};
use super::reader::Reader;
use super::segment::Segment;
use super::state::{Shared, Sink, SinkStatus, State};
use super::{record, segment};
use crate::config::{Fsync, WhenFull};
use crate::delivery::Message;
use crate::delivery::account::{Account, Loss};
use crate::vital;
use probe_kit::fault;
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So much is collected for one write.
const CHUNK: usize = 256 << 10;
/// A sixteenth of the log is a segment, within these bounds: what is dropped at once is small beside the whole.
const SEGMENT: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;

/// Kept free for what a write takes beside its bytes: a new head, and rounding up to blocks.
const MARGIN: u64 = 3 * 4096;

/// How a spool is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Its folder. Missing ones are made.
    pub folder: PathBuf,
    /// Largest size, at least 1 MiB.
    pub max_bytes: u64,
    /// When it is forced to the disk.
    pub fsync: Fsync,
    /// Time between two of them.
    pub fsync_interval: Duration,
}

/// The log. One thread appends; each sink has one [`Reader`].
#[derive(Debug)]
pub struct Spool {
    options: Options,
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    syncer: Mutex<Option<JoinHandle<()>>>,
    own: Arc<Account>,
}

/// What is collected for the next write.
#[derive(Debug, Default)]
struct Writer {
    bytes: Vec<u8>,
    records: Vec<Piece>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    seq: u64,
    routes: Routes,
    at_ms: u64,
    size: usize,
}

impl Spool {
    /// Opens what is in the folder, or makes it: what was written in part is cut off, and what is damaged within is
    /// counted. Records go on behind `sinks`' cursors; each of `sinks` must be attached soon, because its cursor holds
    /// on to the log, and a cursor that belongs to none of them is removed. `own` is the account of the log itself.
    pub fn open(options: Options, own: Arc<Account>, sinks: &[SinkOptions]) -> io::Result<Self> {
        let folder = &options.folder;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (mut segments, damaged) = Segment::find(folder)?;
        own.lose(Loss::Damaged, damaged);
        let mut end = Position::default();
        if let Some(last) = segments.last_mut() {
            let damaged;
            (end, damaged) = last.mend()?;
            own.lose(Loss::Damaged, damaged);
        }
        let mut opened = Vec::new();
        for sink in sinks {
            let (file, kept) = CursorFile::open(folder, &sink.name)?;
            // After a power failure a cursor may be ahead of the log: numbers still go on.
            if let Some(kept) = kept.filter(|kept| kept.done.offset > end.offset) {
                end = kept.done;
            }
            opened.push((sink.clone(), file, kept));
        }
        let (abandoned, furthest) = Self::abandoned_cursors(folder, sinks)?;
        if furthest.offset > end.offset {
            end = furthest;
        }
        // The last one is not written again: what was mended of it stays as it is. An empty one is replaced.
        let empty = segments.pop_if(|last| last.length == 0);
        let youngest = Segment::create(folder, end)?;
        if let Some(empty) = empty.filter(|empty| empty.path != youngest.path) {
            fs::remove_file(&empty.path)?;
        }
        segments.push(youngest);
        let mut state = State { segments: VecDeque::from(segments), end, ..State::default() };
        for (options, mut cursor, kept) in opened {
            let kept = kept.unwrap_or(Kept { done: end, counted: 0 });
            // A new sink begins here, also if it has settled nothing when the process is killed.
            cursor.store(kept)?;
            state.sinks.insert(options.name.clone(), options.sink(cursor, kept));
        }
        for path in abandoned.into_iter().chain(state.release()) {
            fs::remove_file(path)?;
        }
        let shared = Arc::new(Shared::new(state, options.max_bytes));
        let syncer = match options.fsync {
            Fsync::Interval => Some(Self::start_syncer(&shared, &own, options.fsync_interval)?),
            Fsync::Always => None,
        };
        Ok(Self { options, shared, writer: Mutex::default(), syncer: Mutex::new(syncer), own })
    }

    /// Cursors that no sink has any more, and the furthest place that one of them knew.
    fn abandoned_cursors(
        folder: &std::path::Path,
        sinks: &[SinkOptions],
    ) -> io::Result<(Vec<PathBuf>, Position)> {
        let (mut paths, mut furthest) = (Vec::new(), Position::default());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(sink) = name.to_str().and_then(|name| name.strip_suffix(cursor::SUFFIX)) else {
                continue;
            };
            if sinks.iter().all(|known| known.name != sink) {
                let (_, kept) = CursorFile::open(folder, sink)?;
                let done = kept.unwrap_or_default().done;
                if done.offset > furthest.offset {
                    furthest = done;
                }
                paths.push(entry.path());
            }
        }
        Ok((paths, furthest))
    }

    /// The last sequence number that it knows of.
    pub fn last_seq(&self) -> u64 {
        self.shared.lock().end.seq
    }

    /// Adds a sink, which gets what is appended from now on, or changes the policy of one that is there.
    ///
    /// # Errors
    /// Its cursor cannot be made.
    pub fn add(&self, sink: &SinkOptions) -> io::Result<()> {
        let mut state = self.shared.lock();
        if let Some(known) = state.sinks.get_mut(&sink.name) {
            known.policy = sink.policy;
            self.shared.room.notify_all();
            return Ok(());
        }
        let (mut cursor, _) = CursorFile::open(&self.options.folder, &sink.name)?;
        let kept = Kept { done: state.end, counted: 0 };
        cursor.store(kept)?;
        state.sinks.insert(sink.name.clone(), sink.sink(cursor, kept));
        Ok(())
    }

    /// A reader of `sink`, from its cursor on. The one before must be gone. `None` if there is no such sink.
    pub fn reader(&self, sink: &str) -> Option<Reader> {
        Reader::new(Arc::clone(&self.shared), sink)
    }

    /// Forgets `sink`; what waits for it is counted as lost.
    pub fn remove(&self, sink: &str) {
        let mut state = self.shared.lock();
        state.discard(sink, Loss::ChannelRemoved);
        state.sinks.remove(sink);
        let mut released = state.release();
        released.push(self.options.folder.join(format!("{sink}{}", cursor::SUFFIX)));
        drop(state);
        self.shared.remove(released);
        self.shared.more.notify_all();
    }

    /// Gives up what waits for `sink`; how many messages, or `None` if there is no such sink.
    pub fn purge(&self, sink: &str) -> Option<u64> {
        let mut state = self.shared.lock();
        let purged = state.discard(sink, Loss::Purged);
        let released = state.release();
        drop(state);
        self.shared.remove(released);
        self.wake(sink);
        purged
    }

    /// Makes the reader of `sink` look up.
    pub fn wake(&self, sink: &str) {
        if let Some(sink) = self.shared.lock().sinks.get_mut(sink) {
            sink.woken = true;
        }
        self.shared.more.notify_all();
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.lock().bytes()
    }

    /// How far `sink` is.
    pub fn status(&self, sink: &str) -> Option<SinkStatus> {
        self.shared.lock().status(sink)
    }

    /// Appends messages that have at least one route, in order. Each is on the log when this returns, or counted as
    /// lost for its sinks. Waits where a sink's policy says so.
    pub fn append<'a>(&self, messages: impl Iterator<Item = (u64, Routes, &'a Message)>) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let largest = usize::try_from(self.options.max_bytes / 4).unwrap_or(usize::MAX);
        for (seq, routes, message) in messages {
            let before = writer.bytes.len();
            match record::encode(seq, routes, message, &mut writer.bytes) {
                Some(size) if size <= largest => {
                    writer.records.push(Piece { seq, routes, at_ms: message.at_ms, size });
                }
                _ => {
                    writer.bytes.truncate(before);
                    self.shared.lock().lose(routes, Loss::TooLarge);
                }
            }
            if writer.bytes.len() >= CHUNK.min(self.segment_size()) {
                self.write(&mut writer);
            }
        }
        self.write(&mut writer);
    }

    fn segment_size(&self) -> usize {
        let size = (self.options.max_bytes / 16).clamp(*SEGMENT.start(), *SEGMENT.end());
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    fn write(&self, writer: &mut Writer) {
        if writer.records.is_empty() {
            return;
        }
        let written = self.try_write(writer);
        match &written {
            Ok(()) => {
                if !self.shared.lock().unforced && self.own.recover() {
                    tracing::info!("the spool can be written again");
                }
            }
            Err((loss, error)) => {
                let state = self.shared.lock();
                writer.records.iter().for_each(|piece| state.lose(piece.routes, *loss));
                drop(state);
                if self.own.fail(format!("{}: {error}", self.options.folder.display())) {
                    tracing::error!(%error, "the spool cannot be written; what comes is lost and counted");
                }
            }
        }
        writer.bytes.clear();
        writer.bytes.shrink_to(2 * CHUNK);
        writer.records.clear();
    }

    fn try_write(&self, writer: &Writer) -> Result<(), (Loss, io::Error)> {
        let failed = |error| (Loss::WriteFailed, error);
        let mut state = self.make_room(writer.bytes.len() as u64)?;
        let tail = state.segments.back().filter(|tail| {
            tail.length == 0 || tail.length + writer.bytes.len() as u64 <= self.segment_size() as u64
        });
        let (file, at, released) = match tail {
            Some(tail) => (Arc::clone(&tail.file), segment::HEAD as u64 + tail.length, Vec::new()),
            None => {
                let end = state.end;
                let made = Segment::create(&self.options.folder, end).map_err(failed)?;
                let file = Arc::clone(&made.file);
                state.segments.push_back(made);
                // The name of a new file is forced to the disk by its folder.
                let folder = File::open(&self.options.folder).map_err(failed)?;
                match self.options.fsync {
                    Fsync::Always => folder.sync_all().map_err(failed)?,
                    Fsync::Interval => state.unsynced.push(Arc::new(folder)),
                }
                (file, segment::HEAD as u64, state.release())
            }
        };
        // Readers go on while the disk works.
        drop(state);
        self.shared.remove(released);
        if let Err(error) = fault::at("spool.write", "").and_then(|()| file.write_all_at(&writer.bytes, at)) {
            // Takes back what was written in part; if that fails too the next write goes over it, and until then no
            // reader looks beyond the length that is known.
            let _ = file.set_len(at);
            return Err(failed(error));
        }
        if self.options.fsync == Fsync::Always {
            fault::at("spool.sync", "").and_then(|()| file.sync_data()).map_err(failed)?;
        }
        self.publish(writer, file);
        Ok(())
    }

    fn publish(&self, writer: &Writer, file: Arc<File>) {
        let mut state = self.shared.lock();
        let mut end = state.end;
        for piece in &writer.records {
            end = end.after(piece.seq, piece.routes, piece.size);
        }
        state.end = end;
        if let Some(tail) = state.segments.back_mut() {
            if tail.length == 0 {
                tail.oldest_ms = writer.records.first().map_or(0, |piece| piece.at_ms);
            }
            tail.length += writer.bytes.len() as u64;
        }
        if self.options.fsync == Fsync::Interval
            && !state.unsynced.last().is_some_and(|last| Arc::ptr_eq(last, &file))
        {
            state.unsynced.push(file);
            self.shared.dirty.notify_all();
        }
        drop(state);
        self.shared.more.notify_all();
    }

    /// Room for `bytes` more: oldest segments go, or it waits until they may.
    fn make_room(&self, bytes: u64) -> Result<std::sync::MutexGuard<'_, State>, (Loss, io::Error)> {
        let mut state = self.shared.lock();
        while state.bytes() + bytes + MARGIN > self.options.max_bytes {
            let released = state.release();
            if !released.is_empty() {
                drop(state);
                self.shared.remove(released);
                state = self.shared.lock();
                continue;
            }
            if state.closing {
                return Err((Loss::Stopped, io::Error::other("it is full and the daemon ends")));
            }
            if state.must_wait() {
                let waited = self.shared.room.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if state.segments.len() < 2 {
                // The youngest is full too.
                let end = state.end;
                let made = Segment::create(&self.options.folder, end);
                state.segments.push_back(made.map_err(|error| (Loss::WriteFailed, error))?);
            }
            // Whoever reads it or would have read it counts what it misses.
            let dropped = state.segments.pop_front().map(|segment| segment.path);
            drop(state);
            self.shared.remove(dropped.into_iter().collect());
            self.shared.more.notify_all();
            state = self.shared.lock();
        }
        Ok(state)
    }

    fn start_syncer(
        shared: &Arc<Shared>,
        own: &Arc<Account>,
        interval: Duration,
    ) -> io::Result<JoinHandle<()>> {
        let (shared, own) = (Arc::clone(shared), Arc::clone(own));
        vital::spawn("spool-sync", move || {
            loop {
                let mut state = shared.lock();
                while state.unsynced.is_empty() && !state.closing {
                    state = shared.dirty.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                let (files, closing) = (std::mem::take(&mut state.unsynced), state.closing);
                drop(state);
                let mut failed = false;
                for file in files {
                    if let Err(error) = fault::at("spool.sync", "").and_then(|()| file.sync_data()) {
                        failed = true;
                        // First, so that a write that works does not take the trouble back.
                        shared.lock().unforced = true;
                        if own.fail(format!("forcing to the disk: {error}")) {
                            tracing::error!(%error, "the spool cannot be forced to the disk");
                        }
                    }
                }
                let before = std::mem::replace(&mut shared.lock().unforced, failed);
                if before && !failed && own.recover() {
                    tracing::info!("the spool can be forced to the disk again");
                }
                if closing {
                    return;
                }
                let state = shared.lock();
                let waited = shared.dirty.wait_timeout_while(state, interval, |state| !state.closing);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
        })
    }

    /// Lets nobody wait any more, and forces to the disk what is not there.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        for waiting in [&self.shared.more, &self.shared.room, &self.shared.dirty] {
            waiting.notify_all();
        }
        let syncer = self.syncer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if syncer.is_some_and(|syncer| syncer.join().is_err()) {
            tracing::error!("the thread that forces the spool to the disk has panicked");
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.close();
    }
}

/// A sink that reads the spool.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// Its name: that of its cursor and in the metrics. Letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What it reads.
    pub route: Route,
    /// What happens when the spool is full and it is behind.
    pub policy: WhenFull,
    /// Where its losses are counted.
    pub account: Arc<Account>,
}

impl SinkOptions {
    fn sink(&self, cursor: CursorFile, kept: Kept) -> Sink {
        Sink {
            route: self.route,
            policy: self.policy,
            account: Arc::clone(&self.account),
            cursor,
            kept,
            already: 0,
            oldest_ms: None,
            woken: false,
        }
    }
}
