//! A sink's way through the log: takes record by record, settles them in any order, and begins again at its cursor when
//! it has to.

use super::position::{Position, Route};
use super::record::{self, Found, Record};
use super::segment;
use super::state::{Shared, State};
use super::window::{Ticket, Window};
use crate::delivery::account::{Account, Loss};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much is read at a time, unless one record is longer.
const CHUNK: usize = 256 << 10;

/// Reads for one sink. There is one at a time for each.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    sink: String,
    route: Route,
    account: Arc<Account>,
    window: Window,
    /// Everything before it is in the window.
    at: Position,
    buffer: Vec<u8>,
    /// Where `at` is in the buffer.
    from: usize,
    /// The record at `at`, if it is known to be one for this sink.
    ahead: Option<Ahead>,
    /// Stretches behind `at` that were settled before it went back.
    settled: VecDeque<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Ahead {
    size: usize,
    after: Position,
    at_ms: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, sink: &str) -> Option<Self> {
        let mut state = shared.lock();
        let done = state.resume(sink)?.done;
        let entry = state.sinks.get(sink)?;
        let (route, account) = (entry.route, Arc::clone(&entry.account));
        let released = state.release();
        drop(state);
        shared.remove(released);
        let window = Window::at(done, 0);
        let sink = sink.to_owned();
        Some(Self {
            shared,
            sink,
            route,
            account,
            window,
            at: done,
            buffer: Vec::new(),
            from: 0,
            ahead: None,
            settled: VecDeque::new(),
        })
    }

    /// The account of its sink.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The next record and the ticket that it will have, without taking it. `None` if there is none now.
    ///
    /// # Errors
    /// The log cannot be read; the next call tries again.
    pub fn peek(&mut self) -> io::Result<Option<(Ticket, Record<'_>)>> {
        if self.ahead.is_none() && !self.find()? {
            return Ok(None);
        }
        let ticket = self.window.next();
        let size = self.ahead.map_or(0, |ahead| ahead.size);
        Ok(self
            .buffer
            .get(self.from..self.from + size)
            .and_then(record::whole)
            .map(|record| (ticket, record)))
    }

    /// Takes the record that [`Self::peek`] showed. It must be settled.
    pub fn take(&mut self) -> Option<Ticket> {
        let ahead = self.ahead.take()?;
        self.from += ahead.size;
        self.at = ahead.after;
        Some(self.window.take(ahead.after, ahead.at_ms))
    }

    /// The record is delivered or given up. Says whether it was waited for.
    pub fn settle(&mut self, ticket: Ticket) -> bool {
        self.window.settle(ticket)
    }

    /// Moves the cursor over what is settled, and takes notice of what was dropped or purged meanwhile.
    pub fn commit(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let released = self.sync(&mut state);
        drop(state);
        shared.remove(released);
    }

    /// Begins again behind the cursor: what was taken and not settled is read once more, and nothing else.
    pub fn rewind(&mut self) {
        self.commit();
        let mut state = self.shared.lock();
        let Some(kept) = state.resume(&self.sink) else { return };
        drop(state);
        // Those of the window come before those that were not reached again.
        let ahead: VecDeque<_> = self.window.settled_ahead().chain(self.settled.drain(..)).collect();
        self.settled = ahead;
        self.window = Window::at(kept.done, self.window.next());
        self.jump(kept.done);
    }

    /// Whether the record before the place `after` was settled before the reader went back.
    fn is_settled(&mut self, after: u64) -> bool {
        while self.settled.front().is_some_and(|(_, until)| *until < after) {
            self.settled.pop_front();
        }
        self.settled.front().is_some_and(|(from, _)| *from < after)
    }

    /// Waits until there may be more to read, [`super::Spool::wake`] is called, or `timeout` has passed.
    pub fn wait(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(sink) = state.sinks.get_mut(&self.sink) else { return };
            let woken = std::mem::take(&mut sink.woken);
            if woken || left.is_zero() || state.closing || state.end.offset > self.at.offset {
                return;
            }
            let waited = self.shared.more.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits until [`super::Spool::wake`] is called or `timeout` has passed, whatever there is to read.
    pub fn pause(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(sink) = state.sinks.get_mut(&self.sink) else { return };
            if std::mem::take(&mut sink.woken) || left.is_zero() || state.closing {
                return;
            }
            let waited = self.shared.more.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Records taken and not settled.
    pub fn unsettled(&self) -> usize {
        self.window.unsettled()
    }

    /// Whether so much of the log is taken and not settled that more should wait on the disk: `bytes`, or a quarter of
    /// what the log may hold, because what is taken is not what is dropped first.
    pub fn holds(&self, bytes: u64) -> bool {
        let taken = self.at.offset.saturating_sub(self.window.done().offset);
        taken >= bytes.min(self.shared.max_bytes / 4)
    }

    fn jump(&mut self, to: Position) {
        self.at = to;
        self.buffer.clear();
        (self.from, self.ahead) = (0, None);
    }

    fn sync(&mut self, state: &mut State) -> Vec<std::path::PathBuf> {
        let start = state.start();
        let Some(sink) = state.sinks.get_mut(&self.sink) else { return Vec::new() };
        if sink.kept.done.offset > self.window.done().offset {
            // Purged.
            self.window = Window::at(sink.kept.done, self.window.next());
            if self.at.offset < sink.kept.done.offset {
                self.jump(sink.kept.done);
            }
        }
        if self.at.offset < start.offset {
            let gone = start.of(self.route).saturating_sub(self.at.of(self.route));
            let counted = sink.lose(Loss::SpoolFull, gone);
            self.window.pass(start, counted);
            self.jump(start);
        }
        sink.oldest_ms = self.window.oldest_ms();
        let kept = self.window.advance();
        state.settle(&self.sink, kept)
    }

    /// Looks for the next record for this sink and puts it into `ahead`.
    fn find(&mut self) -> io::Result<bool> {
        loop {
            let rest = self.buffer.get(self.from..).unwrap_or_default();
            let (routes, seq, at_ms, size) = match record::decode(rest) {
                Found::Record(record, size) => (record.routes, record.seq, record.at_ms, size),
                Found::Damaged(size) => {
                    // Counted at the segment's end, by its successor's totals.
                    self.at.offset += size as u64;
                    self.from += size;
                    continue;
                }
                Found::Unreadable => {
                    self.leave_segment();
                    continue;
                }
                Found::Cut(needed) => match self.load(needed)? {
                    true => continue,
                    false => return Ok(false),
                },
            };
            let after = self.at.after(seq, routes, size);
            if routes.has(self.route) && !self.is_settled(after.offset) {
                self.ahead = Some(Ahead { size, after, at_ms });
                return Ok(true);
            }
            self.at = after;
            self.from += size;
            self.window.pass(after, 0);
        }
    }

    /// Nothing more can be read of the segment that `at` is in.
    fn leave_segment(&mut self) {
        let end = {
            let state = self.shared.lock();
            let holds = |segment: &&segment::Segment| segment.before.offset <= self.at.offset;
            state.segments.iter().rev().find(holds).map(segment::Segment::end_offset)
        };
        let mut at = self.at;
        at.offset = end.unwrap_or(at.offset);
        self.jump(at);
    }

    /// Fills the buffer from `at` on, with `needed` bytes at least, or leaves a segment that ends before; then nothing is
    /// in the buffer. `false` if there is nothing to read.
    fn load(&mut self, needed: usize) -> io::Result<bool> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let released = self.sync(&mut state);
        let mut following =
            state.segments.iter().skip_while(|segment| segment.end_offset() <= self.at.offset);
        let found = following.next().map(|segment| {
            (Arc::clone(&segment.file), segment.before, segment.length, following.next().is_none())
        });
        let last_total = state.segments.back().map(|segment| segment.before);
        drop(state);
        shared.remove(released);
        let Some((file, before, length, youngest)) = found else {
            // At the end of everything. A youngest segment that has just begun is passed into by the next call.
            if let Some(before) = last_total.filter(|before| before.offset == self.at.offset) {
                self.enter(before);
            }
            return Ok(false);
        };
        self.enter(before);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK.max(needed), 0);
        let got = segment::read_at(&file, before.offset, length, self.at.offset, &mut buffer);
        buffer.truncate(*got.as_ref().unwrap_or(&0));
        let got = got?;
        (self.buffer, self.from) = (buffer, 0);
        if got >= needed {
            return Ok(true);
        }
        if youngest && before.offset + length > self.at.offset + got as u64 {
            return Err(io::Error::other("a segment of the spool is shorter than what was written to it"));
        }
        // A length that leads beyond the segment is damage, and says nothing of what the next one needs.
        self.leave_segment();
        Ok(true)
    }

    /// Passes into the segment that begins at `before`; what its totals say more than was met is damaged.
    fn enter(&mut self, before: Position) {
        if self.at.offset > before.offset || self.at == before {
            return;
        }
        let gone = before.of(self.route).saturating_sub(self.at.of(self.route));
        let counted = {
            let mut state = self.shared.lock();
            state.sinks.get_mut(&self.sink).map_or(0, |sink| sink.lose(Loss::Damaged, gone))
        };
        self.window.pass(before, counted);
        self.at = before;
    }
}
