//! What it costs to know which processes are in scope. In one run, over a thousand sleeping processes of this
//! machine: a look at every process by name, the same look when the containers of each are needed too, and the
//! labels of rows about processes.
//!
//! `cargo bench -p gopherd --bench scope`
#![allow(missing_docs)] // criterion's macros make undocumented items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gopherd::containers::Registry;
use gopherd::feature::{Mode, ProcName, Selection, Selectors};
use gopherd::meta::MetaCache;
use gopherd::pipeline::{PodLabels, SubjectLabels};
use gopherd::scope::ScopeEngine;
use gopherd::store::Labels;
use probe_core::{ProcKey, Row, Scope, Subject};
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::hint::black_box;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    let comm = Some(Regex::new("^sleep$").expect("valid"));
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
    let engine = ScopeEngine::start(proc, registry.clone(), never, Box::new(|_, _| {})).expect("it starts");
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

criterion_group!(benches, scope);
criterion_main!(benches);
