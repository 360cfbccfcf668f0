//! Scopes that change while connections run, and what is left of a probe.

use crate::harness::{Alone, Observer, USUAL, expect, listener, pair, talk, wait_end};
use probe_core::{ProcKey, Scope};
use std::sync::Arc;

/// This process, as the scope engine names it.
fn own() -> ProcKey {
    let text = std::fs::read("/proc/self/stat").expect("stat");
    let stat = probe_kit::stat::Stat::parse(&text).expect("a stat line");
    let start = stat.words().nth(19).and_then(probe_kit::scan::number).expect("field 22");
    ProcKey { tgid: std::process::id(), start_ticks: start }
}

fn only(keys: &[ProcKey]) -> Scope {
    Scope::Only(Arc::new(keys.iter().copied().collect()))
}

fn except(keys: &[ProcKey]) -> Scope {
    Scope::Except(Arc::new(keys.iter().copied().collect()))
}

#[test]
fn root_only_processes_in_scope_have_rows() {
    let stranger = ProcKey { tgid: 1, start_ticks: 0 };
    let (listener, at) = listener("127.0.0.1");
    for (scope, observed) in [
        (only(&[own()]), true),
        (only(&[stranger]), false),
        (only(&[]), false),
        (except(&[own()]), false),
        (except(&[stranger]), true),
        (Scope::Unset, true),
    ] {
        let mut observer = Observer::with(&USUAL, scope.clone(), &[]);
        let (mut client, mut server) = pair(&listener, at);
        talk(&mut client, &mut server, 10, 10, 1);
        drop(client);
        wait_end(&mut server);
        drop(server);
        let rows = observer.read();
        assert_eq!(!rows.of("client", at.port()).is_empty(), observed, "{scope:?}");
        assert_eq!(!rows.of("server", at.port()).is_empty(), observed, "{scope:?}");
    }
}

#[test]
fn root_a_thousand_changes_of_the_scope_take_no_counter_back_and_lose_no_byte() {
    let alone = Alone::claim();
    let mut observer = Observer::beside(&alone);
    let before = bpf_descriptors();
    let (listener, at) = listener("127.0.0.1");
    let (mut client, mut server) = pair(&listener, at);
    let stranger = ProcKey { tgid: 1, start_ticks: 0 };
    let scopes = [only(&[own()]), only(&[stranger]), except(&[own()]), except(&[]), only(&[own(), stranger])];
    let mut last = (0.0, 0.0);
    for round in 0..1000_usize {
        observer.rescope(scopes[round % scopes.len()].clone());
        talk(&mut client, &mut server, 7, 9, 1);
        if round % 50 == 3 {
            let rows = observer.read();
            let sum = |column| rows.sum("client", at.port(), column).expect("in scope");
            let now = (sum("tx_bytes"), sum("segs_out"));
            assert!(now.0 >= last.0 && now.1 >= last.1, "{now:?} after {last:?}");
            last = now;
        }
    }
    observer.rescope(Scope::All);
    assert_eq!(bpf_descriptors(), before, "no program, map or link came or went");
    drop(client);
    wait_end(&mut server);
    drop(server);
    let rows = observer.read();
    expect(&rows, "client", at.port(), &[("tx_bytes", 7000.0), ("rx_bytes", 9000.0)]);
    expect(&rows, "server", at.port(), &[("rx_bytes", 7000.0), ("tx_bytes", 9000.0)]);
}

/// Programs, maps and links that this process has, by what its descriptors are called.
fn bpf_descriptors() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| target.contains("bpf"))
        .collect();
    names.sort();
    names
}

#[test]
fn root_fifty_starts_leave_no_program_map_or_link() {
    let alone = Alone::claim();
    // The scope maps are the process's own and stay: a first start makes them.
    Observer::beside(&alone).stop();
    let before = bpf_descriptors();
    for _ in 0..50 {
        Observer::beside(&alone).stop();
    }
    // Nothing is pinned, so what no descriptor leads to is gone.
    assert_eq!(bpf_descriptors(), before);
}
