//! The process tracker against this kernel, as root: what it tells of processes that these tests start, beside
//! what the kernel counts itself. Other programs of the machine go on meanwhile and are told of too.

use probe_core::{Env, ProcKey};
use probe_kit::bpf::ScopeMaps;
use probe_kit::kernel::Kernel;
use probe_kit::tracker::{self, Change, Event, Lost, Tracker};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What is told of each process.
type Told = BTreeMap<u32, Vec<Event>>;

/// One test at a time: each hears what the others do, and one of them fills its ring.
static TURN: Mutex<()> = Mutex::new(());

/// Attaches the tracker for `body`.
fn tracked<R>(body: impl FnOnce(&mut Tracker<'_, '_>) -> R) -> R {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let maps = ScopeMaps::new().expect("maps");
    let kernel = Kernel::new(Env::default(), None);
    assert_eq!(tracker::missing(&kernel), Vec::<String>::new());
    tracker::track(&kernel, &maps, |tracker| {
        assert_eq!(tracker.lacks(), Vec::<String>::new());
        body(tracker)
    })
    .expect("the tracker is attached")
}

/// Takes events until `done`, waiting for each; what is not urgent is looked for as well.
fn hear(tracker: &mut Tracker<'_, '_>, told: &mut Told, mut done: impl FnMut(&Told) -> bool) {
    loop {
        tracker.drain(|event| told.entry(event.process.tgid).or_default().push(event)).expect("drained");
        if done(told) {
            return;
        }
        let mut fds = [PollFd::from_borrowed_fd(tracker.fd(), PollFlags::IN)];
        let patience = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        poll(&mut fds, Some(&patience)).expect("polled");
    }
}

fn has(told: &Told, pid: u32, change: impl Fn(&Change) -> bool) -> bool {
    told.get(&pid).is_some_and(|events| events.iter().any(|event| change(&event.change)))
}

fn ended(told: &Told, pid: u32) -> bool {
    has(told, pid, |change| *change == Change::Exit)
}

/// As words: `fork a`, `exec b`, `comm c`, `cgroup`, `exit`.
fn words(told: &Told, pid: u32) -> Vec<String> {
    let word = |event: &Event| match &event.change {
        Change::Fork { comm, .. } => format!("fork {comm}"),
        Change::Exec { comm, .. } => format!("exec {comm}"),
        Change::Comm(comm) => format!("comm {comm}"),
        Change::Cgroup => "cgroup".to_owned(),
        Change::Exit => "exit".to_owned(),
    };
    told.get(&pid).map(|events| events.iter().map(word).collect()).unwrap_or_default()
}

#[allow(clippy::disallowed_methods)] // processes are what this is about
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A shell that does `script`, tells a line, and ends when it is let go.
fn shell(script: &str) -> Child {
    let script = format!("{script}; echo; read wait");
    let mut child = command("/bin/sh").args(["-c", &script]).spawn().expect("a shell");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it tells");
    child
}

fn let_go(mut child: Child) {
    drop(child.stdin.take());
    child.wait().expect("ended");
}

/// The name of this thread, which its children have until they execute.
fn own_comm() -> String {
    std::fs::read_to_string("/proc/thread-self/comm").expect("a name").trim_end_matches('\n').to_owned()
}

/// A line of `/proc/<pid>/stat` behind the name: fields from 3 on.
fn stat(pid: u32) -> Vec<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = text.rsplit_once(')').expect("a name").1.to_owned();
    after.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
}

/// "processes" of /proc/stat.
fn all_forks() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").expect("read");
    let line = text.lines().find_map(|line| line.strip_prefix("processes "));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn root_an_exec_is_told_with_what_proc_says_of_the_process() {
    tracked(|tracker| {
        let mut told = Told::new();
        let child = shell("true");
        let pid = child.id();
        hear(tracker, &mut told, |told| has(told, pid, |change| matches!(change, Change::Exec { .. })));
        let fields = stat(pid);
        let field = |number: usize| fields[number - 3];
        let exec = &told[&pid][1];
        assert_eq!(exec.process, ProcKey { tgid: pid, start_ticks: field(22) });
        let expected = Change::Exec {
            comm: "sh".into(),
            ppid: std::process::id(),
            image: [field(26), field(28), field(48)],
        };
        assert_eq!(exec.change, expected);
        let Change::Fork { ppid, forker, moved, .. } = &told[&pid][0].change else {
            panic!("not a fork: {told:?}")
        };
        assert_eq!((*ppid, *forker, *moved), (std::process::id(), std::process::id(), false));
        let_go(child);
        hear(tracker, &mut told, |told| ended(told, pid));
        assert_eq!(words(&told, pid), [format!("fork {}", own_comm()), "exec sh".into(), "exit".into()]);
        for verdict in tracker.verdicts() {
            // Read by the kernel matrix.
            eprintln!("VERDICT tracker/{verdict}");
        }
    });
}

#[test]
fn root_a_new_name_is_told_whatever_it_consists_of() {
    tracked(|tracker| {
        let mut told = Told::new();
        let child = shell(
            "printf 'a) S 1 (b' > /proc/$$/comm; printf '\\377\"\\\\' > /proc/$$/comm; \
             printf 'longer than it may be' > /proc/$$/comm",
        );
        let pid = child.id();
        let_go(child);
        hear(tracker, &mut told, |told| ended(told, pid));
        let names: Vec<_> = words(&told, pid).into_iter().filter(|word| word.starts_with("comm")).collect();
        assert_eq!(names, ["comm a) S 1 (b", "comm \u{fffd}\"\\", "comm longer than it "]);
    });
}

/// A folder of the cgroup file system that goes with this.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn make() -> Self {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/pids"];
        let root = roots.iter().map(std::path::Path::new).find(|root| root.join("cgroup.procs").exists());
        let folder = root.expect("a hierarchy of cgroups").join(format!("gd-tracker-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a cgroup");
        Self(folder)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn root_a_process_that_is_moved_to_another_cgroup_is_told_once() {
    tracked(|tracker| {
        let mut told = Told::new();
        let cgroup = Cgroup::make();
        let child = shell("true");
        let pid = child.id();
        let mut procs =
            std::fs::File::options().write(true).open(cgroup.0.join("cgroup.procs")).expect("the list");
        procs.write_all(pid.to_string().as_bytes()).expect("moved");
        hear(tracker, &mut told, |told| has(told, pid, |change| *change == Change::Cgroup));
        let_go(child);
        hear(tracker, &mut told, |told| ended(told, pid));
        let moves = words(&told, pid).into_iter().filter(|word| word == "cgroup").count();
        assert_eq!(moves, 1);
    });
}

/// What a child of the next test does: here is a thread that does not lead its process.
#[test]
#[ignore = "run by another test as a process of its own"]
fn executes_from_a_thread() {
    panic!("{}", command("/bin/true").exec());
}

#[test]
fn root_a_thread_is_no_process_and_one_that_executes_takes_the_place_of_its_process() {
    tracked(|tracker| {
        let mut told = Told::new();
        let own = std::env::current_exe().expect("this program");
        let name: String = own.file_name().expect("a name").to_string_lossy().chars().take(15).collect();
        // Two threads for tests, so that none of them is the first.
        let mut child = command(own.to_str().expect("a path"))
            .args(["--ignored", "--exact", "executes_from_a_thread", "--test-threads=2"])
            .spawn()
            .expect("this program");
        let pid = child.id();
        child.wait().expect("ended");
        hear(tracker, &mut told, |told| ended(told, pid));
        let expected =
            [format!("fork {}", own_comm()), format!("exec {name}"), "exec true".into(), "exit".into()];
        assert_eq!(words(&told, pid), expected);
        let starts: Vec<_> = told[&pid].iter().map(|event| event.process.start_ticks).collect();
        assert!(starts.iter().all(|start| *start == starts[0]), "one process: {starts:?}");
        let of_threads = told
            .values()
            .flatten()
            .filter(|event| matches!(&event.change, Change::Fork { forker, .. } if *forker == pid));
        assert_eq!(of_threads.count(), 0);
    });
}

/// Processes of the storm: enough for three rings and more.
const STORM: u32 = 2000;

#[test]
fn root_of_a_storm_of_short_processes_each_is_told_in_order_and_the_kernel_has_counted_as_many() {
    tracked(|tracker| {
        let mut told = Told::new();
        let first = tracker.seen().expect("counts");
        let counted_before = all_forks();
        let before = tracker.seen().expect("counts");
        let storm: Vec<_> = (0..2)
            .map(|_| {
                let run = || {
                    let spawn = |_| {
                        let mut child = command("/bin/true").spawn().expect("a process");
                        child.wait().expect("ended");
                        child.id()
                    };
                    (0..STORM / 2).map(spawn).collect::<Vec<_>>()
                };
                thread::Builder::new().name("storm".into()).spawn(run).expect("a thread")
            })
            .collect();
        hear(tracker, &mut told, |_| storm.iter().all(thread::JoinHandle::is_finished));
        let pids: Vec<u32> = storm.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        let after = tracker.seen().expect("counts");
        let counted = all_forks() - counted_before;
        let last = tracker.seen().expect("counts");
        hear(tracker, &mut told, |_| true);
        let all = tracker.seen().expect("counts");

        // Each, from its fork to its end, as one process.
        let mut runs: HashMap<ProcKey, Vec<String>> = HashMap::new();
        for pid in &pids {
            for (event, word) in told[pid].iter().zip(words(&told, *pid)) {
                runs.entry(event.process).or_default().push(word);
            }
        }
        let whole = runs.values().filter(|words| **words == ["fork storm", "exec true", "exit"]).count();
        assert_eq!(whole, pids.len(), "of {} processes", runs.len());
        // Nothing was lost, and nothing told that was not seen: others' processes included.
        assert_eq!(tracker.lost().expect("counts"), Lost::default());
        let events = told.values().map(Vec::len).sum::<usize>() as u64;
        let sum = |seen: tracker::Seen| seen.forks + seen.execs + seen.exits + seen.names + seen.moves;
        assert!(sum(last) <= events && events <= sum(all), "{events} of {last:?} to {all:?}");
        // The kernel's own count, between two readings of ours.
        let least = after.all_forks - before.all_forks;
        let most = last.all_forks - first.all_forks;
        assert!(least <= counted && counted <= most, "{counted} is not in {least}..={most}");
        assert!(least >= u64::from(STORM), "{least}");
    });
}

#[test]
fn root_a_ring_that_nobody_drains_counts_what_it_loses_and_told_plus_lost_is_all() {
    tracked(|tracker| {
        // Names cost least; a record has 80 bytes, so more than fit.
        let mut child = shell("i=0; while [ $i -lt 14000 ]; do echo $i > /proc/$$/comm; i=$((i+1)); done");
        drop(child.stdin.take());
        child.wait().expect("ended");
        let before = tracker.seen().expect("counts");
        let lost = tracker.lost().expect("counts").ring_full;
        let mut told = Told::new();
        hear(tracker, &mut told, |_| true);
        let after = tracker.seen().expect("counts");
        assert!(lost > 0, "nothing lost of {before:?}");
        let events = told.values().map(Vec::len).sum::<usize>() as u64;
        let sum = |seen: tracker::Seen| seen.forks + seen.execs + seen.exits + seen.names + seen.moves;
        let lost_after = tracker.lost().expect("counts").ring_full;
        assert!(
            sum(before) <= events + lost_after && events + lost <= sum(after),
            "{events} {lost} {before:?}"
        );
    });
}

#[test]
fn root_nothing_is_left_after_ten_trackers() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("descriptors").count();
    tracked(|_| ());
    let before = descriptors();
    (0..10).for_each(|_| tracked(|_| ()));
    // Other tests of this program have some open meanwhile; a tracker has more than fifteen.
    assert!(descriptors() < before + 100, "{} and before {before}", descriptors());
}
