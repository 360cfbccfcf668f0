//! The programs against this kernel, as root, in both flavours whatever it could do: what full maps have no room for
//! is counted, by reason, and what comes after they were emptied is there.

use super::super::jobs::JOBS;
use super::*;
use probe_core::{ProcKey, Scope};
use probe_kit::bpf::{ScopeMaps, Way};
use probe_kit::kernel::{Requirement, kernel};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const USUAL: [&str; 7] =
    ["tcp_abnormal", "tcp_windows", "tcp_rtt", "tcp_stats", "tcp_sockbuf", "tcp_rate", "tcp_srtt"];

/// What no kernel has.
const NEVER: &[Requirement] = &[Requirement::Tracepoint("there is none")];

/// The jobs as a kernel without socket storage does them.
fn by_hash() -> &'static [Job] {
    let never = |way: &Way| if way.program.ends_with("_hash") { *way } else { Way { needs: NEVER, ..*way } };
    let ways = |job: &Job| -> &'static [Way] { job.ways.iter().map(never).collect::<Vec<_>>().leak() };
    JOBS.iter().map(|job| Job { ways: ways(job), ..*job }).collect::<Vec<_>>().leak()
}

/// Runs `body` with the programs attached, over this process.
fn observing<T>(jobs: &'static [Job], room: Room, body: impl FnOnce(&mut Source<'_>) -> T) -> T {
    let mut slot = ScopeMaps::new().expect("maps").slot("test").expect("a slot");
    let own = ProcKey { tgid: std::process::id(), start_ticks: 0 };
    slot.apply(&Scope::Only(Arc::new([own].into()))).expect("applied");
    let mut storage = Storage::new();
    let mut source = Source::load(&mut storage, kernel(), &slot, jobs, room).expect("it loads");
    let wanted = USUAL.into_iter().collect();
    source.groups(&wanted);
    let outcome = source.apply(&wanted);
    assert!(outcome.sub_probes.iter().all(|sub| sub.missing.is_empty()), "{outcome:?}");
    body(&mut source)
}

/// Connections, each to a port of its own, so that each end is a series of its own; they have ended.
fn connections(count: usize) {
    for _ in 0..count {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(server.local_addr().expect("bound")).expect("connected");
        drop((client, server.accept().expect("accepted")));
    }
}

fn lost(source: &mut Source<'_>, reason: &str) -> u64 {
    let losses = source.losses().expect("told");
    losses.into_iter().find(|(name, _)| *name == reason).expect("a reason").1
}

// Connections of tests beside these are this process's too: they can only add to what is counted.

#[test]
fn root_series_that_the_full_maps_have_no_room_for_are_counted_in_both_flavours() {
    for jobs in [JOBS, by_hash()] {
        observing(jobs, Room { series: 4, samples: 2, sockets: 16_384 }, |source| {
            connections(10);
            let taken = source.take().expect("taken");
            assert_eq!((taken.sums.len(), taken.samples.len()), (4, 2), "full");
            let losses = source.losses().expect("told");
            let of = |reason| losses.iter().find(|(name, _)| *name == reason).expect("a reason").1;
            // Twenty ends: at least sixteen tell their sums in vain, and eighteen their samples.
            assert!(of("series_map_full") >= 16 && of("sample_map_full") >= 18, "{losses:?}");
            connections(1);
            assert!(!source.take().expect("taken").sums.is_empty(), "there is room again");
        });
    }
}

#[test]
fn root_sockets_that_the_hash_has_no_room_for_are_counted() {
    observing(by_hash(), Room { sockets: 4, ..Room::of(1) }, |source| {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = server.local_addr().expect("bound");
        let pair = |_| (TcpStream::connect(to).expect("connected"), server.accept().expect("accepted"));
        let held: Vec<_> = (0..10).map(pair).collect();
        let full = lost(source, "socket_map_full");
        assert!(full >= 16, "{full} of twenty sockets and room for four");
        drop(held);
        lost(source, "socket_map_full");
        connections(1);
        assert!(!source.take().expect("taken").sums.is_empty(), "there is room again");
    });
}

#[test]
fn root_every_job_is_done_or_what_it_needs_is_named() {
    observing(JOBS, Room::of(1), |source| {
        for verdict in source.bpf.verdicts() {
            // Read by the kernel matrix.
            eprintln!("VERDICT tcp/{verdict}");
        }
    });
}
