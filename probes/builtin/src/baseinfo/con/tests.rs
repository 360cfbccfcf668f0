//! Walks over real trees, hostile ones among them, and the reader over made-up walks and over real processes
//! with mounts of their own.

use super::super::namespace::Namespace;
use super::*;
use probe_core::{ParamValue, Params, ProcKey, ProcSet};
use probe_kit::testing::{FakeHost, SeenRow, order, seen, tick};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex};
use std::time::SystemTime;
use walk::{open_start, walk};

/// Long enough for a thread of a busy machine to answer.
const PATIENT: Duration = Duration::from_secs(30);

const WIDE: Limits = Limits { entries: 100_000, depth: 40, time: PATIENT };

fn size_of_tree(root: &Path, dir: &str, limits: Limits) -> Result<Size, Stop> {
    let root = fs::File::open(root).expect("a root");
    walk(open_start(&root, dir)?, limits, &AtomicBool::new(false))
}

/// What `du` says of a tree.
fn du(tree: &Path) -> u64 {
    // The one whose numbers ours are to be.
    #[allow(clippy::disallowed_methods)]
    let output = Command::new("du").args(["-sbx"]).arg(tree).output().expect("du runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn mkfifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).expect("a FIFO");
}

#[test]
fn a_tree_has_the_size_that_du_gives_it() {
    let host = FakeHost::new();
    host.write("t/a", vec![0; 1000]).write("t/b/c/d", vec![1; 70_000]).write("t/b/empty", "");
    let tree = host.path("t");
    fs::hard_link(tree.join("a"), tree.join("b/a-again")).expect("a link");
    symlink("b/c/d", tree.join("a-link")).expect("a link");
    symlink("nowhere", tree.join("dangling")).expect("a link");
    mkfifo(&tree.join("fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).expect("a socket");
    let sparse = fs::File::create(tree.join("sparse")).expect("a file");
    sparse.set_len(1 << 30).expect("no space is needed");
    let size = size_of_tree(&tree, "/", WIDE).expect("walks");
    assert_eq!(size.bytes, du(&tree));
    assert_eq!((size.entries, size.unreadable), (11, 0));
}

#[test]
fn links_are_followed_in_the_given_path_within_the_root_and_nowhere_below() {
    let host = FakeHost::new();
    host.write("root/data/file", vec![0; 1000]).write("outside/secret", vec![0; 1 << 20]);
    let root = host.path("root");
    symlink("/data", root.join("absolute")).expect("a link");
    symlink("../../../../../../data", root.join("upwards")).expect("a link");
    symlink(host.path("outside"), root.join("out")).expect("a link");
    symlink(host.path("outside"), root.join("data/out")).expect("a link");
    symlink(".", root.join("data/loop")).expect("a link");
    symlink("/proc/self/root", root.join("magic")).expect("a link");
    let data = size_of_tree(&root, "/data", WIDE).expect("walks");
    assert_eq!(data.bytes, du(&root.join("data")));
    for same in ["data", "/absolute", "/upwards", "/../../data/.", "/data/loop/loop"] {
        assert_eq!(size_of_tree(&root, same, WIDE), Ok(data), "{same}");
    }
    for absent in ["/out", "/data/out", "/magic", "/data/file", "/nosuch"] {
        assert_eq!(size_of_tree(&root, absent, WIDE), Err(Stop::Absent), "{absent}");
    }
    symlink("circle", root.join("circle")).expect("a link");
    assert_eq!(size_of_tree(&root, "/circle", WIDE), Err(Stop::Unreadable));
}

#[test]
fn a_walk_ends_at_each_limit_and_has_no_result() {
    let host = FakeHost::new();
    let deep = (0..WIDE.depth - 1).map(|_| "d/").collect::<String>();
    host.write(&format!("t/{deep}file"), "x").write("t/other", "x");
    let tree = host.path("t");
    assert!(size_of_tree(&tree, "/", WIDE).is_ok());
    let limits = |entries, depth, time| Limits { entries, depth, time };
    let entries = WIDE.depth as u64 + 1;
    for (limits, expected) in [
        (limits(entries - 1, 100, PATIENT), Err(Stop::Entries)),
        (limits(entries, WIDE.depth - 1, PATIENT), Err(Stop::Depth)),
        (limits(entries, WIDE.depth, Duration::ZERO), Err(Stop::Time)),
        (limits(entries, WIDE.depth, PATIENT), Ok(entries)),
    ] {
        assert_eq!(size_of_tree(&tree, "/", limits).map(|size| size.entries), expected, "{limits:?}");
    }
    let start = open_start(fs::File::open(&tree).expect("a root"), "/").expect("opens");
    assert_eq!(walk(start, WIDE, &AtomicBool::new(true)), Err(Stop::Cancelled));
}

#[test]
fn files_that_come_and_go_during_the_walk_stop_nothing() {
    let host = FakeHost::new();
    host.write("t/stays", vec![0; 100]);
    let tree = host.path("t");
    let over = Arc::new(AtomicBool::new(false));
    let (churned, told) = (tree.clone(), Arc::clone(&over));
    let churn = std::thread::Builder::new().spawn(move || {
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            for number in 0..50 {
                let dir = churned.join(format!("dir{number}"));
                fs::create_dir_all(dir.join("inner")).expect("a directory");
                fs::write(dir.join("inner/file"), "x").expect("a file");
                fs::remove_dir_all(&dir).expect("removed");
                symlink("/", &dir).expect("a link in its place");
                fs::remove_file(&dir).expect("removed");
            }
        }
    });
    for _ in 0..300 {
        let size = size_of_tree(&tree, "/", WIDE).expect("walks");
        assert!(size.bytes >= 100 && size.unreadable == 0, "{size:?}");
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    churn.expect("a thread").join().expect("ends");
}

fn key(id: &str) -> ContainerKey {
    ContainerKey::new(id).expect("an id")
}

fn target(id: &str, tgid: u32, start_ticks: u64) -> ContainerTarget {
    ContainerTarget { id: key(id), process: ProcKey { tgid, start_ticks } }
}

fn wish(dir: &str, scope: Scope, containers: &[ContainerTarget]) -> Order {
    let mut params = Params::default();
    params.set(&params::ELF_PATH, ParamValue::Text(dir.into()));
    Order { scope, containers: containers.into(), params: Arc::new(params), ..order(&["con"]) }
}

fn read(con: &mut Con) -> (Vec<SeenRow>, Vec<(&'static str, u64)>) {
    let mut batch = Batch::new(SystemTime::now());
    con.read(tick(1, Duration::from_secs(5)), &mut batch);
    assert_eq!(batch.completed().len(), 1);
    (seen(&batch), batch.skipped().to_vec())
}

/// The rates by container; what is not `rate`d has none.
fn rates(rows: &[SeenRow]) -> Vec<(&str, f64)> {
    rows.iter()
        .map(|row| (row.label("container_id").expect("a key"), row.get("write_rate").expect("a rate")))
        .collect()
}

/// A reader whose thread never rests, over made-up walks.
fn reader(env: &Env, patience: Duration, walk_one: WalkOne) -> Con {
    Con::with(env, walk_one, PATIENT, patience, Arc::default())
}

/// The next reading, without the rest that a real one takes between two rounds.
fn read_again(con: &mut Con) -> (Vec<SeenRow>, Vec<(&'static str, u64)>) {
    con.rests_until = None;
    read(con)
}

#[test]
fn a_rate_is_the_growth_between_two_walks_of_one_directory() {
    let now = Instant::now();
    let size = |bytes, inode| Size { start: (1, inode), bytes, ..Size::default() };
    let mut known = Known::default();
    for (size, second, expected) in [
        (size(1000, 1), 0, None),
        (size(6000, 1), 5, Some(1000.0)),
        (size(6000, 1), 7, Some(0.0)),
        // What was removed was not written.
        (size(100, 1), 8, Some(0.0)),
        (size(300, 1), 9, Some(200.0)),
        // Another directory under the same name has not grown from the first one's size.
        (size(9999, 2), 10, None),
        (size(9999, 2), 10, None),
        (size(10_000, 2), 12, Some(0.5)),
    ] {
        known.grown(size, now + Duration::from_secs(second));
        assert_eq!(known.rate, expected, "at {second} s");
    }
}

#[test]
fn without_a_scope_a_directory_or_a_container_nothing_is_walked() {
    let walk_one: WalkOne = Arc::new(|_, _, _| panic!("nobody asked"));
    let mut con = reader(&Env::default(), PATIENT, walk_one);
    let one = [target("a", 1, 1)];
    for order in [
        wish("/d", Scope::Unset, &one),
        wish("", Scope::All, &one),
        wish("/d", Scope::Only(Arc::default()), &[]),
    ] {
        con.apply(&order);
        assert_eq!(read(&mut con), (vec![], vec![]));
        assert!(con.worker.is_none());
    }
}

#[test]
fn what_a_walk_had_to_leave_out_is_counted_and_gives_no_rate() {
    let walk_one: WalkOne = Arc::new(|round, target, _| match target.id.as_str() {
        "entries" => Err(Stop::Entries),
        "depth" => Err(Stop::Depth),
        "time" => Err(Stop::Time),
        "closed" => Err(Stop::Unreadable),
        "absent" => Err(Stop::Absent),
        _ => Ok(Size { unreadable: 2, bytes: round.dir.len() as u64, ..Size::default() }),
    });
    let mut con = reader(&Env::default(), PATIENT, walk_one);
    let ids = ["absent", "closed", "depth", "entries", "fine", "time"];
    con.apply(&wish("/data", Scope::All, &ids.map(|id| target(id, 1, 1))));
    let skipped = [
        ("container_unreadable", 1),
        ("container_depth", 1),
        ("container_entries", 1),
        ("container_dir_unreadable", 2),
        ("container_time", 1),
    ];
    assert_eq!(read(&mut con), (vec![], skipped.to_vec()));
    let (rows, again) = read_again(&mut con);
    assert_eq!((rates(&rows), again), (vec![("fine", 0.0)], skipped.to_vec()));
    assert_eq!(rows[0].label("dir"), Some("/data"));
    assert_eq!(rows[0].subject, Subject::Container(key("fine")));
    // Another directory is another series.
    con.apply(&wish("/other", Scope::All, &[target("fine", 1, 1)]));
    assert_eq!(read(&mut con).0, []);
    // Whoever leaves the scope has no row.
    con.apply(&wish("/other", Scope::Except(Arc::new(ProcSet::default())), &[target("more", 1, 1)]));
    assert_eq!(read_again(&mut con).0, []);
}

#[test]
fn more_containers_than_are_walked_are_counted() {
    let walk_one: WalkOne = Arc::new(|_, _, _| Ok(Size::default()));
    let mut con = reader(&Env::default(), PATIENT, walk_one);
    let many: Vec<_> = (0..MAX_CONTAINERS + 3).map(|number| target(&format!("c{number}"), 1, 1)).collect();
    con.apply(&wish("/d", Scope::All, &many));
    assert_eq!(read(&mut con), (vec![], vec![("container_limit", 3)]));
    assert_eq!(read_again(&mut con).0.len(), MAX_CONTAINERS);
}

#[test]
fn the_thread_rests_between_two_rounds() {
    let walk_one: WalkOne = Arc::new(|_, _, _| Ok(Size::default()));
    let mut con = reader(&Env::default(), PATIENT, walk_one);
    con.apply(&wish("/d", Scope::All, &[target("a", 1, 1)]));
    read(&mut con);
    con.rests_until = Some(Instant::now() + PATIENT);
    let last = con.known[&key("a")].last;
    assert_eq!(read(&mut con).0, []);
    assert_eq!(con.known[&key("a")].last, last, "no walk was asked for");
}

/// A gate that walks of dead mounts wait at.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

#[test]
fn a_walk_that_hangs_is_left_behind_and_the_others_go_on() {
    let gate = Arc::<Gate>::default();
    let held = Arc::clone(&gate);
    let walk_one: WalkOne = Arc::new(move |_, target, _| {
        if target.id.as_str() == "dead" {
            let open = held.0.lock().expect("gate");
            drop(held.1.wait_while(open, |open| !*open).expect("gate"));
        }
        Ok(Size::default())
    });
    let mut con = reader(&Env::default(), Duration::from_millis(200), walk_one);
    con.grace = Duration::from_millis(20);
    con.apply(&wish("/d", Scope::All, &["a", "dead", "z"].map(|id| target(id, 1, 1))));
    // The round stops at the dead one; the next has the others, and says which one is missing.
    let mut counted = Vec::new();
    let rows = loop {
        let (rows, skipped) = read_again(&mut con);
        counted.extend(skipped);
        if rows.len() == 2 {
            break rows;
        }
    };
    assert_eq!(rates(&rows), [("a", 0.0), ("z", 0.0)]);
    assert!(counted.iter().all(|skip| *skip == ("container_stuck", 1)) && !counted.is_empty(), "{counted:?}");
    assert_eq!(con.stuck.len(), 1);
    *gate.0.lock().expect("gate") = true;
    gate.1.notify_all();
    while con.stuck.len() > 0 {
        std::thread::yield_now();
    }
    while read_again(&mut con).0.len() < 3 {}
}

/// The real walk over `env`, with all the time that a busy machine may need.
fn real(env: &Env) -> Con {
    reader(env, PATIENT, Arc::new(worker::walk_one))
}

#[test]
fn the_directory_is_that_of_the_containers_process_and_of_no_later_one_with_its_pid() {
    let host = FakeHost::new();
    let zeros = "0 ".repeat(18);
    host.write("proc/7/stat", format!("7 (x) S 1 {zeros}77 0 0\n")).write("proc/7/root/data/file", "x");
    let starts =
        |ticks: u64| host.write("proc/7/stat", format!("7 (x) S 1 {}{ticks} 0 0\n", "0 ".repeat(17)));
    starts(77);
    let mut con = real(&host.env());
    con.apply(&wish("/data", Scope::All, &[target("a", 7, 77)]));
    read(&mut con);
    host.write("proc/7/root/data/file", vec![0; 5000]);
    let (rows, skipped) = read_again(&mut con);
    assert!(rates(&rows)[0].1 > 0.0 && skipped.is_empty(), "{rows:?} {skipped:?}");
    starts(99);
    assert_eq!(read_again(&mut con), (vec![], vec![]));
}

/// When the process began, as /proc has it.
fn real_target(id: &str, pid: u32) -> ContainerTarget {
    let stat = fs::read(format!("/proc/{pid}/stat")).expect("alive");
    let stat = probe_kit::stat::Stat::parse(&stat).expect("a line");
    let start = stat.words().nth(22 - 3).and_then(probe_kit::scan::number).expect("a number");
    target(id, pid, start)
}

#[test]
fn root_mounts_inside_the_directory_are_left_out_and_a_dead_one_is_not_even_asked() {
    let host = FakeHost::new();
    host.write("d/file", vec![0; 3000]).write("d/sub/file", vec![0; 4000]);
    let dir = host.path("d");
    for name in ["mounted", "dead"] {
        fs::create_dir(dir.join(name)).expect("a directory");
    }
    host.write("d/bound", "").write("big", vec![0; 1 << 20]);
    let path = |name: &str| host.path(name).display().to_string();
    let script = format!(
        "exec 9<>/dev/fuse && mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 dead '{}' \
         && mount -t tmpfs -o size=4m fine '{}' && head -c 1000000 /dev/zero > '{}/file' \
         && mount --bind '{}' '{}'",
        path("d/dead"),
        path("d/mounted"),
        path("d/mounted"),
        path("big"),
        path("d/bound")
    );
    let Some(namespace) = Namespace::new(&script) else { return };
    let root = fs::File::open(format!("/proc/{}/root", namespace.pid())).expect("its root");
    let start = open_start(&root, dir.to_str().expect("text")).expect("opens");
    let size = walk(start, WIDE, &AtomicBool::new(false)).expect("walks");
    let own = fs::symlink_metadata(&dir).expect("a directory").len();
    let sub = fs::symlink_metadata(dir.join("sub")).expect("a directory").len();
    assert_eq!((size.bytes, size.unreadable), (own + 3000 + sub + 4000, 0));

    // The dead mount itself, asked for by name, holds up nobody but its own thread.
    let mut con = Con::with(
        &Env::default(),
        Arc::new(worker::walk_one),
        Duration::from_millis(20),
        Duration::from_millis(200),
        Arc::default(),
    );
    con.apply(&wish(&path("d/dead"), Scope::All, &[real_target("a", namespace.pid())]));
    while con.stuck.len() == 0 {
        read_again(&mut con);
    }
    assert_eq!(read_again(&mut con), (vec![], vec![("container_stuck", 1)]));
    drop(namespace);
    while con.stuck.len() > 0 {
        std::thread::yield_now();
    }
}
