//! `reclaim`: how long tasks had to wait while memory was made free or put together for them, by memory cgroup.

use super::super::idle::Growth;
use super::bpf::{TROUBLE_BOUNDS, trouble_stalls};
use super::side::path;
use libbpf_rs::MapCore;
use probe_core::{Baseline, Batch, Histogram, Label, Subject, table};
use probe_kit::bpf::{raised, snapshot};
use std::collections::HashMap;
use std::io;
use std::time::Instant;
use zerocopy::IntoBytes as _;

/// 10 us to 10 s.
pub(super) const BOUNDS: [u64; TROUBLE_BOUNDS as usize] =
    [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];

table! {
    /// One cgroup.
    pub(crate) struct SystemReclaim = "system_reclaim", entity "reclaim", sub_probe "reclaim" {
        keys { cgroup }
        labels { }
        histogram(&BOUNDS) direct_latency_ns: Nanoseconds = "Time that tasks of this memory cgroup freed memory of the host before they got some, tracepoints vmscan:mm_vmscan_direct_reclaim_begin and _end.";
        histogram(&BOUNDS) memcg_latency_ns: Nanoseconds = "Time that they freed memory of a cgroup that was at its limit, tracepoints vmscan:mm_vmscan_memcg_reclaim_begin and _end.";
        histogram(&BOUNDS) compaction_latency_ns: Nanoseconds = "Time that they moved pages to get some side by side, tracepoints compaction:mm_compaction_begin and _end.";
    }
}

/// What is known of the entries of the kernel's map: how many waits each had.
#[derive(Debug, Default)]
pub(super) struct Reclaim(Growth);

impl Reclaim {
    /// Adds the rows, and removes idle entries from `stalls`.
    pub(super) fn read(&mut self, stalls: &dyn MapCore, out: &mut Batch) -> io::Result<()> {
        let entries: Vec<(u64, trouble_stalls)> = snapshot(stalls)?.entries;
        let waits = |entry: &trouble_stalls| entry.hist.iter().flat_map(|hist| hist.count).sum();
        let counts = entries.iter().map(|(id, entry)| (*id, waits(entry)));
        let idle = self.0.idle(counts, Instant::now());
        let mut rows: HashMap<Label, [Histogram; 3]> = HashMap::new();
        for (_, entry) in entries.iter().filter(|(id, _)| !idle.contains(id)) {
            // A cgroup that was removed and made again has another number and the same path.
            let row = rows
                .entry(path(&entry.path))
                .or_insert_with(|| std::array::from_fn(|_| Histogram::new(&BOUNDS)));
            for (sum, hist) in row.iter_mut().zip(&entry.hist) {
                let counts = hist.count.get(..=BOUNDS.len()).unwrap_or_default();
                #[allow(clippy::cast_precision_loss)] // a sum of nanoseconds
                sum.merge(&Histogram::from_buckets(counts.into(), hist.sum as f64, None));
            }
        }
        if !idle.is_empty() {
            let _raised = raised();
            for id in idle {
                // One that was removed meanwhile is as good.
                let _ = stalls.delete(id.as_bytes());
            }
        }
        for (cgroup, [direct, memcg, compaction]) in rows {
            let some = |hist: Histogram| (hist.count() > 0).then_some(hist);
            let row = SystemReclaim {
                cgroup,
                direct_latency_ns: some(direct),
                memcg_latency_ns: some(memcg),
                compaction_latency_ns: some(compaction),
            };
            out.push(Subject::Host, Baseline::Zero, row);
        }
        out.complete::<SystemReclaim>();
        Ok(())
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        self.0.memory()
    }
}
