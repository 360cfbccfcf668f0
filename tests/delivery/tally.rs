//! The count: sent, delivered, delivered twice, lost, and the order within each key.

use gopher_e2e::kafka::Read;
use std::collections::{BTreeMap, BTreeSet};

/// What became of the messages of one test.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) twice: u64,
    pub(crate) missing: Vec<u64>,
}

/// Compares the sequence numbers that were accepted with those that arrived, and says the numbers. What arrived beyond
/// them was accepted in the moment of a kill, which nobody could tell any more.
pub(crate) fn tally(what: &str, accepted: &[u64], arrived: &[u64]) -> Tally {
    let sent: BTreeSet<u64> = accepted.iter().copied().collect();
    let there: BTreeSet<u64> = arrived.iter().copied().collect();
    let tally = Tally {
        sent: sent.len() as u64,
        delivered: there.len() as u64,
        twice: (arrived.len() - there.len()) as u64,
        missing: sent.difference(&there).copied().collect(),
    };
    eprintln!(
        "{what}: sent {}, delivered {}, twice {}, missing {}",
        tally.sent,
        tally.delivered,
        tally.twice,
        tally.missing.len()
    );
    tally
}

/// The sequence numbers of what kcat read.
pub(crate) fn seqs(read: &[Read]) -> Vec<u64> {
    read.iter().map(Read::seq).collect()
}

/// Each message that arrives for the first time comes after all before it of its key.
#[track_caller]
pub(crate) fn in_order_by_key(read: &[Read]) {
    let mut last: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut partitions: BTreeMap<&str, i64> = BTreeMap::new();
    let mut all: Vec<&Read> = read.iter().collect();
    all.sort_by_key(|read| (read.envelope["partition"].as_i64(), read.envelope["offset"].as_i64()));
    for read in all {
        let (key, seq) = (read.key(), read.seq());
        let partition = read.envelope["partition"].as_i64().expect("a partition");
        assert_eq!(*partitions.entry(key).or_insert(partition), partition, "a key stays in its partition");
        if seen.insert(seq) {
            let before = last.insert(key, (seq, partition));
            assert!(before.is_none_or(|(before, _)| before < seq), "{key}: {seq} after {before:?}");
        }
    }
}
