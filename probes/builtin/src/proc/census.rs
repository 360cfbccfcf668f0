//! Which processes have rows: those that the kernel has an entry of, are in scope and run; and each once more after
//! its end. Pure but for the map that it reads.

use super::process::Look;
use libbpf_rs::MapCore;
use probe_core::{Baseline, Batch, ProcKey, Row, Subject};
use probe_kit::bpf::{raised, snapshot};
use std::collections::{HashMap, HashSet};
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `proc_head` of some object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) start_ticks: u64,
    /// Number of the reading before which the entry was made.
    pub(super) reading: u64,
    pub(super) ended: bool,
    /// The kernel has added it to the sum of its name, and takes it out.
    pub(super) folded: bool,
}

/// `proc_time` of some object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time {
    pub(super) count: u64,
    pub(super) total_ns: u64,
    pub(super) max_ns: u64,
    pub(super) period: u64,
}

impl Time {
    /// The longest, if one ended in the period that ends now.
    #[allow(clippy::cast_precision_loss)] // 104 days
    pub(super) fn longest(&self, period: Option<u64>) -> Option<f64> {
        (self.count > 0 && Some(self.period) == period).then_some(self.max_ns as f64)
    }

    /// How many; absent while there was none.
    pub(super) fn counted(&self) -> Option<u64> {
        (self.count > 0).then_some(self.count)
    }

    /// All of it; absent while there was none.
    pub(super) fn total(&self) -> Option<u64> {
        (self.count > 0).then_some(self.total_ns)
    }
}

/// What an object counts of a process; see [`counts`].
pub(super) trait Counts: FromBytes + IntoBytes + Immutable + KnownLayout {
    fn head(&self) -> Head;
    /// Another number whenever something was added.
    fn moved(&self) -> u64;
}

/// Says of a C struct that begins with `proc_head` how to see that something was added to it.
macro_rules! counts {
    ($type:ty, $time:ty, |$counts:ident| $moved:expr) => {
        impl $crate::registry::proc::census::Counts for $type {
            fn head(&self) -> $crate::registry::proc::census::Head {
                $crate::registry::proc::census::Head {
                    start_ticks: self.head.start_ticks,
                    reading: self.head.reading,
                    ended: self.head.ended != 0,
                    folded: self.head.ended == 2,
                }
            }
            fn moved(&self) -> u64 {
                let $counts = self;
                $moved
            }
        }
        impl From<$time> for $crate::registry::proc::census::Time {
            fn from(time: $time) -> Self {
                Self { count: time.count, total_ns: time.total_ns, max_ns: time.max_ns, period: time.period }
            }
        }
    };
}
pub(super) use counts;

/// Begins a reading of an object's processes: the number of the next one, which what is made from now on gets.
macro_rules! begin_reading {
    ($object:expr) => {
        match $object.skel_mut().maps.data_data.as_deref_mut() {
            Some(data) => {
                data.reading += 1;
                data.reading
            }
            None => u64::MAX,
        }
    };
}
pub(super) use begin_reading;

/// Has an object begin another report period if `closes`. The number of the one before, if there is one.
macro_rules! end_period {
    ($object:expr, $closes:expr) => {
        $object.skel_mut().maps.data_data.as_deref_mut().map(|data| {
            let period = data.period;
            data.period += u64::from($closes);
            period
        })
    };
}
pub(super) use end_period;

/// One reading of a part's processes: their entries, the number of the report period that ends with it, if one does, and
/// the entries that may go. `$unread` is called as [`Census::take`] says.
macro_rules! reading {
    ($part:expr, $look:expr, $unread:expr) => {{
        let (object, census) = (&mut $part.object, &mut $part.census);
        let number = begin_reading!(object);
        let entries = read(&object.skel().maps.processes, number)?.entries;
        let period = end_period!(object, $look.closes).filter(|_| $look.closes);
        let gone = census.take(&entries, |key| $look.runs(key), $unread);
        (entries, period, gone)
    }};
}
pub(super) use reading;

/// An entry of a map of processes.
#[derive(Debug)]
pub(super) struct Entry<V> {
    pub(super) tgid: u32,
    pub(super) counts: V,
}

impl<V: Counts> Entry<V> {
    pub(super) fn key(&self) -> ProcKey {
        ProcKey { tgid: self.tgid, start_ticks: self.counts.head().start_ticks }
    }
}

/// What a reading finds in a map of processes.
#[derive(Debug)]
pub(super) struct Found<V> {
    pub(super) entries: Vec<Entry<V>>,
    /// Processes whose entries were made after the reading began. They are for the next one: if they end before that,
    /// the kernel takes them for unread and adds them to the sum of their name.
    pub(super) newcomers: Vec<ProcKey>,
}

/// Every entry of `map` but those that are just being made or taken out. The reading began with making `reading` the
/// number of the next one, so that who ends meanwhile is not taken for unread.
pub(super) fn read<V: Counts>(map: &dyn MapCore, reading: u64) -> io::Result<Found<V>> {
    let entries = snapshot::<u32, V>(map)?.entries.into_iter();
    let entries = entries.map(|(tgid, counts)| Entry { tgid, counts });
    Ok(sift(entries, reading))
}

fn sift<V: Counts>(entries: impl Iterator<Item = Entry<V>>, reading: u64) -> Found<V> {
    let mut found = Found { entries: Vec::new(), newcomers: Vec::new() };
    for entry in entries {
        let head = entry.counts.head();
        if head.start_ticks == 0 || head.folded {
            continue;
        }
        if head.reading < reading {
            found.entries.push(entry);
        } else {
            found.newcomers.push(entry.key());
        }
    }
    found
}

/// Takes entries out of `map`.
pub(super) fn remove(map: &dyn MapCore, gone: &[u32]) {
    let _raised = raised();
    for tgid in gone {
        // Absent is as good as removed.
        let _ = map.delete(tgid.as_bytes());
    }
}

/// Takes out what ended while nobody watched for ends: else a later process with the same number would be taken for it.
pub(super) fn forget_ended<V: Counts>(map: &dyn MapCore, look: &Look<'_>) {
    match read::<V>(map, u64::MAX) {
        Ok(found) => {
            let unseen = found.entries.iter().filter(|entry| !entry.counts.head().ended);
            let ended = unseen.filter(|entry| !look.runs(entry.key())).map(|entry| entry.tgid);
            remove(map, &ended.collect::<Vec<_>>());
        }
        Err(error) => tracing::warn!(%error, "the processes of before cannot be read"),
    }
}

/// What is remembered between two readings.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The processes of the last reading, each with what had moved.
    known: HashMap<ProcKey, u64>,
    /// Of these, those whose row was shown.
    shown: HashSet<ProcKey>,
    /// Processes of this reading that have ended.
    ended: HashSet<ProcKey>,
}

impl Census {
    /// Takes note of a reading. Returns the entries that may go: those of ended processes. `unread` gets those of them
    /// that are seen for the first time: they ended in the moment of the reading before.
    ///
    /// The end of a process may have been missed; one that nothing was added to is looked for.
    pub(super) fn take<V: Counts>(
        &mut self,
        entries: &[Entry<V>],
        runs: impl Fn(ProcKey) -> bool,
        mut unread: impl FnMut(&V),
    ) -> Vec<u32> {
        let before = std::mem::take(&mut self.known);
        self.ended.clear();
        let mut gone = Vec::new();
        for entry in entries {
            let (key, moved) = (entry.key(), entry.counts.moved());
            let was = before.get(&key).copied();
            if !entry.counts.head().ended && (was != Some(moved) || runs(key)) {
                self.known.insert(key, moved);
                continue;
            }
            gone.push(entry.tgid);
            self.ended.insert(key);
            if was.is_none() {
                unread(&entry.counts);
            }
        }
        self.shown.retain(|key| self.known.contains_key(key) || self.ended.contains(key));
        gone
    }

    /// Where the rows of process `key` go, if it has some: one in scope, or one that has ended and was shown before.
    pub(super) fn rows<'o>(&mut self, key: ProcKey, look: &Look<'_>, out: &'o mut Batch) -> Option<Rows<'o>> {
        let ended = self.ended.contains(&key);
        let was_shown = self.shown.remove(&key);
        if ended {
            return was_shown.then_some(Rows { key, ended, out });
        }
        look.scope.contains(&key).then(|| {
            self.shown.insert(key);
            Rows { key, ended, out }
        })
    }

    /// Bytes that are held.
    pub(super) fn memory(&self) -> u64 {
        (self.known.capacity() * size_of::<(ProcKey, u64)>()
            + (self.shown.capacity() + self.ended.capacity()) * size_of::<ProcKey>()) as u64
    }
}

/// Where the rows of a process go.
pub(super) struct Rows<'o> {
    key: ProcKey,
    ended: bool,
    out: &'o mut Batch,
}

impl Rows<'_> {
    /// The value of the key label.
    pub(super) fn tgid(&self) -> probe_core::Label {
        super::labels::number(self.key.tgid)
    }

    /// Adds a row. What it counts, the probe began to count at 0.
    pub(super) fn push<R: Row>(&mut self, row: R) {
        let subject = Subject::Process(self.key);
        if self.ended {
            self.out.push_last(subject, Baseline::Zero, row);
        } else {
            self.out.push(subject, Baseline::Zero, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_core::Scope;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::SystemTime;

    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
    #[repr(C)]
    struct Fake {
        start_ticks: u64,
        reading: u64,
        ended: u64,
        count: u64,
    }

    impl Counts for Fake {
        fn head(&self) -> Head {
            Head {
                start_ticks: self.start_ticks,
                reading: self.reading,
                ended: self.ended != 0,
                folded: self.ended == 2,
            }
        }
        fn moved(&self) -> u64 {
            self.count
        }
    }

    fn entry(tgid: u32, count: u64, ended: bool) -> Entry<Fake> {
        Entry { tgid, counts: Fake { start_ticks: 1, reading: 1, ended: u64::from(ended), count } }
    }

    probe_core::table! {
        struct R = "r", entity "r", sub_probe "" { keys { tgid } labels { } counter n: Count = "N."; }
    }

    /// The rows that are shown: `7` of one that lives, `7!` of one that has ended.
    fn shown(census: &mut Census, entries: &[Entry<Fake>], scope: &Scope) -> Vec<String> {
        let mut out = Batch::new(SystemTime::now());
        let look = Look { scope, proc: &PathBuf::new(), closes: true };
        for entry in entries {
            if let Some(mut rows) = census.rows(entry.key(), &look, &mut out) {
                let tgid = rows.tgid();
                rows.push(R { tgid, n: Some(entry.counts.count) });
            }
        }
        out.rows().map(|row| format!("{}{}", row.labels[0], if row.last { "!" } else { "" })).collect()
    }

    fn nobody(_: &Fake) {
        panic!("was read before");
    }

    #[test]
    fn who_came_since_a_reading_began_is_for_the_next_and_who_was_added_up_for_none() {
        let fake =
            |tgid, reading, ended| Entry { tgid, counts: Fake { start_ticks: 1, reading, ended, count: 1 } };
        let unmade = Entry { tgid: 11, counts: Fake { start_ticks: 0, reading: 1, ended: 0, count: 0 } };
        let all = [fake(7, 1, 0), fake(8, 2, 0), fake(9, 1, 1), fake(10, 1, 2), unmade];
        let found = sift(all.into_iter(), 2);
        assert_eq!(found.entries.iter().map(|entry| entry.tgid).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(found.newcomers, [ProcKey { tgid: 8, start_ticks: 1 }]);
    }

    #[test]
    fn a_process_is_shown_while_it_runs_and_once_after_its_end() {
        let mut census = Census::default();
        let lives = [entry(7, 1, false)];
        assert!(census.take(&lives, |_| true, nobody).is_empty());
        assert_eq!(shown(&mut census, &lives, &Scope::All), ["7"]);
        let ended = [entry(7, 2, true)];
        assert_eq!(census.take(&ended, |_| true, nobody), [7]);
        assert_eq!(shown(&mut census, &ended, &Scope::All), ["7!"]);
        assert!(census.take::<Fake>(&[], |_| true, nobody).is_empty());
        assert_eq!(census.take(&ended, |_| true, |_| ()), [7], "one that could not be removed");
        assert!(shown(&mut census, &ended, &Scope::All).is_empty());
    }

    #[test]
    fn an_end_that_was_missed_is_found_once_nothing_was_added() {
        let mut census = Census::default();
        let entries = [entry(7, 1, false)];
        assert!(census.take(&entries, |_| false, nobody).is_empty(), "not looked for yet");
        assert_eq!(shown(&mut census, &entries, &Scope::All), ["7"]);
        assert_eq!(census.take(&entries, |_| false, nobody), [7]);
        assert_eq!(shown(&mut census, &entries, &Scope::All), ["7!"]);
    }

    #[test]
    fn one_that_ended_in_the_moment_of_a_reading_is_handed_over_and_not_shown() {
        let (mut census, mut unread) = (Census::default(), Vec::new());
        let entries = [entry(7, 5, true)];
        assert_eq!(census.take(&entries, |_| true, |counts| unread.push(counts.count)), [7]);
        assert_eq!(unread, [5]);
        assert!(shown(&mut census, &entries, &Scope::All).is_empty());
    }

    #[test]
    fn the_scope_decides_who_is_shown_and_whoever_was_out_of_it_has_no_last_row() {
        let mut census = Census::default();
        let entries = [entry(7, 1, false), entry(8, 1, false)];
        census.take(&entries, |_| true, nobody);
        let only = |tgid| Scope::Only(Arc::new([ProcKey { tgid, start_ticks: 1 }].into()));
        assert_eq!(shown(&mut census, &entries, &only(7)), ["7"]);
        assert_eq!(shown(&mut census, &entries, &only(8)), ["8"]);
        let entries = [entry(7, 1, true), entry(8, 1, true)];
        census.take(&entries, |_| true, nobody);
        assert_eq!(shown(&mut census, &entries, &Scope::All), ["8!"]);
    }
}
