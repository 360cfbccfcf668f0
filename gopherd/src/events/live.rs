//! The live stream: the latest events in a bounded ring, for whoever asks for a page or follows.
//!
//! Owns how many are kept, who may follow, and what became of those that did. Leaves HTTP to `http/native/events`.

use actix_web::web::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Events that are kept.
pub const CAPACITY: usize = 4096;
/// Bytes of their documents that are kept.
const MAX_BYTES: usize = 8 << 20;
/// Clients that may follow at the same time.
pub const MAX_FOLLOWERS: usize = 32;

/// An event in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number.
    pub seq: u64,
    /// The feature that it came from.
    pub feature: &'static str,
    /// The entity's kind.
    pub entity: &'static str,
    /// The entity id.
    pub entity_id: Box<str>,
    /// `SeverityNumber`.
    pub severity: u8,
    /// `Timestamp`.
    pub at_ms: u64,
    /// The document.
    pub document: Bytes,
}

/// A place in the stream: after the event with this number of this run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the daemon started, Unix time in ms.
    pub start_ms: u64,
    /// The event's number.
    pub seq: u64,
}

impl Place {
    /// From `<start_ms>-<seq>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, seq) = text.split_once('-')?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        Some(Self { start_ms: number(start)?, seq: number(seq)? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.start_ms, self.seq)
    }
}

/// Which events are asked for. Nothing is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this feature.
    pub feature: Option<String>,
    /// Of this kind of entity, or of the one with this id.
    pub entity: Option<String>,
    /// At least as serious: a `SeverityNumber`.
    pub severity: u8,
    /// Not earlier, Unix time in ms.
    pub since_ms: Option<u64>,
    /// Earlier.
    pub until_ms: Option<u64>,
}

impl Filter {
    /// Whether it is asked for.
    pub fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, is: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| is.contains(&wanted.as_str()))
        };
        is(&self.feature, &[entry.feature])
            && is(&self.entity, &[entry.entity, &entry.entity_id])
            && entry.severity >= self.severity
            && self.since_ms.is_none_or(|since| entry.at_ms >= since)
            && self.until_ms.is_none_or(|until| entry.at_ms < until)
    }
}

/// A part of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The events that were asked for, oldest first.
    pub entries: Vec<Arc<Entry>>,
    /// The last that was looked at.
    pub next: Place,
    /// Events between the place that was asked for and the first one that is kept are gone, or nobody can tell.
    pub missed: bool,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Number of the last event that was published.
    last: u64,
    /// Number of the last event that is not kept any more.
    gone: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct News {
    last: u64,
    closed: bool,
}

/// Figures about the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events that are kept now.
    pub kept: usize,
    /// Clients that follow now.
    pub followers: usize,
    /// Clients that were cut off because they read too slowly.
    pub cut_off: u64,
    /// Clients that were refused because as many followed as may.
    pub refused: u64,
}

/// The stream. Share it in an `Arc`.
#[derive(Debug)]
pub struct Live {
    start_ms: u64,
    capacity: usize,
    ring: Mutex<Ring>,
    news: watch::Sender<News>,
    places: Arc<Semaphore>,
    cut_off: AtomicU64,
    refused: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        Self::new(SystemTime::now(), CAPACITY)
    }
}

impl Live {
    /// The stream of a daemon that started at `start`, with room for `capacity` events.
    pub fn new(start: SystemTime, capacity: usize) -> Self {
        let start = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            start_ms: u64::try_from(start.as_millis()).unwrap_or(0),
            capacity,
            ring: Mutex::default(),
            news: watch::Sender::new(News::default()),
            places: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            cut_off: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The id of the event with this number.
    pub fn place(&self, seq: u64) -> Place {
        Place { start_ms: self.start_ms, seq }
    }

    /// Adds events, whose numbers grow; the oldest make room.
    pub fn publish(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut ring = self.lock();
        for entry in entries {
            ring.last = entry.seq;
            ring.bytes += entry.document.len();
            ring.entries.push_back(Arc::new(entry));
        }
        while ring.entries.len() > self.capacity || ring.bytes > MAX_BYTES {
            let Some(oldest) = ring.entries.pop_front() else { break };
            ring.bytes -= oldest.document.len();
            ring.gone = oldest.seq;
        }
        let last = ring.last;
        drop(ring);
        self.news.send_modify(|news| news.last = last);
    }

    /// The newest `limit` events that `filter` takes.
    pub fn newest(&self, filter: &Filter, limit: usize) -> Part {
        let ring = self.lock();
        let newest = ring.entries.iter().rev().filter(|entry| filter.takes(entry)).take(limit);
        let mut entries: Vec<_> = newest.cloned().collect();
        entries.reverse();
        Part { entries, next: self.place(ring.last), missed: false }
    }

    /// At most `limit` events after `after` that `filter` takes; all that are kept if `after` is of another run.
    pub fn after(&self, after: Place, filter: &Filter, limit: usize) -> Part {
        let ring = self.lock();
        let of_this_run = after.start_ms == self.start_ms;
        let seq = if of_this_run { after.seq } else { 0 };
        let missed = !of_this_run || seq < ring.gone;
        let from = ring.entries.partition_point(|entry| entry.seq <= seq);
        let taken = ring.entries.range(from..).filter(|entry| filter.takes(entry)).take(limit);
        let entries: Vec<_> = taken.cloned().collect();
        let full = entries.last().filter(|_| entries.len() >= limit).map(|last| last.seq);
        // A place that nobody was given stays where it is.
        let next = full.unwrap_or(ring.last.max(seq));
        Part { entries, next: self.place(next), missed }
    }

    /// The place behind all events of now.
    pub fn end(&self) -> Place {
        self.place(self.lock().last)
    }

    /// A place among the followers, given back when dropped; `None` if there is none.
    pub fn follow(&self) -> Option<Follower> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Some(Follower { news: self.news.subscribe(), _permit: permit }),
            Err(_) => {
                self.refused.fetch_add(1, Relaxed);
                None
            }
        }
    }

    /// A follower was cut off because it read too slowly.
    pub fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Relaxed);
    }

    /// Ends all followers: the daemon stops.
    pub fn close(&self) {
        self.news.send_modify(|news| news.closed = true);
    }

    /// Figures about the stream.
    pub fn figures(&self) -> Figures {
        Figures {
            kept: self.lock().entries.len(),
            followers: MAX_FOLLOWERS - self.places.available_permits(),
            cut_off: self.cut_off.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who follows.
#[derive(Debug)]
pub struct Follower {
    news: watch::Receiver<News>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Waits until there is an event after `seq`; `false` when there will be none any more.
    pub async fn news(&mut self, seq: u64) -> bool {
        match self.news.wait_for(|news| news.closed || news.last > seq).await {
            Ok(news) => !news.closed,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            feature: if seq.is_multiple_of(2) { "tcp" } else { "baseinfo" },
            entity: if seq.is_multiple_of(2) { "tcp_link" } else { "fs" },
            entity_id: format!("m_{seq}").into(),
            severity: if seq.is_multiple_of(3) { 9 } else { 13 },
            at_ms: 1000 * seq,
            document: Bytes::from_static(b"{}"),
        }
    }

    fn live(capacity: usize) -> Live {
        Live::new(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(7), capacity)
    }

    fn seqs(part: &Part) -> Vec<u64> {
        part.entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn a_place_is_written_and_read() {
        let place = Place { start_ms: 7, seq: 12 };
        assert_eq!(place.to_string(), "7-12");
        assert_eq!(Place::parse("7-12"), Some(place));
        for odd in ["", "7", "7-", "-1", "7-1-2", "+7-1", "x-1", "99999999999999999999-1"] {
            assert_eq!(Place::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_and_say_what_is_gone() {
        let live = live(4);
        assert_eq!(live.newest(&Filter::default(), 10).next.to_string(), "7-0");
        live.publish((1..=6).map(entry));
        let all = Filter::default();
        assert_eq!(seqs(&live.newest(&all, 2)), [5, 6]);
        let first = live.after(live.place(2), &all, 3);
        assert_eq!((seqs(&first), first.next.seq, first.missed), (vec![3, 4, 5], 5, false));
        let second = live.after(first.next, &all, 3);
        assert_eq!((seqs(&second), second.next.seq, second.missed), (vec![6], 6, false));
        assert!(live.after(live.place(1), &all, 3).missed, "number 2 is gone");
        let foreign = live.after(Place { start_ms: 1, seq: 5 }, &all, 10);
        assert_eq!((seqs(&foreign), foreign.missed), (vec![3, 4, 5, 6], true));
    }

    #[test]
    fn a_filter_narrows_by_feature_entity_severity_and_time() {
        let live = live(10);
        live.publish((1..=6).map(entry));
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            seqs(&live.newest(&filter, 10))
        };
        assert_eq!(with(|f| f.feature = Some("tcp".into())), [2, 4, 6]);
        assert_eq!(with(|f| f.entity = Some("fs".into())), [1, 3, 5]);
        assert_eq!(with(|f| f.entity = Some("m_4".into())), [4]);
        assert_eq!(with(|f| f.severity = 13), [1, 2, 4, 5]);
        assert_eq!(with(|f| (f.since_ms, f.until_ms) = (Some(2000), Some(4000))), [2, 3]);
    }

    #[test]
    fn as_many_bytes_are_kept_as_there_is_room_for() {
        let live = live(CAPACITY);
        let large = |seq| Entry { document: Bytes::from(vec![b'x'; MAX_BYTES / 2]), ..entry(seq) };
        live.publish([large(1), large(2), large(3)]);
        assert_eq!(seqs(&live.newest(&Filter::default(), 10)), [2, 3]);
    }

    #[tokio::test]
    async fn a_follower_hears_of_news_and_of_the_end_and_only_so_many_may_follow() {
        let live = live(4);
        let mut follower = live.follow().expect("room");
        live.publish([entry(1)]);
        assert!(follower.news(0).await);
        let others: Vec<_> = (1..MAX_FOLLOWERS).map(|_| live.follow().expect("room")).collect();
        assert!(live.follow().is_none());
        assert_eq!(live.figures(), Figures { kept: 1, followers: MAX_FOLLOWERS, cut_off: 0, refused: 1 });
        drop(others);
        assert!(live.follow().is_some());
        live.close();
        assert!(!follower.news(1).await);
    }

    proptest! {
        #[test]
        fn whoever_reads_page_by_page_sees_each_kept_event_once_and_in_order(
            capacity in 1usize..20, steps in prop::collection::vec((0u64..8, 1usize..5), 1..40)
        ) {
            let live = live(capacity);
            let (mut next, mut published, mut seen, mut missed) = (live.end(), 0, Vec::new(), false);
            for (more, limit) in steps {
                live.publish((1..=more).map(|step| entry(published + step)));
                published += more;
                let part = live.after(next, &Filter::default(), limit);
                missed |= part.missed;
                seen.extend(seqs(&part));
                next = part.next;
            }
            loop {
                let part = live.after(next, &Filter::default(), 3);
                missed |= part.missed;
                next = part.next;
                if part.entries.is_empty() { break }
                seen.extend(seqs(&part));
            }
            prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(missed, seen.len() as u64 != published);
        }
    }
}
