//! The kit against this kernel, as root: an object of every kind of program is loaded and what it says is
//! compared with what the kernel itself says. Nothing is skipped: where the kernel cannot do a thing, the test
//! asks that this is what the operator is told.

use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore as _, MapFlags};
use probe_core::{Env, Outcome, ProcKey, Scope, SubProbes};
use probe_kit::bpf::abi::gopher_tuple;
use probe_kit::bpf::{
    Bpf, Job, ObjectSpec, Ring, ScopeMaps, Storage, Way, cost, drain, iterate, lookup, meter, per_cpu,
    snapshot,
};
use probe_kit::kernel::{AttachKind, Kernel, MapKind, Requirement};
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use zerocopy::IntoBytes as _;

mod selftest {
    probe_kit::bpf_object!("selftest");
    pub(crate) use bpf::*;
}
use selftest::{SelftestSkel, SelftestSkelBuilder, exec_event, hist_cases, task_record};

const TP_BTF: Requirement = Requirement::Attach(AttachKind::TpBtf);
const EXEC: Requirement = Requirement::Tracepoint("sched_process_exec");

static JOBS: &[Job] = &[
    Job {
        name: "execs",
        sub_probes: &["exec"],
        helps: &[],
        ways: &[
            Way { program: "exec_typed", needs: &[TP_BTF, EXEC], maps: &[] },
            Way { program: "exec_raw", needs: &[Requirement::Attach(AttachKind::RawTp), EXEC], maps: &[] },
        ],
    },
    Job {
        name: "entry",
        sub_probes: &["entry"],
        helps: &[],
        ways: &[Way {
            program: "exec_entry",
            needs: &[Requirement::Attach(AttachKind::Fentry), Requirement::Function("begin_new_exec")],
            maps: &[],
        }],
    },
    Job {
        name: "tasks",
        sub_probes: &["task"],
        helps: &[],
        ways: &[Way { program: "each_task", needs: &[Requirement::Attach(AttachKind::IterTask)], maps: &[] }],
    },
    Job {
        name: "files",
        sub_probes: &["file"],
        helps: &[],
        ways: &[Way {
            program: "each_file",
            needs: &[Requirement::Attach(AttachKind::IterTaskFile)],
            maps: &[],
        }],
    },
    Job {
        name: "storage",
        sub_probes: &["storage"],
        helps: &[],
        ways: &[Way {
            program: "with_storage",
            needs: &[TP_BTF, Requirement::Map(MapKind::TaskStorage)],
            maps: &["storage"],
        }],
    },
];

/// Helpers of the shared headers that programs of their own try.
static HELPER_JOBS: &[Job] = &[
    Job {
        name: "histogram",
        sub_probes: &["hist"],
        helps: &[],
        ways: &[Way { program: "histogram", needs: &[TP_BTF], maps: &[] }],
    },
    // Listed so that its map is not made.
    Job {
        name: "storage",
        sub_probes: &[],
        helps: &[],
        ways: &[Way {
            program: "with_storage",
            needs: &[Requirement::Tracepoint("none")],
            maps: &["storage"],
        }],
    },
];

/// The same with a program that every kernel refuses, before the one that works.
static GUILTY_JOBS: &[Job] = &[
    Job {
        name: "refused",
        sub_probes: &["bad"],
        helps: &[],
        ways: &[Way { program: "refused", needs: &[], maps: &["storage"] }],
    },
    Job { name: "tasks", sub_probes: &["task"], helps: &[], ways: JOBS[2].ways },
];

fn names(names: &[&'static str]) -> SubProbes {
    names.iter().copied().collect()
}

fn kernel() -> Kernel {
    Kernel::new(Env::default(), None)
}

fn load<'o>(
    jobs: &'static [Job],
    maps: &ScopeMaps,
    slot: u32,
    storage: &'o mut Storage,
) -> Bpf<SelftestSkel<'o>> {
    let spec = ObjectSpec { name: "selftest", owner: "selftest", bytes: selftest::OBJECT, jobs };
    Bpf::load::<SelftestSkelBuilder>(&spec, &kernel(), Some(maps), storage, |open| {
        let data = open.maps.rodata_data.as_deref_mut().expect("read-only data");
        data.gopher_scope_slot = slot;
    })
    .expect("the object loads")
}

fn only(tgids: &[u32]) -> Scope {
    Scope::Only(Arc::new(tgids.iter().map(|tgid| ProcKey { tgid: *tgid, start_ticks: 0 }).collect()))
}

/// Runs a program that ends at once and returns its pid; without a shell, so that it is one exec.
#[allow(clippy::disallowed_methods)] // the work that is measured
fn run() -> u32 {
    let mut child = Command::new("/bin/true").spawn().expect("a process");
    let pid = child.id();
    child.wait().expect("ended");
    pid
}

/// Field 22 of `/proc/<pid>/stat`.
fn start_ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = text.rsplit_once(')').expect("a name").1;
    after.split_whitespace().nth(19).expect("field 22").parse().expect("a number")
}

#[test]
fn root_an_exec_is_counted_and_told_when_it_is_in_scope_and_only_then() {
    let maps = ScopeMaps::new().expect("maps");
    let mut slot = maps.slot("test").expect("a slot");
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, slot.number(), &mut storage);
    assert_eq!(bpf.apply(&names(&["exec"])), Outcome::all(&names(&["exec"])));

    let events = bpf.map("events").expect("the ring");

    let unseen = run();
    slot.apply(&Scope::All).expect("applied");
    let seen = run();
    slot.apply(&only(&[seen])).expect("applied");
    let other = run();

    let mut ring: Ring<'_, exec_event> = Ring::new(&events).expect("a ring");
    let mut told = Vec::new();
    ring.drain(|event| told.push(event)).expect("drained");
    assert_eq!(ring.malformed(), 0);
    let event = told.iter().find(|event| event.tgid == seen).expect("the exec in scope is told");
    assert!(event.start_ticks >= start_ticks(std::process::id()), "the start is on the clock of /proc");
    for silent in [unseen, other] {
        assert!(!told.iter().any(|event| event.tgid == silent), "{silent} was out of scope");
    }
    let counted = drain::<u32, u64>(&bpf.skel().maps.execs).expect("drained");
    assert!(counted.entries.contains(&(seen, 1)), "{counted:?}");
    assert!(!counted.one_by_one, "hashes have batches on every kernel that we support");
    assert!(
        drain::<u32, u64>(&bpf.skel().maps.execs).expect("drained").entries.is_empty(),
        "they were taken out"
    );
    let totals: u64 = per_cpu::<u32, u64>(&bpf.skel().maps.totals, &0).expect("sums").iter().sum();
    assert!(totals >= 3, "all three were seen: {totals}");
}

#[test]
fn root_a_full_ring_counts_what_it_loses_and_told_plus_lost_is_all() {
    let maps = ScopeMaps::new().expect("maps");
    let mut slot = maps.slot("test").expect("a slot");
    slot.apply(&Scope::All).expect("applied");
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, slot.number(), &mut storage);
    bpf.apply(&names(&["exec"]));
    // 40 bytes and a header each in 4096: more than fit.
    for _ in 0..120 {
        run();
    }
    bpf.apply(&names(&[]));
    let mut ring: Ring<'_, exec_event> = Ring::new(&bpf.skel().maps.events).expect("a ring");
    let mut told = 0;
    ring.drain(|_| told += 1).expect("drained");
    let lost = cost::lost(bpf.skel().object(), probe_kit::bpf::abi::GOPHER_LOST_RING).expect("a count");
    let totals: u64 = per_cpu::<u32, u64>(&bpf.skel().maps.totals, &0).expect("sums").iter().sum();
    assert!(lost > 0 && told > 0, "told {told}, lost {lost}");
    assert_eq!(told + lost, totals, "told {told}, lost {lost}");
}

#[test]
fn root_the_iterator_sees_the_tasks_that_proc_has() {
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, 0, &mut storage);
    bpf.apply(&names(&["task"]));
    let bytes = iterate(bpf.link("tasks").expect("attached"), 1 << 20).expect("read");
    let tasks: Vec<task_record> = bytes
        .chunks_exact(size_of::<task_record>())
        .map(|chunk| zerocopy::FromBytes::read_from_bytes(chunk).expect("a record"))
        .collect();
    let own = std::process::id();
    let threads: BTreeSet<u32> = std::fs::read_dir("/proc/self/task")
        .expect("threads")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().parse().expect("a number"))
        .collect();
    let seen: BTreeSet<u32> = tasks.iter().filter(|task| task.tgid == own).map(|task| task.pid).collect();
    assert!(seen.contains(&own), "the main thread is among {seen:?}");
    // Other tests' threads come and go between the two readings.
    assert!(!seen.is_disjoint(&threads));
    let of_group: BTreeSet<u64> =
        tasks.iter().filter(|task| task.tgid == own).map(|task| task.start_ticks).collect();
    assert_eq!(of_group, BTreeSet::from([start_ticks(own)]), "field 22 of the leader, for each thread");
}

#[test]
fn root_what_the_kernel_cannot_do_is_named_and_the_rest_runs() {
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, 0, &mut storage);
    let wanted = names(&["exec", "entry", "task", "file", "storage"]);
    let outcome = bpf.apply(&wanted);
    let kernel = kernel();
    for sub_probe in &outcome.sub_probes {
        let needs: Vec<_> = match sub_probe.name {
            "entry" => vec![Requirement::Attach(AttachKind::Fentry), Requirement::Function("begin_new_exec")],
            "storage" => vec![Requirement::Map(MapKind::TaskStorage)],
            _ => Vec::new(),
        };
        let lacks: Vec<_> = kernel
            .ask_all(&needs)
            .into_iter()
            .filter_map(Result::err)
            .map(|missing| missing.to_string())
            .collect();
        assert_eq!(sub_probe.missing, lacks, "{}", sub_probe.name);
    }
    for verdict in bpf.verdicts() {
        // Read by the kernel matrix.
        eprintln!("VERDICT selftest/{verdict}");
    }
}

#[test]
fn root_a_tuple_is_the_same_bytes_whichever_family_the_socket_has() {
    let listener = TcpListener::bind("[::]:0").expect("a listener of both families");
    let port = listener.local_addr().expect("an address").port();
    let ends: Vec<_> = ["127.0.0.1", "::1"]
        .map(|host| {
            let client = TcpStream::connect((host, port)).expect("connected");
            (client, listener.accept().expect("accepted").0)
        })
        .into();
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let spec = ObjectSpec { name: "selftest", owner: "selftest", bytes: selftest::OBJECT, jobs: JOBS };
    let mut bpf = Bpf::load::<SelftestSkelBuilder>(&spec, &kernel(), Some(&maps), &mut storage, |open| {
        open.maps.rodata_data.as_deref_mut().expect("read-only data").wanted_port = port;
    })
    .expect("the object loads");
    bpf.apply(&names(&["file"]));
    let written = iterate(bpf.link("files").expect("attached"), 4096).expect("read");
    assert!(written.is_empty(), "a program that sums writes nothing");

    let tuples = snapshot::<gopher_tuple, u64>(&bpf.skel().maps.tuples).expect("read").entries;
    let seen: BTreeSet<_> = tuples
        .into_iter()
        .filter(|(tuple, _)| tuple.peer_port != 0) // the listener
        .map(|(tuple, _)| (tuple.family, tuple.local_ip, tuple.local_port, tuple.peer_ip, tuple.peer_port))
        .collect();
    let (mut v4, mut v6) = ([0; 16], [0; 16]);
    v4[..4].copy_from_slice(&[127, 0, 0, 1]);
    v6[15] = 1;
    let mut expected = BTreeSet::new();
    for ((client, _), (family, ip)) in ends.iter().zip([(2, v4), (10, v6)]) {
        let own = client.local_addr().expect("an address").port();
        expected.insert((family, ip, own, ip, port));
        // The accepted end of the first is an IPv6 socket with a mapped address.
        expected.insert((family, ip, port, ip, own));
    }
    assert_eq!(seen, expected);
}

#[test]
fn root_values_fall_into_the_buckets_that_prometheus_defines() {
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let mut bpf = load(HELPER_JOBS, &maps, 0, &mut storage);
    let value = [0, 1, 2, 10, 11, 1000, 1001, u64::MAX];
    let given = hist_cases { value, ..hist_cases::default() };
    let map = bpf.map("hist_cases").expect("the map");
    map.update(&0u32.to_ne_bytes(), given.as_bytes(), MapFlags::ANY).expect("written");
    bpf.apply(&names(&["hist"]));
    run();
    let got: hist_cases = lookup(&map, &0u32).expect("read").expect("there");
    // Bounds 10, 100, 1000, inclusive; then 1, 2, 4, ….
    assert_eq!(got.bucket, [0, 0, 0, 0, 1, 2, 3, 3]);
    assert_eq!(got.log2, [0, 0, 1, 4, 4, 10, 10, 64]);
}

#[test]
fn root_a_program_that_is_refused_is_found_left_out_and_named() {
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let mut bpf = load(GUILTY_JOBS, &maps, 0, &mut storage);
    let outcome = bpf.apply(&names(&["bad", "task"]));
    let missing = outcome.missing();
    assert!(matches!(&*missing, [only] if only.starts_with("bad: program refused: ")), "{missing:?}");
    assert!(bpf.link("tasks").is_some() && bpf.link("refused").is_none());
}

#[test]
fn root_links_come_and_go_with_their_sub_probes_and_counts_stay() {
    let maps = ScopeMaps::new().expect("maps");
    let mut slot = maps.slot("test").expect("a slot");
    slot.apply(&Scope::All).expect("applied");
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, slot.number(), &mut storage);
    let total = |bpf: &Bpf<SelftestSkel<'_>>| -> u64 {
        per_cpu::<u32, u64>(&bpf.skel().maps.totals, &0).expect("sums").iter().sum()
    };
    run();
    assert_eq!(total(&bpf), 0, "nothing is attached before it is asked for");
    bpf.apply(&names(&["exec"]));
    run();
    bpf.apply(&names(&[]));
    let between = total(&bpf);
    run();
    assert_eq!(total(&bpf), between, "detached");
    bpf.apply(&names(&["exec", "task"]));
    run();
    assert!(between >= 1 && total(&bpf) > between, "attached again, and the count goes on");
}

#[test]
fn root_what_an_object_costs_is_measured_and_stays_when_it_is_gone() {
    let maps = ScopeMaps::new().expect("maps");
    let mut storage = Storage::new();
    let spec = ObjectSpec { name: "metered", owner: "metered", bytes: selftest::OBJECT, jobs: JOBS };
    let mut bpf = Bpf::load::<SelftestSkelBuilder>(&spec, &kernel(), Some(&maps), &mut storage, |_| {})
        .expect("the object loads");
    bpf.apply(&names(&["exec"]));
    let of = |program: &str| {
        let totals = meter::totals();
        totals.into_iter().find(|total| (total.owner, &*total.program) == ("metered", program))
    };
    assert_eq!(of("exec_typed").map(|total| total.runs), Some(0), "it is there and was not measured");
    assert_eq!(of("refused"), None, "it is not loaded");
    run();
    let measurement = meter::Measurement::begin().expect("root may measure");
    for _ in 0..20 {
        run();
    }
    measurement.end();
    let measured = of("exec_typed").expect("measured");
    assert!(measured.runs >= 20 && !measured.run_time.is_zero(), "{measured:?}");
    let cost = meter::owners()["metered"];
    assert!(cost.run_time_per_s.is_some_and(|time| !time.is_zero()), "{cost:?}");
    // The ring alone is 4096 bytes twice mapped.
    assert!(cost.map_bytes > 8192, "{cost:?}");
    drop(bpf);
    assert_eq!(meter::owners()["metered"], meter::OwnerCost::default());
    assert_eq!(of("exec_typed"), Some(measured));
}

#[test]
fn root_nothing_is_left_after_ten_loads() {
    let maps = ScopeMaps::new().expect("maps");
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("descriptors").count();
    let mut storage = Storage::new();
    let mut bpf = load(JOBS, &maps, 0, &mut storage);
    bpf.apply(&names(&["exec"]));
    let misses = cost::recursion_misses(bpf.skel().object()).expect("told");
    assert!(misses.is_none_or(|misses| misses == 0));
    drop(bpf);
    let before = descriptors();
    for _ in 0..10 {
        let mut storage = Storage::new();
        load(JOBS, &maps, 0, &mut storage).apply(&names(&["exec", "task"]));
    }
    // Tests beside this one have an object each, with its descriptors twice.
    assert!(descriptors() <= before + 64, "descriptors of other tests aside, none is left");
}
