//! What writer, readers and whoever asks share: the segments, the end of the log, and each sink's cursor.

use super::cursor::{CursorFile, Kept};
use super::position::{Position, Route, Routes};
use super::segment::Segment;
use crate::config::WhenFull;
use crate::delivery::account::{Account, Loss};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A sink, as the log sees it.
#[derive(Debug)]
pub(super) struct Sink {
    pub route: Route,
    pub policy: WhenFull,
    pub account: Arc<Account>,
    pub cursor: CursorFile,
    pub kept: Kept,
    /// Records behind the cursor that are counted as lost and may be met again.
    pub already: u64,
    /// When the first record that was taken and is not settled happened.
    pub oldest_ms: Option<u64>,
    /// Somebody wants the reader to look up.
    pub woken: bool,
}

impl Sink {
    /// Counts what is lost, less what is counted already.
    pub(super) fn lose(&mut self, loss: Loss, count: u64) -> u64 {
        let known = self.already.min(count);
        self.already -= known;
        self.account.lose(loss, count - known);
        count
    }

    fn store(&mut self, kept: Kept) {
        self.kept = kept;
        if let Err(error) = self.cursor.store(kept) {
            // The next one is tried again; until then a restart would deliver more of it twice.
            tracing::debug!(%error, "a cursor of the spool cannot be written");
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Oldest first; there is always one after the start, which is written.
    pub segments: VecDeque<Segment>,
    pub end: Position,
    pub sinks: BTreeMap<String, Sink>,
    pub closing: bool,
    /// Written and not forced to the disk.
    pub unsynced: Vec<Arc<File>>,
    /// Forcing did not work the last time. A write that works says nothing about that.
    pub unforced: bool,
}

/// The state with what is waited for.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// `max_bytes` of the log.
    pub max_bytes: u64,
    /// There is more to read, or a reader is woken.
    pub more: Condvar,
    /// There is more room, or the end.
    pub room: Condvar,
    /// Something is to be forced to the disk, or the end.
    pub dirty: Condvar,
}

impl Shared {
    pub(super) fn new(state: State, max_bytes: u64) -> Self {
        Self { state: Mutex::new(state), max_bytes, ..Self::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what [`State::release`] let go of, and tells whoever waits for room.
    pub(super) fn remove(&self, released: Vec<PathBuf>) {
        for path in &released {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(file = %path.display(), %error, "a segment of the spool stays until the next start");
            }
        }
        // Also where nothing was released: a sink that others wait for may have come on beside one that nobody waits for.
        self.room.notify_all();
    }
}

/// How far a sink is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name.
    pub sink: String,
    /// Messages that wait for it.
    pub records: u64,
    /// Bytes of the log behind its cursor, if messages wait.
    pub bytes: u64,
    /// When the oldest of them happened, Unix time in ms.
    pub oldest_ms: Option<u64>,
    /// The sequence number of the last message before its cursor.
    pub seq: u64,
}

impl State {
    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::cost).sum()
    }

    /// Where the log begins.
    pub(super) fn start(&self) -> Position {
        self.segments.front().map_or(self.end, |first| first.before)
    }

    /// Takes over how far `sink` is, and lets go of segments that everybody has passed.
    pub(super) fn settle(&mut self, sink: &str, kept: Kept) -> Vec<PathBuf> {
        if let Some(sink) = self.sinks.get_mut(sink)
            && sink.kept != kept
        {
            sink.store(kept);
        }
        self.release()
    }

    /// Segments that every cursor has passed. The youngest stays.
    pub(super) fn release(&mut self) -> Vec<PathBuf> {
        let slowest = self.sinks.values().map(|sink| sink.kept.done.offset).min().unwrap_or(u64::MAX);
        let mut released = Vec::new();
        while self.segments.get(1).is_some_and(|next| next.before.offset <= slowest) {
            released.extend(self.segments.pop_front().map(|segment| segment.path));
        }
        released
    }

    /// A reader of `sink` begins anew at its cursor, or where the log begins now.
    pub(super) fn resume(&mut self, name: &str) -> Option<Kept> {
        let start = self.start();
        let sink = self.sinks.get_mut(name)?;
        sink.already = sink.kept.counted;
        if sink.kept.done.offset < start.offset {
            let gone = start.of(sink.route).saturating_sub(sink.kept.done.of(sink.route));
            sink.lose(Loss::SpoolFull, gone);
            let counted = sink.already;
            sink.store(Kept { done: start, counted });
        }
        sink.oldest_ms = None;
        Some(sink.kept)
    }

    /// Gives up what waits for `sink`; how many messages.
    pub(super) fn discard(&mut self, name: &str, loss: Loss) -> Option<u64> {
        let end = self.end;
        let sink = self.sinks.get_mut(name)?;
        let waiting = waiting(&end, sink);
        sink.account.lose(loss, waiting);
        (sink.already, sink.oldest_ms) = (0, None);
        sink.store(Kept { done: end, counted: 0 });
        Some(waiting)
    }

    /// A message for `routes` is lost before it is on the log.
    pub(super) fn lose(&self, routes: Routes, loss: Loss) {
        for sink in self.sinks.values().filter(|sink| routes.has(sink.route)) {
            sink.account.lose(loss, 1);
        }
    }

    /// Whether a sink that has not passed the oldest segment wants the writer to wait.
    pub(super) fn must_wait(&self) -> bool {
        let end = self.segments.get(1).map_or(self.end.offset, |next| next.before.offset);
        let behind = |sink: &&Sink| sink.kept.done.offset < end && waiting(&self.end, sink) > 0;
        self.sinks.values().filter(behind).any(|sink| sink.policy == WhenFull::Block)
    }

    pub(super) fn status(&self, name: &str) -> Option<SinkStatus> {
        let sink = self.sinks.get(name)?;
        let records = waiting(&self.end, sink);
        let done = sink.kept.done;
        let holds = |segment: &&Segment| segment.before.offset <= done.offset;
        let oldest_ms = sink.oldest_ms.or_else(|| Some(self.segments.iter().rev().find(holds)?.oldest_ms));
        Some(SinkStatus {
            sink: name.to_owned(),
            records,
            bytes: if records == 0 { 0 } else { self.end.offset.saturating_sub(done.offset) },
            oldest_ms: oldest_ms.filter(|at| records > 0 && *at > 0),
            seq: done.seq,
        })
    }
}

fn waiting(end: &Position, sink: &Sink) -> u64 {
    let ahead = end.of(sink.route).saturating_sub(sink.kept.done.of(sink.route));
    ahead.saturating_sub(sink.kept.counted)
}
