//! The programs against this kernel, as root: waits of tasks that share one CPU against what the kernel itself says
//! of them, and more cgroups than there is room for.

use super::super::stage::{Group, PATIENCE};
use super::*;
use bpf::RUNQUEUE_CGROUPS;
use probe_core::Value;
use probe_kit::testing::{SeenRow, as_in_the_daemon, order, seen};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::{Instant, SystemTime};

/// Runs `body` with the programs attached.
fn observing(body: impl FnOnce(&mut RunQueue<'_>) + Send) {
    as_in_the_daemon(|| {
        let mut storage = Storage::new();
        let mut run_queue = RunQueue::load(&mut storage).expect("loads (as root)");
        let outcome = run_queue.apply(&order(&[NAME]).sub_probes);
        run_queue.verdicts().iter().for_each(|line| eprintln!("VERDICT runqueue/{line}"));
        assert!(outcome.missing().is_empty(), "{:?}", outcome.missing());
        body(&mut run_queue);
    });
}

/// How often tasks waited and ran then, and how long they waited together, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Waited {
    runs: f64,
    ns: f64,
}

impl Waited {
    fn since(self, before: Self) -> Self {
        Self { runs: self.runs - before.runs, ns: self.ns - before.ns }
    }
}

/// What the programs counted, and how many they lost, which is told with the reasons.
fn read(run_queue: &mut RunQueue<'_>) -> (Vec<SeenRow>, u64) {
    let mut out = Batch::new(SystemTime::now());
    run_queue.read(&mut out);
    if !out.skipped().is_empty() {
        eprintln!("lost: {:?}", out.skipped());
    }
    (seen(&out), out.skipped().iter().map(|(_, count)| count).sum())
}

/// The counts alone, also while they are not wanted.
fn kept(run_queue: &mut RunQueue<'_>) -> Vec<SeenRow> {
    let mut out = Batch::new(SystemTime::now());
    let maps = &run_queue.object.skel().maps;
    run_queue.waits.read(&maps.waits, &maps.cgroups, &mut out).expect("read");
    seen(&out)
}

/// Of one cgroup.
fn counted(rows: &[SeenRow], path: &str) -> Waited {
    let row = rows.iter().find(|row| row.label("cgroup") == Some(path));
    let hist = row.and_then(|row| {
        row.values.iter().find_map(|(_, value)| match value {
            Value::Histogram(hist) => Some((hist.count(), hist.sum())),
            _ => None,
        })
    });
    #[allow(clippy::cast_precision_loss)] // a count
    hist.map_or(Waited::default(), |(runs, ns)| Waited { runs: runs as f64, ns })
}

/// What the kernel says of one task: fields 2 and 3 of /proc/PID/schedstat.
fn witnessed(pid: u32) -> Waited {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("it lives, and the kernel tells");
    let fields: Vec<f64> = text.split_whitespace().map(|field| field.parse().expect("a number")).collect();
    Waited { runs: fields[2], ns: fields[1] }
}

fn all_witnessed(pids: &[u32]) -> Waited {
    let all = pids.iter().map(|pid| witnessed(*pid));
    all.fold(Waited::default(), |sum, one| Waited { runs: sum.runs + one.runs, ns: sum.ns + one.ns })
}

/// Waits until the process does nothing, in this state.
fn until_state(pid: u32, state: &str) {
    let begun = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(state)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{stat}");
        std::thread::yield_now();
    }
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).expect("a pid");
        // One that has ended meanwhile is as good.
        let _ = kill_process(pid, signal);
    }
}

/// Tasks in a cgroup of their own, on one CPU.
struct Crowd {
    group: Group,
    shell: Child,
    /// What the kernel said of the shell before it began; the others began with nothing.
    shell_before: Waited,
    /// What the programs had counted then.
    counted_before: Waited,
}

impl Crowd {
    fn begin(name: &str, script: &str, run_queue: &mut RunQueue<'_>) -> Self {
        let group = Group::new("cpu", name);
        let waiting = group.wait_with(script);
        let pid = waiting.pid();
        let here = sched_getaffinity(None).expect("asked");
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|cpu| here.is_set(*cpu)).expect("a CPU"));
        sched_setaffinity(Pid::from_raw(pid.cast_signed()), &one).expect("pinned");
        until_state(pid, "S");
        let (shell_before, counted_before) = (witnessed(pid), counted(&read(run_queue).0, &group.path));
        Self { shell: waiting.go(), group, shell_before, counted_before }
    }

    fn witnessed(&self) -> Waited {
        all_witnessed(&self.group.processes()).since(self.shell_before)
    }

    /// Waits until the kernel says `enough` of them.
    fn until(&self, enough: impl Fn(Waited) -> bool) {
        let begun = Instant::now();
        while !enough(self.witnessed()) {
            assert!(begun.elapsed() < PATIENCE, "they do not wait: {:?}", self.witnessed());
            std::thread::yield_now();
        }
    }

    /// What the programs and the kernel say in the end, and how many are lost.
    fn end(mut self, run_queue: &mut RunQueue<'_>) -> (Waited, Waited, u64) {
        let pids = self.group.processes();
        signal(&pids, Signal::STOP);
        pids.iter().for_each(|pid| until_state(*pid, "T"));
        let kernel = self.witnessed();
        let (rows, lost) = read(run_queue);
        signal(&pids, Signal::KILL);
        self.shell.wait().expect("killed");
        (counted(&rows, &self.group.path).since(self.counted_before), kernel, lost)
    }
}

const PAIR: &str = "(while :; do :; done) & while :; do :; done";

/// Runs `script` until the kernel says `enough` of its tasks, and compares.
fn compare(name: &'static str, script: &'static str, enough: fn(Waited) -> bool) {
    observing(|run_queue| {
        let crowd = Crowd::begin(name, script, run_queue);
        crowd.until(enough);
        let (ours, kernel, lost) = crowd.end(run_queue);
        eprintln!("{name}: {ours:?}, the kernel says {kernel:?}, {lost} lost");
        #[allow(clippy::cast_precision_loss)] // a count
        let lost = lost as f64;
        assert!(ours.runs <= kernel.runs && ours.runs + lost >= kernel.runs, "{ours:?} {kernel:?} {lost}");
        // Two clocks, read at different places of the scheduler: a microsecond a wait, emulated some more.
        let apart = (ours.ns - kernel.ns).abs();
        assert!(apart <= 0.05 * kernel.ns + 2e6, "{ours:?} {kernel:?}");
    });
}

#[test]
fn root_what_a_pair_on_one_cpu_waited_is_what_the_kernel_says() {
    compare("pair", PAIR, |waited| waited.ns >= 500e6);
}

#[test]
fn root_each_wake_up_of_a_pipe_on_one_cpu_is_counted_as_often_as_the_kernel_does() {
    compare("pipe", "yes | cat >/dev/null", |waited| waited.runs >= 1000.0);
}

#[test]
fn root_a_wait_that_began_before_the_programs_were_attached_again_is_not_counted() {
    observing(|run_queue| {
        let crowd = Crowd::begin("again", PAIR, run_queue);
        crowd.until(|waited| waited.ns >= 50e6);
        // One of the two waits now, and again when the programs come back.
        run_queue.apply(&order(&[]).sub_probes);
        let detached = counted(&kept(run_queue), &crowd.group.path).since(crowd.counted_before);
        assert!(read(run_queue).0.is_empty(), "it is not wanted");
        crowd.until(|waited| waited.ns >= 1050e6);
        let missed = crowd.witnessed();
        run_queue.apply(&order(&[NAME]).sub_probes);
        crowd.until(|waited| waited.ns >= missed.ns + 200e6);
        let (ours, kernel, _) = crowd.end(run_queue);
        let (ours, kernel) = (ours.since(detached), kernel.since(missed));
        // Of a wait that goes on when the programs come back, the kernel counts all of it and they nothing.
        assert!(ours.runs > 0.0 && ours.ns <= 1.05 * kernel.ns + 2e6, "{ours:?} {kernel:?}");
    });
}

#[allow(clippy::disallowed_methods)] // a load needs a process
#[test]
fn root_cgroups_for_which_there_is_no_room_are_lost_and_counted() {
    observing(|run_queue| {
        // It answers each line: it sleeps, is woken and runs.
        let mut shell = std::process::Command::new("/bin/sh")
            .args(["-c", "while read x; do echo $x; done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut to = shell.stdin.take().expect("a pipe");
        let mut from = BufReader::new(shell.stdout.take().expect("a pipe")).lines();
        let mut previous = None;
        // More than enough: where it was told the next line before it slept, it did not wait.
        for number in 0..RUNQUEUE_CGROUPS + 256 {
            let group = Group::new("cpu", &format!("many-{number}"));
            assert!(group.set("cgroup.procs", &shell.id().to_string()), "moved");
            to.write_all(b"x\n").expect("told");
            assert_eq!(from.next().expect("an answer").expect("a line"), "x");
            // The next one is made before this one is left.
            drop(previous.replace(group));
        }
        let mut out = Batch::new(SystemTime::now());
        run_queue.read(&mut out);
        assert_eq!(seen(&out).len(), RUNQUEUE_CGROUPS as usize);
        assert!(
            out.skipped().iter().any(|(reason, _)| *reason == "runqueue_map_full"),
            "{:?}",
            out.skipped()
        );
        drop(to);
        shell.wait().expect("it ends");
    });
}
