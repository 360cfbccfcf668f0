//! `memory`: what is used, of which kind, and what the controller had to do.

use super::cpu::{flat, single};
use super::source::{File, Files};
use super::tables::{Memory, MemoryEvents, Oom};

/// Of v1, a limit from here on is none: it is the largest number of pages.
const NO_LIMIT: u64 = 1 << 62;

#[derive(Debug, Default, PartialEq)]
struct Stat {
    cache: Option<u64>,
    rss: Option<u64>,
    mapped: Option<u64>,
    inactive_file: Option<u64>,
}

/// Both forms of `memory.stat`. v1 has each key twice, of the cgroup alone and, as `total_…`, with those below it.
fn stat(text: &[u8]) -> Stat {
    let mut stat = Stat::default();
    flat(text, |name, value| {
        let slot = match name {
            b"file" | b"total_cache" => &mut stat.cache,
            b"anon" | b"total_rss" => &mut stat.rss,
            b"file_mapped" | b"total_mapped_file" => &mut stat.mapped,
            b"inactive_file" => {
                // v1's own comes before its total.
                stat.inactive_file = stat.inactive_file.or(Some(value));
                return;
            }
            b"total_inactive_file" => &mut stat.inactive_file,
            _ => return,
        };
        *slot = Some(value);
    });
    stat
}

#[allow(clippy::cast_precision_loss)] // gauges
fn gauge(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

/// Reads the levels.
pub(super) fn read(files: &mut Files<'_>, buf: &mut Vec<u8>) -> Memory {
    let usage = files.read(File::MemoryCurrent, buf).and_then(single);
    let stat = files.read(File::MemoryStat, buf).map(stat).unwrap_or_default();
    let limit = files.read(File::MemoryMax, buf).and_then(single).filter(|limit| *limit < NO_LIMIT);
    let working_set = usage.zip(stat.inactive_file).map(|(usage, cold)| usage.saturating_sub(cold));
    Memory {
        memory_cache: gauge(stat.cache),
        memory_mapped_file: gauge(stat.mapped),
        memory_rss: gauge(stat.rss),
        memory_usage_bytes: gauge(usage),
        memory_working_set_bytes: gauge(working_set),
        memory_limit_bytes: gauge(limit),
        ..Memory::default()
    }
}

/// Both forms: `memory.events`, and v1's `memory.oom_control`.
fn events(text: &[u8], oom: &mut Oom, row: &mut MemoryEvents) {
    flat(text, |name, value| {
        let slot = match name {
            b"oom_kill" => &mut oom.oom_events_total,
            b"low" => &mut row.memory_events_low_total,
            b"high" => &mut row.memory_events_high_total,
            b"max" => &mut row.memory_events_max_total,
            b"oom" => &mut row.memory_events_oom_total,
            b"oom_group_kill" => &mut row.memory_events_oom_group_kill_total,
            _ => return,
        };
        *slot = Some(value);
    });
}

/// Reads what the controller did.
pub(super) fn read_events(files: &mut Files<'_>, buf: &mut Vec<u8>) -> (Oom, MemoryEvents) {
    let (mut oom, mut row) = (Oom::default(), MemoryEvents::default());
    for file in [File::MemoryEvents, File::OomControl] {
        if let Some(text) = files.read(file, buf) {
            events(text, &mut oom, &mut row);
        }
    }
    if let Some(failed) = files.read(File::FailCount, buf).and_then(single) {
        row.memory_events_max_total = Some(failed);
    }
    (oom, row)
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    stat(bytes);
    events(bytes, &mut Oom::default(), &mut MemoryEvents::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_is_read_with_the_cgroups_below_and_v2_as_it_is() {
        let v1 = b"cache 1\nrss 2\nmapped_file 3\ninactive_file 4\ntotal_cache 10\ntotal_rss 20\ntotal_mapped_file 30\ntotal_inactive_file 40\n";
        let all = Stat { cache: Some(10), rss: Some(20), mapped: Some(30), inactive_file: Some(40) };
        assert_eq!(stat(v1), all);
        assert_eq!(stat(b"anon 20\nfile 10\nfile_mapped 30\ninactive_file 40\n"), all);
        assert_eq!(stat(b"anon\nfile x\n"), Stat::default());
    }

    #[test]
    fn events_of_both_versions_are_told() {
        let (mut oom, mut row) = (Oom::default(), MemoryEvents::default());
        events(b"low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\n", &mut oom, &mut row);
        assert_eq!((oom.oom_events_total, row.memory_events_oom_total), (Some(5), Some(4)));
        assert_eq!(row.memory_events_oom_group_kill_total, None, "an older kernel");
        let (mut oom, mut row) = (Oom::default(), MemoryEvents::default());
        events(b"oom_kill_disable 0\nunder_oom 0\noom_kill 9\n", &mut oom, &mut row);
        assert_eq!((oom.oom_events_total, row.memory_events_low_total), (Some(9), None));
    }
}
