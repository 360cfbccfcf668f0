//! Labels of processes, read from /proc when first asked for, kept for as long as they are asked for.
//!
//! What is older than [`FRESH`] is read again at its next use, because a process may take another name. A
//! process that has ended keeps its labels: its last report comes after its end. What is not used leaves after a
//! while, and when [`CAPACITY`] is reached the longest unused first.
//!
//! What is read of a process right after its start is read again at the next use: that is when a runtime moves
//! it into its container and the program takes its name.

use super::java::{is_java, main_class};
use crate::containers::{Place, Registry};
use crate::recent::Recent;
use crate::scope::{Reader, joined};
use probe_core::{Capability, Label, ProcKey};
use probe_kit::privilege::raise;
use rustix::time::{ClockId, clock_gettime};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Processes whose labels are kept.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// So long labels are given out without another look.
const FRESH: Duration = Duration::from_secs(30);

/// For so long after its start a process's labels are not given out without another look.
const SETTLES: Duration = Duration::from_secs(5);

/// The longest command line label, in bytes; the contract's limit for label values.
const MAX_LABEL: usize = 1024;

/// So much of a command line is read; after its invalid UTF-8 is replaced enough is left to fill the label.
const HEAD: usize = 4096;

/// So much of a Java command line is read: the main class comes after a class path of any length.
const JAVA_HEAD: usize = 256 << 10;

/// What is known about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessLabels {
    /// Its name; invalid UTF-8 replaced.
    pub comm: Label,
    /// Its command line, arguments joined by blanks, at most 1,024 bytes; of a Java process the main class
    /// or jar alone; empty for a kernel thread.
    pub cmdline: Label,
    /// Its start in clock ticks since boot, in digits, as gala-gopher writes it.
    pub start_time: Label,
    /// The containers that it is in, the innermost first.
    pub place: Place,
}

struct Kept {
    labels: Arc<ProcessLabels>,
    read: Instant,
    /// They were read when the process had just started.
    young: bool,
}

/// What is known about subjects.
pub struct MetaCache {
    proc: PathBuf,
    registry: Registry,
    ticks_per_second: u64,
    processes: Mutex<Recent<ProcKey, Kept>>,
}

impl std::fmt::Debug for MetaCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetaCache").field("proc", &self.proc).finish_non_exhaustive()
    }
}

impl MetaCache {
    /// For the /proc at `proc`, whose containers `registry` knows.
    pub fn new(proc: &Path, registry: Registry) -> Self {
        Self {
            proc: proc.to_path_buf(),
            registry,
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            processes: Mutex::new(Recent::new(CAPACITY)),
        }
    }

    /// Labels of a process. `None` if it has ended and was never asked for before.
    pub fn process(&self, key: ProcKey) -> Option<Arc<ProcessLabels>> {
        self.process_at(key, Instant::now())
    }

    /// The same for who knows what time it is.
    pub fn process_at(&self, key: ProcKey, now: Instant) -> Option<Arc<ProcessLabels>> {
        let known = match self.lock().get(&key, now) {
            Some(kept) if !kept.young && now.saturating_duration_since(kept.read) < FRESH => {
                return Some(Arc::clone(&kept.labels));
            }
            kept => kept.map(|kept| Arc::clone(&kept.labels)),
        };
        // Read without the lock: another look-up must not wait for it.
        let young = self.is_young(key);
        let read = || self.read(key, known.as_deref(), young);
        let read = read().or_else(|| {
            // It has ended, or /proc hides it: only then is the guard worth its system calls.
            let _raised = raise(&[Capability::SysPtrace]);
            read()
        });
        let labels = match (read, known) {
            // The same text keeps its place in memory, so that whoever compares sees at once that it is.
            (Some(new), Some(known)) if new == *known => known,
            (Some(new), _) => Arc::new(new),
            (None, known) => known?,
        };
        self.lock().put(key, Kept { labels: Arc::clone(&labels), read: now, young }, now);
        Some(labels)
    }

    /// Whether the process started less than [`SETTLES`] ago.
    fn is_young(&self, key: ProcKey) -> bool {
        let uptime = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0);
        uptime < key.start_ticks / self.ticks_per_second.max(1) + SETTLES.as_secs()
    }

    /// `None` if the process has ended, its pid having gone to another one or not.
    fn read(&self, key: ProcKey, known: Option<&ProcessLabels>, young: bool) -> Option<ProcessLabels> {
        let mut reader = Reader::new(&self.proc);
        // The identity comes last: what was read before it is then proven to be this process's.
        let cmdline = command_line(&mut reader, key.tgid);
        let place = match known {
            // On a host without containers nobody moves a process into one.
            Some(known) if !young && self.registry.is_empty() => Arc::clone(&known.place),
            _ => reader.place(key.tgid, &self.registry).unwrap_or_else(|_| Place::from([])),
        };
        let facts = reader.stat(key.tgid).ok().filter(|facts| facts.key == key)?;
        Some(ProcessLabels {
            comm: facts.comm,
            cmdline: cmdline.into(),
            start_time: key.start_ticks.to_string().into(),
            place,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent<ProcKey, Kept>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empty if it cannot be read.
fn command_line(reader: &mut Reader, pid: u32) -> String {
    let Ok(head) = reader.arguments(pid, HEAD) else { return String::new() };
    let shown = joined(head);
    if !is_java(head) {
        return cut(shown);
    }
    let cut_off = head.len() == HEAD;
    if let Some(class) = main_class(head).filter(|_| !cut_off) {
        return cut(joined(class));
    }
    if cut_off
        && let Ok(more) = reader.arguments(pid, JAVA_HEAD)
        && let Some(class) = main_class(more)
    {
        return cut(joined(class));
    }
    cut(shown)
}

/// The first 1,024 bytes of `text`, less what would break a character.
fn cut(mut text: String) -> String {
    if let Some(end) = (0..=MAX_LABEL.min(text.len())).rev().find(|at| text.is_char_boundary(*at)) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;

    const KEY: ProcKey = ProcKey { tgid: 7, start_ticks: 345 };

    fn put(host: &FakeHost, comm: &str, start: u64, cmdline: &[u8]) {
        let zeros = "0 ".repeat(17);
        host.write("proc/7/stat", format!("7 ({comm}) S 1 {zeros}{start} 0 0\n"));
        host.write("proc/7/cmdline", cmdline);
    }

    fn cache(host: &FakeHost) -> MetaCache {
        MetaCache::new(&host.path("proc"), Registry::default())
    }

    fn cmdline_of(arguments: &[u8]) -> String {
        let host = FakeHost::new();
        put(&host, "x", KEY.start_ticks, arguments);
        cache(&host).process(KEY).expect("alive").cmdline.to_string()
    }

    #[test]
    fn a_process_has_name_command_line_and_start_in_ticks() {
        let host = FakeHost::new();
        put(&host, "a) b", KEY.start_ticks, b"/bin/a\0-b\0");
        let labels = cache(&host).process(KEY).expect("alive");
        assert_eq!(labels.comm, "a) b");
        assert_eq!(labels.cmdline, "/bin/a -b");
        assert_eq!(labels.start_time, "345");
    }

    #[test]
    fn labels_are_kept_for_a_while_and_then_read_again() {
        let host = FakeHost::new();
        put(&host, "before", KEY.start_ticks, b"x\0");
        let (cache, start) = (cache(&host), Instant::now());
        let first = cache.process_at(KEY, start).expect("alive");
        put(&host, "after", KEY.start_ticks, b"x\0");
        let soon = start + FRESH - Duration::from_millis(1);
        assert!(Arc::ptr_eq(&first, &cache.process_at(KEY, soon).expect("kept")));
        let second = cache.process_at(KEY, start + FRESH).expect("alive");
        assert_eq!(second.comm, "after");
        let third = cache.process_at(KEY, start + 2 * FRESH).expect("alive");
        assert!(Arc::ptr_eq(&second, &third), "unchanged labels are the same ones");
    }

    #[test]
    fn an_ended_process_keeps_its_labels_and_an_unknown_one_has_none() {
        let host = FakeHost::new();
        put(&host, "first", KEY.start_ticks, b"x\0");
        let (cache, start) = (cache(&host), Instant::now());
        cache.process_at(KEY, start).expect("alive");
        put(&host, "second", 99_999, b"y\0");
        assert_eq!(cache.process_at(KEY, start + FRESH).expect("kept").comm, "first");
        let second = ProcKey { start_ticks: 99_999, ..KEY };
        assert_eq!(cache.process_at(second, start).expect("alive").comm, "second");
        assert_eq!(cache.process_at(ProcKey { tgid: 8, start_ticks: 1 }, start), None);
        std::fs::remove_dir_all(host.path("proc/7")).expect("ends");
        assert_eq!(cache.process_at(KEY, start + 4 * FRESH).expect("kept").comm, "first");
    }

    #[test]
    fn a_process_has_the_place_that_its_cgroup_names_and_is_followed_when_it_is_moved() {
        let host = FakeHost::new();
        put(&host, "x", KEY.start_ticks, b"x\0");
        let (cache, start) = (cache(&host), Instant::now());
        let short =
            |labels: &ProcessLabels| labels.place.iter().map(|id| id.short().to_owned()).collect::<Vec<_>>();
        let first = cache.process_at(KEY, start).expect("alive");
        assert!(first.place.is_empty());
        let id = "0123456789abcdef".repeat(4);
        host.write("proc/7/cgroup", format!("1:name=systemd:/docker/{id}\n"));
        // Nobody has seen a container on this host yet, so its processes need no second look.
        assert!(cache.process_at(KEY, start + FRESH).expect("alive").place.is_empty());
        host.write("proc/8/cgroup", format!("1:name=systemd:/docker/{}\n", "f".repeat(64)));
        Reader::new(&host.path("proc")).place(8, &cache.registry).expect("read");
        let moved = cache.process_at(KEY, start + 2 * FRESH).expect("alive");
        assert_eq!(short(&moved), ["0123456789ab"]);
        std::fs::remove_dir_all(host.path("proc/7")).expect("ends");
        let ended = cache.process_at(KEY, start + 3 * FRESH).expect("kept");
        assert!(Arc::ptr_eq(&ended, &moved));
    }

    #[test]
    fn a_process_that_has_just_started_is_looked_at_again_at_the_next_use() {
        let host = FakeHost::new();
        let uptime = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).expect("positive");
        let key = ProcKey { start_ticks: uptime * rustix::param::clock_ticks_per_second(), ..KEY };
        put(&host, "runc:[2:INIT]", key.start_ticks, b"");
        let (cache, start) = (cache(&host), Instant::now());
        assert!(cache.process_at(key, start).expect("alive").place.is_empty());
        put(&host, "redis", key.start_ticks, b"");
        host.write("proc/7/cgroup", format!("0::/docker/{}\n", "a".repeat(64)));
        let next = cache.process_at(key, start).expect("alive");
        assert_eq!((next.comm.as_str(), next.place.len()), ("redis", 1));
    }

    #[test]
    fn of_a_java_process_the_main_class_is_told_however_long_the_class_path_is() {
        assert_eq!(cmdline_of(b"/jdk/bin/java\0-Xmx1g\0-cp\0a.jar\0org.Main\0x\0"), "org.Main");
        let long = [b"java\0-cp\0", "a.jar:".repeat(20_000).as_bytes(), b"\0kafka.Kafka\0"].concat();
        assert_eq!(cmdline_of(&long), "kafka.Kafka");
        assert_eq!(cmdline_of(b"java\0-version\0"), "java -version");
    }

    #[test]
    fn a_command_line_is_cut_between_characters_and_made_valid() {
        let long = "é".repeat(3000);
        let cut = cmdline_of(long.as_bytes());
        assert_eq!((cut.len(), cut.chars().all(|c| c == 'é')), (MAX_LABEL, true));
        let odd = cmdline_of(format!("x{long}").as_bytes());
        assert_eq!(odd.len(), MAX_LABEL - 1);
        assert!(cmdline_of(&[0xff; 4096]).len() <= MAX_LABEL);
        assert_eq!(cmdline_of(b""), "");
    }
}
