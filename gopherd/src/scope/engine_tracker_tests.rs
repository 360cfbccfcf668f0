//! The engine with a process tracker that a test speaks for, over a /proc that does not know what it tells: what
//! is in scope then comes from its words alone.

use super::*;
use crate::feature::ProcName;
use crate::scope::fake::{container_id, ids};
use probe_kit::bpf::{Early, Foresight, Looks, name};
use probe_kit::tracker::Change;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

#[derive(Debug)]
struct Said {
    bell: OwnedFd,
    events: Mutex<Vec<Event>>,
    lost: Mutex<Lost>,
    attached: AtomicUsize,
    attaches: AtomicUsize,
    /// Why it cannot be attached.
    missing: Mutex<Vec<String>>,
    lacks: Vec<String>,
    /// What the kernel was told of "tcp".
    foreseen: Mutex<Option<Foresight>>,
    /// What was said to be right of what the kernel concluded.
    right: Mutex<Vec<(u32, Vec<&'static str>)>>,
}

/// The tracker as a test has it.
#[derive(Clone, Debug)]
struct Fed(Arc<Said>);

impl Fed {
    fn new(lacks: &[&str]) -> Self {
        Self(Arc::new(Said {
            bell: eventfd(0, EventfdFlags::NONBLOCK).expect("a descriptor"),
            events: Mutex::default(),
            lost: Mutex::default(),
            attached: AtomicUsize::new(0),
            attaches: AtomicUsize::new(0),
            missing: Mutex::default(),
            lacks: lacks.iter().map(ToString::to_string).collect(),
            foreseen: Mutex::default(),
            right: Mutex::default(),
        }))
    }

    fn attach(&self) -> Attach {
        let said = Arc::clone(&self.0);
        Box::new(move |body| {
            said.attaches.fetch_add(1, Ordering::SeqCst);
            let missing = said.missing.lock().expect("not poisoned").clone();
            if !missing.is_empty() {
                return Err(missing);
            }
            said.attached.fetch_add(1, Ordering::SeqCst);
            body(&mut Fed(Arc::clone(&said)));
            said.attached.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn tell(&self, process: ProcKey, changes: impl IntoIterator<Item = Change>) {
        self.tell_early(process, changes, Early::default());
    }

    fn tell_early(&self, process: ProcKey, changes: impl IntoIterator<Item = Change>, early: Early) {
        let events = changes.into_iter().map(|change| Event { process, change, early });
        self.0.events.lock().expect("not poisoned").extend(events);
        rustix::io::write(&self.0.bell, &1u64.to_ne_bytes()).expect("rung");
    }

    fn lose(&self, ring_full: u64) {
        self.0.lost.lock().expect("not poisoned").ring_full += ring_full;
    }

    fn attached(&self) -> bool {
        self.0.attached.load(Ordering::SeqCst) > 0
    }
}

impl Feed for Fed {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let _ = rustix::io::read(&self.0.bell, &mut [0u8; 8]);
        events.append(&mut self.0.events.lock().expect("not poisoned"));
        Ok(())
    }

    fn lost(&self) -> io::Result<Lost> {
        Ok(*self.0.lost.lock().expect("not poisoned"))
    }

    fn lacks(&self) -> &[String] {
        &self.0.lacks
    }

    fn foresee(&mut self, feature: &'static str, foresight: Option<Foresight>) -> io::Result<usize> {
        if feature == "tcp" {
            *self.0.foreseen.lock().expect("not poisoned") = foresight;
        }
        Ok(3)
    }

    fn refute(&mut self, event: &Event, listed: &[&'static str]) -> io::Result<()> {
        self.0.right.lock().expect("not poisoned").push((event.process.tgid, listed.to_vec()));
        Ok(())
    }
}

/// An engine, what it reports, and its tracker.
struct Tracked {
    proc: FakeProc,
    engine: ScopeEngine,
    heard: Receiver<(&'static str, Scope)>,
    fed: Fed,
}

impl Tracked {
    /// With this selection for "tcp", when the tracker is attached and has seen what there was.
    fn start(interval: Duration, fed: Fed, selection: &Selection) -> Self {
        let proc = FakeProc::new();
        proc.put(&Fake { cmdline: b"shell\0", ..Fake::new(1, "sh") });
        let (news, heard) = channel();
        let on_change =
            Box::new(move |feature, resolved: Resolved| drop(news.send((feature, resolved.scope))));
        let engine = ScopeEngine::start(&proc.root(), Registry::default(), interval, fed.attach(), on_change);
        let tracked = Self { proc, engine: engine.expect("starts"), heard, fed };
        tracked.engine.set("tcp", selection, false);
        tracked.until(|engine| matches!(engine.tracker(), TrackerState::Attached(_)));
        tracked
    }

    fn until(&self, done: impl Fn(&ScopeEngine) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(&self.engine) {
            assert!(Instant::now() < end, "in vain: {:?}", self.engine.tracker());
            std::thread::yield_now();
        }
    }

    /// The next scope of "tcp" that is reported.
    fn next(&self) -> Scope {
        let (feature, scope) = self.heard.recv_timeout(PATIENCE).expect("reported");
        assert_eq!(feature, "tcp");
        scope
    }
}

fn key(tgid: u32) -> ProcKey {
    ProcKey { tgid, start_ticks: u64::from(tgid) * 10 }
}

fn fork(comm: &str) -> Change {
    Change::Fork { comm: comm.into(), ppid: 1, forker: 1, moved: false }
}

fn exec(comm: &str) -> Change {
    Change::Exec { comm: comm.into(), ppid: 1, image: [9; 3] }
}

fn redis() -> Selection {
    comms(Mode::Include, &["^redis"])
}

#[test]
fn a_process_is_in_scope_from_its_exec_on_and_leaves_it_with_the_exec_of_another_program() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &redis());
    at.fed.tell(key(7), [fork("sh")]);
    at.fed.tell(key(7), [exec("redis-server")]);
    assert_eq!(at.next(), only(&[key(7)]));
    at.fed.tell(key(7), [exec("sh")]);
    assert_eq!(at.next(), only(&[]));
    at.engine.shutdown();
    assert!(at.heard.try_recv().is_err(), "the fork of a shell was no news");
    assert_eq!(at.engine.tracker_counts().events, 3);
}

#[test]
fn a_new_name_is_matched_again_and_a_line_end_is_no_part_of_it() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &comms(Mode::Include, &["^redis$"]));
    at.fed.tell(key(7), [fork("sh"), exec("x")]);
    at.fed.tell(key(7), [Change::Comm("redis\n".into())]);
    assert_eq!(at.next(), only(&[key(7)]));
    at.fed.tell(key(7), [Change::Comm("\u{fffd}\"\\".into())]);
    assert_eq!(at.next(), only(&[]));
    at.engine.shutdown();
}

#[test]
fn a_forked_process_has_name_command_line_and_rules_of_who_forked_it() {
    let line = ProcName { comm: None, cmdline: Some(regex::Regex::new("6379").expect("valid")), label: None };
    let selectors = Selectors { proc_name: vec![line], ..Selectors::default() };
    let at = Tracked::start(NEVER, Fed::new(&[]), &Selection { mode: Mode::Include, selectors });
    at.proc.0.write("proc/7/cmdline", "redis\0:6379\0");
    at.fed.tell(key(7), [exec("redis")]);
    assert_eq!(at.next(), only(&[key(7)]));
    // Nothing is in /proc of this one.
    at.fed.tell(key(8), [Change::Fork { comm: "redis".into(), ppid: 7, forker: 7, moved: false }]);
    assert_eq!(at.next(), only(&[key(7), key(8)]));
    at.engine.shutdown();
}

#[test]
fn a_process_that_was_moved_into_a_container_is_matched_again() {
    let short = container_id(1).short().to_owned();
    let selectors = Selectors { container_id: vec![short], ..Selectors::default() };
    let at = Tracked::start(NEVER, Fed::new(&[]), &Selection { mode: Mode::Include, selectors });
    at.fed.tell(key(7), [fork("sh"), exec("x")]);
    at.proc.move_to(7, &[1]);
    at.fed.tell(key(7), [Change::Cgroup]);
    assert_eq!(at.next(), only(&[key(7)]));
    at.proc.move_to(7, &[]);
    at.fed.tell(key(7), [Change::Cgroup]);
    assert_eq!(at.next(), only(&[]));
    // One that begins elsewhere than who forked it, nested two deep.
    at.proc.move_to(8, &[1, 2]);
    at.fed.tell(key(8), [Change::Fork { comm: "sh".into(), ppid: 7, forker: 7, moved: true }]);
    assert_eq!(at.next(), only(&[key(8)]));
    at.engine.shutdown();
}

#[test]
fn a_process_that_ended_stays_until_its_sockets_are_closed_and_one_that_gets_its_pid_takes_its_place() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &redis());
    at.fed.tell(key(7), [fork("sh"), exec("redis")]);
    assert_eq!(at.next(), only(&[key(7)]));
    at.fed.tell(key(7), [Change::Exit]);
    let second = ProcKey { start_ticks: 9999, ..key(7) };
    at.fed.tell(second, [fork("sh")]);
    assert_eq!(at.next(), only(&[]), "the pid is another's");
    at.fed.tell(second, [exec("redis")]);
    assert_eq!(at.next(), only(&[second]));
    at.engine.shutdown();

    let at = Tracked::start(SOON, Fed::new(&[]), &redis());
    at.fed.tell(key(7), [fork("sh"), exec("redis")]);
    assert_eq!(at.next(), only(&[key(7)]));
    at.fed.tell(key(7), [Change::Exit]);
    assert_eq!(at.next(), only(&[]), "some intervals later");
    at.engine.shutdown();
}

#[test]
fn a_process_that_began_and_ended_before_anybody_looked_is_no_news() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &redis());
    at.fed.tell(key(7), [fork("sh"), exec("redis"), Change::Exit]);
    at.fed.tell(key(8), [fork("sh"), exec("redis")]);
    assert_eq!(at.next(), only(&[key(8)]));
    at.engine.shutdown();
}

#[test]
fn a_loss_is_counted_and_everything_is_looked_at_again() {
    let at = Tracked::start(SOON, Fed::new(&[]), &redis());
    let unseen = Fake::new(30, "redis");
    at.proc.put(&unseen);
    at.fed.lose(3);
    assert_eq!(at.next(), only(&[unseen.key()]));
    at.until(|engine| engine.tracker_counts().reconciles > 0);
    let counts = at.engine.tracker_counts();
    assert_eq!((counts.lost.ring_full, counts.reconciles), (3, 1));
    at.engine.shutdown();
}

#[test]
fn with_a_tracker_a_new_selection_reads_nothing_that_is_known() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &redis());
    at.fed.tell(key(7), [fork("sh"), exec("redis")]);
    assert_eq!(at.next(), only(&[key(7)]));
    // A process that nobody told of proves that /proc was not listed.
    at.proc.put(&Fake::new(30, "redis-x"));
    let resolved = at.engine.set("io", &comms(Mode::Include, &["redis"]), false);
    assert_eq!(resolved.scope, only(&[key(7)]));
    // What was not wanted before is read of those that are known.
    let line =
        ProcName { comm: None, cmdline: Some(regex::Regex::new("^shell$").expect("valid")), label: None };
    let selectors = Selectors { proc_name: vec![line], ..Selectors::default() };
    let resolved = at.engine.set("io", &Selection { mode: Mode::Include, selectors }, false);
    assert_eq!(resolved.scope, only(&[Fake::new(1, "sh").key()]));
    at.engine.shutdown();
}

#[test]
fn the_tracker_is_attached_for_the_first_selection_that_needs_it_and_detached_after_the_last() {
    let fed = Fed::new(&[]);
    let at = Tracked::start(NEVER, fed.clone(), &redis());
    assert!(fed.attached());
    at.engine.set("io", &redis(), false);
    at.engine.remove("tcp");
    assert_eq!(fed.0.attaches.load(Ordering::SeqCst), 1);
    // Bound processes and the whole host need none.
    at.engine.set("io", &ids(Mode::Include, &[key(1)]), false);
    at.until(|engine| engine.tracker() == TrackerState::Idle);
    at.until(|_| !fed.attached());
    at.engine.set("io", &comms(Mode::Exclude, &[]), false);
    at.engine.set("tcp", &redis(), false);
    at.until(|engine| matches!(engine.tracker(), TrackerState::Attached(_)));
    assert_eq!(fed.0.attaches.load(Ordering::SeqCst), 2);
    at.engine.shutdown();
    assert!(!fed.attached(), "also at the end");
}

#[test]
fn without_a_tracker_processes_are_scanned_for_and_it_is_said_what_is_missing() {
    let fed = Fed::new(&[]);
    *fed.0.missing.lock().expect("not poisoned") = vec!["no BTF".to_owned()];
    let proc = FakeProc::new();
    let (news, heard) = channel();
    let on_change = Box::new(move |feature, resolved: Resolved| drop(news.send((feature, resolved.scope))));
    let engine =
        ScopeEngine::start(&proc.root(), Registry::default(), SOON, fed.attach(), on_change).expect("starts");
    assert_eq!(engine.tracker(), TrackerState::Idle);
    engine.set("tcp", &redis(), false);
    let later = Fake::new(30, "redis");
    proc.put(&later);
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(("tcp", only(&[later.key()]))));
    assert_eq!(engine.tracker(), TrackerState::Absent(vec!["no BTF".to_owned()]));
    assert_eq!(fed.0.attaches.load(Ordering::SeqCst), 1, "it is not tried over and over");
    engine.remove("tcp");
    let end = Instant::now() + PATIENCE;
    while engine.tracker() != TrackerState::Idle && Instant::now() < end {
        std::thread::yield_now();
    }
    engine.set("tcp", &redis(), false);
    while fed.0.attaches.load(Ordering::SeqCst) < 2 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!(fed.0.attaches.load(Ordering::SeqCst), 2, "but when it is needed anew");
    engine.shutdown();
}

#[test]
fn what_a_tracker_does_not_tell_is_scanned_for() {
    let at = Tracked::start(SOON, Fed::new(&["names: tracepoint task_rename: not in this kernel"]), &redis());
    let later = Fake::new(30, "redis");
    at.proc.put(&later);
    assert_eq!(at.next(), only(&[later.key()]));
    let state = at.engine.tracker();
    assert!(matches!(&state, TrackerState::Attached(lacks) if lacks.len() == 1), "{state:?}");
    at.engine.shutdown();
}

#[test]
fn the_kernel_is_told_of_a_selection_and_what_it_concluded_is_put_right_for_those_that_live() {
    let at = Tracked::start(NEVER, Fed::new(&[]), &redis());
    let names = || {
        let foreseen = at.fed.0.foreseen.lock().expect("not poisoned").clone();
        foreseen.map(|foresight| (foresight.looks, foresight.names.len()))
    };
    // `redis` stands in the expression.
    at.until(|_| names() == Some((Looks::Name, 1)));
    let early = Early::in_some();
    at.fed.tell_early(key(7), [exec("redis-server")], early);
    assert_eq!(at.next(), only(&[key(7)]));
    at.until(|_| names() == Some((Looks::Name, 2)));
    at.fed.tell_early(key(8), [exec("sh")], early);
    at.fed.tell_early(key(9), [exec("redis-cli"), Change::Exit], early);
    // Learnt of a process that nobody was told of.
    at.until(|_| names() == Some((Looks::Name, 3)));
    let right = at.fed.0.right.lock().expect("not poisoned").clone();
    assert_eq!(right, [(7, vec!["tcp"]), (8, vec![])], "and nothing of what has ended");
    assert_eq!(at.engine.tracker_counts().names_left_out, 3);
    assert!(name("redis-cli").is_some_and(|name| {
        let foreseen = at.fed.0.foreseen.lock().expect("not poisoned");
        foreseen.as_ref().is_some_and(|foresight| foresight.names.contains(&name))
    }));
    at.engine.set("tcp", &comms(Mode::Include, &["^[n]ginx$"]), false);
    at.until(|_| names() == Some((Looks::Name, 0)));
}
