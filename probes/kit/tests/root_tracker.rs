//! The process tracker against this kernel, as root: what it tells of processes that these tests start, beside
//! what the kernel counts itself. Other programs of the machine go on meanwhile and are told of too.

use probe_core::{Env, ProcKey, Scope};
use probe_kit::bpf::{Foresight, Looks, ScopeMaps, ScopeSlot, name};
use probe_kit::kernel::Kernel;
use probe_kit::tracker::{self, Change, Event, Lost, Tracker};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What is told of each process.
type Told = BTreeMap<u32, Vec<Event>>;

/// One test at a time: each hears what the others do, and one of them fills its ring.
static TURN: Mutex<()> = Mutex::new(());

/// Attaches the tracker for `body`.
fn tracked<R>(body: impl FnOnce(&mut Tracker<'_, '_>) -> R) -> R {
    tracked_over(&ScopeMaps::new().expect("maps"), body)
}

/// The same over these maps.
fn tracked_over<R>(maps: &ScopeMaps, body: impl FnOnce(&mut Tracker<'_, '_>) -> R) -> R {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::new(Env::default(), None);
    assert_eq!(tracker::missing(&kernel), Vec::<String>::new());
    tracker::track(&kernel, maps, |tracker| {
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
        // Names cost least; a record has 96 bytes, so more than fit.
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

/// A program with a name of its own that does what its argument says in the words of a shell, in a folder that goes
/// with this. A script, because the shell of some guests goes by the name that it is called by.
struct Named(std::path::PathBuf);

impl Named {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gd-named-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        std::fs::write(&path, "#!/bin/sh\neval \"$1\"\n").expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        Self(path)
    }

    fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().expect("in a folder"));
    }
}

/// A whitelist of no process, with these rules.
fn with_rules(maps: &Arc<ScopeMaps>, names: &[&str], looks: Looks) -> ScopeSlot {
    let names = names.iter().filter_map(|text| name(text)).collect();
    maps.foresee("tcp", Some(Foresight { excludes: false, names, looks })).expect("told");
    let mut slot = maps.slot("tcp").expect("a slot");
    slot.apply(&Scope::Only(Arc::default())).expect("applied");
    slot
}

/// What was concluded with each event: `exec b: listed` or `exec b`.
fn conclusions(told: &Told, pid: u32) -> Vec<String> {
    let listed = |event: &Event| if event.early.is_none() { "" } else { ": listed" };
    let events = told.get(&pid).into_iter().flatten();
    words(told, pid).into_iter().zip(events).map(|(word, event)| format!("{word}{}", listed(event))).collect()
}

/// Runs a shell that does `script`, which prints the pid of each process that is asked about, and waits for their ends.
fn run(tracker: &mut Tracker<'_, '_>, told: &mut Told, script: &str) -> Vec<u32> {
    // This process is the daemon by its pid: what it starts is not concluded about, what that starts is.
    let output = command("/bin/sh").args(["-c", script]).output().expect("a shell");
    let pids: Vec<u32> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line.parse().expect("a pid")).collect();
    assert!(output.status.success() && !pids.is_empty(), "{output:?}");
    hear(tracker, told, |told| pids.iter().all(|pid| ended(told, *pid)));
    pids
}

#[test]
fn root_a_process_is_listed_from_its_exec_on_by_a_name_that_is_known_and_not_by_another() {
    let maps = ScopeMaps::new().expect("maps");
    let [known, other] = ["gd-known", "gd-other"].map(Named::new);
    let slot = with_rules(&maps, &["gd-known"], Looks::Name);
    tracked_over(&maps, |tracker| {
        let mut told = Told::new();
        let (known, other) = (known.path(), other.path());
        let script = format!(
            "{known} 'echo $$; exec {other} :'; {other} 'echo $$; exec {known} :'; \
             {other} 'echo $$; printf gd-known > /proc/$$/comm; printf x > /proc/$$/comm'; :"
        );
        let pids = run(tracker, &mut told, &script);
        let fork = "fork sh".to_owned();
        let all = pids.iter().map(|pid| conclusions(&told, *pid)).collect::<Vec<_>>();
        let told_of = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string);
            std::iter::once(fork.clone()).chain(words).collect::<Vec<_>>()
        };
        let expected = [
            told_of(&["exec gd-known: listed", "exec gd-other", "exit"]),
            told_of(&["exec gd-other", "exec gd-known: listed", "exit"]),
            told_of(&["exec gd-other", "comm gd-known: listed", "comm x", "exit"]),
        ];
        assert_eq!(all, expected);
        let concluded = |pid: u32| maps.concluded(pid).expect("read");
        let left: Vec<_> = pids.iter().map(|pid| concluded(*pid).is_none()).collect();
        assert_eq!(left, [true, false, true], "the last word");
        // Its own children are not meant.
        let child = command(&known.to_string()).args([":"]).spawn().expect("a shell");
        let pid = child.id();
        let_go(child);
        hear(tracker, &mut told, |told| ended(told, pid));
        assert_eq!(conclusions(&told, pid)[1..], ["exec gd-known", "exit"]);
        // Another selection.
        maps.foresee("tcp", Some(Foresight::default())).expect("told");
        let pids = run(tracker, &mut told, &format!("{known} 'echo $$'; :"));
        assert_eq!(conclusions(&told, pids[0])[1..], ["exec gd-known", "exit"]);
    });
    drop(slot);
}

#[test]
fn root_a_child_by_fork_is_listed_with_its_parent_and_stays_so_as_far_as_the_rules_see() {
    for (looks, child, after_exec) in [
        (Looks::Name, ": listed", ""),
        (Looks::Both, ": listed", ""),
        (Looks::Place, ": listed", ": listed"),
        (Looks::Else, "", ""),
    ] {
        let maps = ScopeMaps::new().expect("maps");
        let mut slot = with_rules(&maps, &[], looks);
        tracked_over(&maps, |tracker| {
            let mut told = Told::new();
            let own = "read pid rest < /proc/self/stat; echo $pid";
            let script =
                format!("read go; ( {own}; exec /bin/true ); ( {own}; printf x > /proc/self/comm ); :");
            let mut parent = command("/bin/sh").args(["-c", &script]).spawn().expect("a shell");
            let key = ProcKey { tgid: parent.id(), start_ticks: 0 };
            slot.apply(&Scope::Only(Arc::new([key].into()))).expect("applied");
            writeln!(parent.stdin.as_mut().expect("piped"), "go").expect("told");
            let output = parent.wait_with_output().expect("ended");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let pids: Vec<u32> = text.lines().map(|line| line.parse().expect("a pid")).collect();
            hear(tracker, &mut told, |told| pids.iter().all(|pid| ended(told, *pid)));
            let all: Vec<_> = pids.iter().map(|pid| conclusions(&told, *pid)).collect();
            let words =
                |what: &str| vec![format!("fork sh{child}"), format!("{what}{after_exec}"), "exit".into()];
            assert_eq!(all, [words("exec true"), words("comm x")], "{looks:?}");
        });
    }
}

#[test]
fn root_a_pid_that_is_used_again_has_nothing_of_what_was_concluded_before() {
    let maps = ScopeMaps::new().expect("maps");
    let known = Named::new("gd-reused");
    let _slot = with_rules(&maps, &["gd-reused"], Looks::Name);
    tracked_over(&maps, |tracker| {
        let mut told = Told::new();
        // Others of the machine may take the pid first.
        let again = (0..100).find_map(|_| {
            let known = known.path();
            let pids = run(tracker, &mut told, &format!("{known} 'echo $$'; :"));
            assert!(!maps.concluded(pids[0]).expect("read").is_none());
            std::fs::write("/proc/sys/kernel/ns_last_pid", (pids[0] - 1).to_string()).expect("as root");
            let child = shell("true");
            let (pid, same) = (child.id(), child.id() == pids[0]);
            let_go(child);
            same.then_some(pid)
        });
        let pid = again.expect("the pid again");
        hear(tracker, &mut told, |told| {
            told[&pid].iter().filter(|event| event.change == Change::Exit).count() > 1
        });
        assert!(maps.concluded(pid).expect("read").is_none());
    });
}
