//! The programs against this kernel, as root: an OOM kill in a cgroup of a few megabytes, tasks that wait at a
//! cgroup's limit, and what each kernel has of it.

use super::super::stage::{Group, PATIENCE, staging};
use super::bpf::trouble_event;
use super::*;
use probe_core::{Occurrence, Subject, Value};
use probe_kit::testing::{SeenRow, as_in_the_daemon, order, seen};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A cgroup of the memory controller with a limit.
fn small(name: &str, bytes: u64) -> Group {
    let group = Group::new("memory", name);
    let (limit, swap, swap_bytes) = if group.unified {
        ("memory.max", "memory.swap.max", 0)
    } else {
        ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes)
    };
    assert!(group.set(limit, &bytes.to_string()), "a limit");
    // Absent without swap accounting: then there is no swap either, on these machines.
    group.set(swap, &swap_bytes.to_string());
    group
}

/// Runs `body` with the programs of `sub_probe` attached.
fn observing(
    sub_probe: &'static str,
    body: impl FnOnce(&mut Trouble<'_>, &mut Ring<'_, trouble_event>) + Send,
) {
    as_in_the_daemon(|| {
        let mut storage = Storage::new();
        let mut trouble = Trouble::load(&Env::default(), &mut storage).expect("loads (as root)");
        let events = trouble.events().expect("a ring");
        let mut ring = Ring::new(&events).expect("a ring");
        let outcome = trouble.apply(&order(&[sub_probe]).sub_probes);
        let lines = trouble.verdicts();
        lines.iter().for_each(|line| eprintln!("VERDICT trouble/{line}"));
        assert!(!outcome.none_runs(), "{:?}", outcome.missing());
        body(&mut trouble, &mut ring);
    });
}

/// Takes in until `done` finds what it waits for.
fn until<T>(
    trouble: &mut Trouble<'_>,
    ring: &mut Ring<'_, trouble_event>,
    done: impl Fn(&[SeenRow], &[Occurrence]) -> Option<T>,
) -> T {
    let begun = Instant::now();
    let mut told = Vec::new();
    loop {
        let mut out = Batch::new(SystemTime::now());
        trouble.drain(ring, &mut out);
        trouble.read(&mut out);
        told.extend_from_slice(out.occurrences());
        let rows = seen(&out);
        if let Some(found) = done(&rows, &told) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come: {rows:#?} {told:#?}");
        std::thread::yield_now();
    }
}

fn arg<'o>(told: &'o Occurrence, name: &str) -> &'o str {
    told.args.iter().find(|(at, _)| *at == name).map(|(_, value)| value.as_str()).expect("an argument")
}

#[test]
fn root_an_oom_kill_names_the_victim_who_wanted_memory_and_both_cgroups() {
    observing(OOM, |trouble, ring| {
        let small = small("oom", 16 << 20);
        // A shell variable that doubles until it does not fit: the victim is the one that wants memory.
        let before = SystemTime::now();
        let mut child = small.run("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
        let pid = child.id();
        child.wait().expect("killed");
        let (told, count) = until(trouble, ring, |rows, told| {
            let told = told.iter().find(|told| told.labels == [small.path.as_str()])?.clone();
            let row = rows.iter().find(|row| row.label("cgroup") == Some(&small.path))?;
            Some((told, row.get("kill_count")))
        });
        assert_eq!(count, Some(1.0));
        let Subject::Process(victim) = told.subject else { panic!("{told:?}") };
        assert_eq!(victim.tgid, pid);
        assert_eq!(
            (arg(&told, "victim_pid"), arg(&told, "trigger_pid")),
            (&*pid.to_string(), &*pid.to_string())
        );
        assert_eq!((arg(&told, "victim_comm"), arg(&told, "trigger_comm")), ("sh", "sh"));
        assert_eq!(arg(&told, "trigger_cgroup"), small.path);
        assert_eq!(arg(&told, "cgroup_limit"), "16384");
        let number = |name| arg(&told, name).parse::<u64>().expect("a number");
        assert!(number("cgroup_usage") > 8192 && number("cgroup_usage") <= 16384, "{told:?}");
        assert!(number("victim_anon") > 4096, "it held most of it: {told:?}");
        assert!(number("available") > 0, "{told:?}");
        assert!(told.at >= before - Duration::from_millis(100) && told.at <= SystemTime::now(), "{told:?}");
    });
}

#[test]
fn root_a_victim_that_does_nothing_is_told_beside_the_one_that_wants_memory() {
    observing(OOM, |trouble, ring| {
        let small = small("two", 24 << 20);
        let ready = small.dir.join("cgroup.procs");
        // Holds a few megabytes and is the first to go; the other one wants more and is spared at first. It stops itself,
        // since whatever it did next might be what wants memory.
        let mut sleeper = small.run(
            "echo 1000 >/proc/self/oom_score_adj; x=aaaaaaaaaaaaaaaa; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; \
             do x=$x$x; done; kill -STOP $$",
        );
        let usage = || {
            let text = ["memory.usage_in_bytes", "memory.current"]
                .map(|name| fs::read_to_string(small.dir.join(name)));
            text.into_iter().flatten().next().and_then(|text| text.trim().parse::<u64>().ok()).expect("usage")
        };
        let begun = Instant::now();
        while usage() < 4 << 20 {
            assert!(begun.elapsed() < PATIENCE, "{} {:?}", usage(), fs::read_to_string(&ready));
            std::thread::yield_now();
        }
        let mut wanting = small.run("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
        let told = until(trouble, ring, |_, told| {
            told.iter().find(|told| told.labels == [small.path.as_str()]).cloned()
        });
        wanting.wait().expect("killed in the end");
        sleeper.wait().expect("killed");
        let Subject::Process(victim) = told.subject else { panic!("{told:?}") };
        assert_eq!(victim.tgid, sleeper.id(), "{told:?}");
        assert_eq!(arg(&told, "victim_adj"), "1000");
        assert_eq!(arg(&told, "trigger_pid"), wanting.id().to_string(), "{told:?}");
    });
}

#[test]
fn root_waiting_at_the_limit_of_a_cgroup_is_counted_for_that_cgroup() {
    observing(RECLAIM, |trouble, ring| {
        let small = small("reclaim", 8 << 20);
        // Before the kernel kills anything it tries to free what there is.
        let mut child = small.run("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
        child.wait().expect("killed");
        let waits = until(trouble, ring, |rows, _| {
            let row = rows.iter().find(|row| row.label("cgroup") == Some(&small.path))?;
            row.values.iter().find_map(|(name, value)| match value {
                Value::Histogram(hist) if *name == "memcg_latency_ns" => Some((hist.count(), hist.sum())),
                _ => None,
            })
        });
        assert!(waits.0 > 0 && waits.1 > 0.0, "{waits:?}");
    });
}

/// A file system in a file, frozen: who writes to it waits and no signal wakes it.
struct Frozen {
    dir: tempfile::TempDir,
    timeout: String,
}

/// After how many seconds the kernel calls a task hung.
const TIMEOUT: &str = "/proc/sys/kernel/hung_task_timeout_secs";

#[allow(clippy::disallowed_methods)] // to set the stage
fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Frozen {
    /// `None` where the kernel has no loop devices or no ext4, or nobody can make one (in the small machines of other kernels).
    fn new() -> Option<Self> {
        staging(Self::make)
    }

    fn make() -> Option<Self> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.lines().any(|line| line.trim() == "ext4") || !Path::new("/dev/loop-control").exists() {
            return None;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let _maker = std::env::split_paths(&path).find(|dir| dir.join("mkfs.ext4").exists())?;
        let timeout = fs::read_to_string(TIMEOUT).ok()?;
        let dir = tempfile::tempdir().expect("a folder");
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        fs::File::create(&image).and_then(|file| file.set_len(8 << 20)).expect("a file");
        fs::create_dir(&at).expect("a folder");
        let (image, at) = (image.to_str().expect("ASCII"), at.to_str().expect("ASCII"));
        assert!(
            run("mkfs.ext4", &["-q", image]) && run("mount", &["-o", "loop", image, at]),
            "mounted (as root)"
        );
        assert!(run("fsfreeze", &["-f", at]), "frozen");
        fs::write(TIMEOUT, "1").expect("a shorter patience");
        Some(Self { timeout, dir })
    }

    fn at(&self) -> PathBuf {
        self.dir.path().join("at")
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = staging(|| fs::write(TIMEOUT, &self.timeout));
        let at = self.at();
        let at = at.to_str().unwrap_or_default();
        let _ = run("fsfreeze", &["-u", at]);
        let _ = run("umount", &["-l", at]);
    }
}

#[test]
fn root_a_task_that_hangs_is_told_with_its_process_and_its_cgroup() {
    observing(HUNG_TASK, |trouble, ring| {
        let Some(frozen) = Frozen::new() else {
            // No way to make a task hang here; that nothing is made up can be seen.
            let mut out = Batch::new(SystemTime::now());
            trouble.drain(ring, &mut out);
            trouble.read(&mut out);
            assert_eq!((out.skipped(), out.occurrences().len()), (&[][..], 0));
            return;
        };
        let small = small("hang", 64 << 20);
        let mut child = small.run(&format!("echo x >{}/file", frozen.at().display()));
        let (told, count) = until(trouble, ring, |rows, told| {
            let told = told.iter().find(|told| told.labels == [small.path.as_str()])?.clone();
            let row = rows.iter().find(|row| row.label("cgroup") == Some(&small.path))?;
            Some((told, row.get("count")))
        });
        drop(frozen);
        child.wait().expect("it goes on");
        assert!(count >= Some(1.0));
        let Subject::Process(process) = told.subject else { panic!("{told:?}") };
        assert_eq!((process.tgid, arg(&told, "comm")), (child.id(), "sh"));
        assert_eq!(arg(&told, "thread"), child.id().to_string());
    });
}
