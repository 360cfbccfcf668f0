//! What it costs to know which processes are in scope. In one run, over a thousand sleeping processes of this
//! machine: a look at every process by name, the same look when the containers of each are needed too, and the
//! labels of rows about processes; with the process tracker, a change of the scope down to the kernel's map, and the
//! time from an exec until the process is in that map.
//!
//! `cargo bench -p gopherd --bench scope`
#![allow(missing_docs)] // criterion's macros make undocumented items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gopherd::containers::Registry;
use gopherd::feature::{Mode, ProcName, Selection, Selectors};
use gopherd::meta::MetaCache;
use gopherd::pipeline::{PodLabels, SubjectLabels};
use gopherd::scope::{ScopeEngine, TrackerState, kernel_tracker, no_tracker};
use gopherd::store::Labels;
use probe_core::{Env, ProcKey, Resolved, Row, Scope, Subject};
use probe_kit::bpf::ScopeMaps;
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::HashSet;
use std::hint::black_box;
use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const PROCESSES: usize = 1000;

probe_core::table! {
    /// Something of processes.
    struct Plain = "plain", entity "plain", sub_probe "" {
        keys { tgid }
        labels { }
        gauge value: Count = "H.";
    }
}

/// Children of a shell: those of the one that looks are never matched by name.
#[allow(clippy::disallowed_methods)] // processes to look at, no measurement
fn sleepers() -> Child {
    let script = format!("i=0; while [ $i -lt {PROCESSES} ]; do sleep 600 & i=$((i+1)); done; echo; wait");
    let mut shell = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("a shell runs");
    let mut line = [0];
    shell.stdout.as_mut().expect("piped").read_exact(&mut line).expect("they are started");
    shell
}

fn by_name() -> Selection {
    named("^sleep$")
}

fn named(comm: &str) -> Selection {
    let comm = Some(Regex::new(comm).expect("valid"));
    let proc_name = vec![ProcName { comm, cmdline: None, label: None }];
    Selection { mode: Mode::Include, selectors: Selectors { proc_name, ..Selectors::default() } }
}

/// The same processes, and a container that nobody is in.
fn by_name_and_container() -> Selection {
    let mut selection = by_name();
    selection.selectors.container_name = vec!["nosuch".to_owned()];
    selection
}

fn keys(scope: &Scope) -> Vec<ProcKey> {
    match scope {
        Scope::Only(keys) => keys.iter().copied().collect(),
        _ => Vec::new(),
    }
}

fn scope(c: &mut Criterion) {
    let mut shell = sleepers();
    let proc = Path::new("/proc");
    let registry = Registry::default();
    let never = Duration::from_secs(86_400);
    let engine = ScopeEngine::start(proc, registry.clone(), never, no_tracker(), Box::new(|_, _| {}))
        .expect("it starts");
    let mut group = c.benchmark_group("scope of a thousand processes");
    group.throughput(Throughput::Elements(PROCESSES as u64));
    for (name, selection) in [("by name", by_name()), ("by name and container", by_name_and_container())] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let resolved = engine.set("f", &selection, false);
                assert!(keys(&resolved.scope).len() >= PROCESSES);
                engine.remove("f");
            });
        });
    }
    group.finish();

    let keys = keys(&engine.set("f", &by_name(), false).scope);
    let meta = MetaCache::new(proc, registry.clone());
    let labels = SubjectLabels::new(meta, engine.clone(), registry, PodLabels::default());
    let mut group = c.benchmark_group("labels of a thousand rows");
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function("known already", |b| {
        b.iter(|| {
            for key in &keys {
                black_box(labels.fragment("f", Plain::TABLE, Subject::Process(*key)));
            }
        });
    });
    group.finish();
    engine.shutdown();
    let group = i32::try_from(shell.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process_group(group, Signal::KILL).expect("the group of this benchmark");
    let _ = shell.wait();
}

/// As root, on a kernel that has what the tracker needs.
fn tracked(c: &mut Criterion) {
    let mut shell = sleepers();
    let maps = ScopeMaps::shared().expect("maps: run as root");
    let mut slot = maps.slot("test").expect("a place");
    let (told, heard) = channel();
    // As a probe does it, without the way through the manager.
    let follows = Mutex::new(maps.slot("test").expect("a place"));
    let on_change = Box::new(move |_: &'static str, resolved: Resolved| {
        follows.lock().expect("one thread").apply(&resolved.scope).expect("applied");
        drop(told.send((Instant::now(), resolved.scope)));
    });
    let engine = ScopeEngine::start(
        Path::new("/proc"),
        Registry::default(),
        Duration::from_secs(2),
        kernel_tracker(&Env::default()),
        on_change,
    )
    .expect("it starts");
    engine.set("exec", &named("^bench-exec$"), false);
    while !matches!(engine.tracker(), TrackerState::Attached(_)) {
        std::thread::yield_now();
    }

    let mut group = c.benchmark_group("scope of a thousand processes, tracked");
    let (all, none) = (by_name(), named("^nosuch$"));
    let mut wide = false;
    group.bench_function("change until it is in the kernel", |b| {
        b.iter(|| {
            wide = !wide;
            let resolved = engine.set("f", if wide { &all } else { &none }, false);
            slot.apply(&resolved.scope).expect("applied")
        });
    });
    group.finish();
    engine.remove("f");

    let dir = tempfile::tempdir().expect("a folder");
    let program = dir.path().join("bench-exec");
    std::os::unix::fs::symlink("/bin/bash", &program).expect("a link");
    // A child of a shell, because those of this process are never matched by name. It says a word with the first
    // thing that it does, and ends when it is told to.
    #[allow(clippy::disallowed_methods)] // what is measured
    let mut starter = Command::new("sh")
        .args(["-c", "while read go; do \"$0\" -c 'echo; read stay'; done"])
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell runs");
    let (mut times, mut known) = (Vec::new(), HashSet::new());
    let mut group = c.benchmark_group("tracker");
    group.bench_function("a program is started until it is in the kernel's scope", |b| {
        b.iter_custom(|rounds| {
            let mut sum = Duration::ZERO;
            for _ in 0..rounds {
                while heard.try_recv().is_ok() {}
                let stdin = starter.stdin.as_mut().expect("piped");
                let begun = Instant::now();
                stdin.write_all(b"go\n").expect("told");
                starter.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("its first act");
                let acted = Instant::now();
                // Those of earlier rounds stay for a while after their end.
                let entered =
                    heard.iter().find(|(_, scope)| keys(scope).iter().any(|key| known.insert(*key)));
                let (entered, _) = entered.expect("told");
                times.push(entered.saturating_duration_since(acted));
                sum += entered - begun;
                stdin.write_all(b"end\n").expect("told");
            }
            sum
        });
    });
    group.finish();
    drop(starter.stdin.take());
    let _ = starter.wait();
    times.sort_unstable();
    let of = |share: usize| times[(times.len() - 1) * share / 1000];
    eprintln!(
        "tracker: in the kernel's scope so long after the program's first act (0: before it), {} times: p50 {:?}, \
         p99 {:?}, most {:?}",
        times.len(),
        of(500),
        of(990),
        of(1000)
    );
    engine.shutdown();
    let group = i32::try_from(shell.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process_group(group, Signal::KILL).expect("the group of this benchmark");
    let _ = shell.wait();
}

criterion_group!(benches, scope, tracked);
criterion_main!(benches);
