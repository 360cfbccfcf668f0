//! The table of `runqueue`: what each CPU has counted, put together by cgroup.

use super::super::idle::Growth;
use super::super::trouble::cgroup_path;
use super::bpf::{RUNQUEUE_BOUNDS, RUNQUEUE_CGROUPS, runqueue_cgroup, runqueue_waits};
use libbpf_rs::MapCore;
use probe_core::{Baseline, Batch, Histogram, Label, Subject, table};
use probe_kit::bpf::{per_cpu, raised, snapshot};
use std::collections::HashMap;
use std::io;
use std::time::Instant;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// 1 us to 1 s. Dense where the scheduler's slices are: what waits for one of another task waits that long.
pub(super) const BOUNDS: [u64; RUNQUEUE_BOUNDS as usize] = [
    1_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
];

table! {
    /// One cgroup.
    pub(crate) struct SystemRunqueue = "system_runqueue", entity "runqueue", sub_probe "runqueue" {
        keys { cgroup }
        labels { }
        histogram(&BOUNDS) latency_ns: Nanoseconds = "Time from when a task of this cgroup (of the cpu controller) could run, because it was woken, made or preempted, until it ran, also while the cgroup had used up its quota, tracepoints sched:sched_wakeup, sched_wakeup_new and sched_switch.";
    }
}

/// What is known of the entries of the kernel's maps: how many waits each had.
#[derive(Debug, Default)]
pub(super) struct Waits(Growth);

/// Adds up what the CPUs have counted.
fn sum(cpus: &[runqueue_waits]) -> runqueue_waits {
    let mut all = runqueue_waits::default();
    for cpu in cpus {
        all.sum = all.sum.wrapping_add(cpu.sum);
        for (sum, count) in all.count.iter_mut().zip(cpu.count) {
            *sum += count;
        }
    }
    all
}

/// The rows of cgroups by their path: one that was removed and made again has another number and the same path.
fn by_path<'e>(
    entries: impl Iterator<Item = (&'e runqueue_cgroup, &'e runqueue_waits)>,
) -> HashMap<Label, Histogram> {
    let mut rows = HashMap::new();
    for (cgroup, waits) in entries {
        #[allow(clippy::cast_precision_loss)] // a sum of nanoseconds
        let hist = Histogram::from_buckets(waits.count.into(), waits.sum as f64, None);
        rows.entry(cgroup_path(&cgroup.path)).or_insert_with(|| Histogram::new(&BOUNDS)).merge(&hist);
    }
    rows
}

impl Waits {
    /// Adds the rows, and removes idle entries. Says whether there is room for more cgroups.
    pub(super) fn read(
        &mut self,
        waits: &dyn MapCore,
        cgroups: &dyn MapCore,
        out: &mut Batch,
    ) -> io::Result<bool> {
        let ids: Vec<u64> = {
            let _raised = raised();
            waits
                .keys()
                .take(RUNQUEUE_CGROUPS as usize)
                .filter_map(|key| u64::read_from_bytes(&key).ok())
                .collect()
        };
        // After them, so that each of them has its name: it is made first.
        let names: HashMap<u64, runqueue_cgroup> = snapshot(cgroups)?.entries.into_iter().collect();
        let mut entries = HashMap::with_capacity(ids.len());
        for id in ids {
            entries.insert(id, sum(&per_cpu(waits, &id)?));
        }
        let counts = names.keys().chain(entries.keys()).map(|id| {
            let counted = entries.get(id).map_or(0, |entry| entry.count.iter().sum());
            (*id, counted)
        });
        let mut gone = self.0.idle(counts.collect::<HashMap<_, _>>(), Instant::now());
        // Its name was idle, and was removed while the programs made the entry.
        let nameless = entries.keys().filter(|id| !names.contains_key(id));
        for id in nameless {
            out.skip("runqueue_cgroup_unnamed", entries.get(id).map_or(0, |entry| entry.count.iter().sum()));
            gone.push(*id);
        }
        if !gone.is_empty() {
            let _raised = raised();
            for id in &gone {
                // The name first: the programs write it when they make the other. One that was removed meanwhile
                // is as good.
                let _ = cgroups.delete(id.as_bytes());
                let _ = waits.delete(id.as_bytes());
                entries.remove(id);
            }
        }
        let named = entries.iter().filter_map(|(id, entry)| Some((names.get(id)?, entry)));
        for (cgroup, hist) in by_path(named) {
            let row = SystemRunqueue { cgroup, latency_ns: (hist.count() > 0).then_some(hist) };
            out.push(Subject::Host, Baseline::Zero, row);
        }
        out.complete::<SystemRunqueue>();
        Ok(names.len().max(entries.len()) < RUNQUEUE_CGROUPS as usize || !gone.is_empty())
    }

    /// Memory held.
    pub(super) fn memory(&self) -> u64 {
        self.0.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(sum: u64, first: u64, last: u64) -> runqueue_waits {
        let mut waits = runqueue_waits { sum, ..Default::default() };
        waits.count[0] = first;
        waits.count[BOUNDS.len()] = last;
        waits
    }

    fn named(name: &[u8]) -> runqueue_cgroup {
        let mut cgroup = runqueue_cgroup::default();
        cgroup.path[0][..name.len()].copy_from_slice(name);
        cgroup
    }

    #[test]
    fn what_the_cpus_counted_is_added_up_and_a_cgroup_that_was_made_again_goes_on() {
        let once = sum(&[waits(5, 1, 0), waits(7, 2, 3)]);
        assert_eq!(once, waits(12, 3, 3));
        let (a, again, other) = (named(b"a"), named(b"a"), named(b"b"));
        let rows = by_path([(&a, &once), (&again, &waits(8, 1, 0)), (&other, &waits(1, 1, 0))].into_iter());
        let of =
            |path: &str| rows.get(path).map(|hist| (hist.count(), hist.sum(), hist.buckets()[BOUNDS.len()]));
        assert_eq!(of("/a"), Some((7, 20.0, 3)));
        assert_eq!(of("/b"), Some((1, 1.0, 0)));
        assert_eq!(rows.len(), 2);
    }
}
