//! The engine's thread: what it reports, when, and in which order.

use super::*;
use crate::feature::{Mode, Selectors};
use crate::scope::fake::{Fake, FakeProc, comms, name};
use crate::scope::no_tracker;
use probe_core::Scope;
use std::sync::mpsc::{Receiver, Sender, channel};

const SOON: Duration = Duration::from_millis(1);
const NEVER: Duration = Duration::from_secs(86_400);
/// A test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(proc: &FakeProc, interval: Duration) -> (ScopeEngine, Receiver<(&'static str, Scope)>) {
    let (news, heard) = channel();
    let on_change = Box::new(move |feature, resolved: Resolved| drop(news.send((feature, resolved.scope))));
    let engine = ScopeEngine::start(&proc.root(), Registry::default(), interval, no_tracker(), on_change);
    (engine.expect("starts"), heard)
}

fn only(keys: &[ProcKey]) -> Scope {
    Scope::Only(Arc::new(keys.iter().copied().collect()))
}

#[test]
fn a_process_that_starts_is_reported_with_the_whole_scope() {
    let proc = FakeProc::new();
    let (first, second) = (Fake::new(10, "redis"), Fake::new(11, "redis"));
    proc.put(&first);
    let (engine, heard) = start(&proc, SOON);
    assert_eq!(engine.set("tcp", &comms(Mode::Include, &["redis"]), false).scope, only(&[first.key()]));
    proc.put(&Fake { comm: "nginx", ..second.clone() });
    proc.put(&second);
    let news = heard.recv_timeout(PATIENCE).expect("reported");
    assert_eq!(news, ("tcp", only(&[first.key(), second.key()])));
    engine.shutdown();
    assert!(heard.try_recv().is_err(), "reported once");
}

#[test]
fn a_removed_feature_is_not_reported_and_has_no_targets() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "redis"));
    let (engine, heard) = start(&proc, SOON);
    engine.set("tcp", &comms(Mode::Include, &["redis"]), false);
    assert_eq!(engine.counts("tcp"), (1, 0));
    engine.remove("tcp");
    proc.put(&Fake::new(11, "redis"));
    engine.shutdown();
    assert!(heard.try_recv().is_err());
    assert_eq!(engine.targets("tcp"), Targets::default());
    assert_eq!(engine.explain("tcp", 10).reason, "tcp is not running");
}

#[test]
fn news_that_were_overtaken_by_a_set_are_followed_by_the_current_scope() {
    let proc = FakeProc::new();
    let (redis, nginx) = (Fake::new(10, "redis"), Fake::new(11, "nginx"));
    // The receiver holds the first report back until a newer selection has been set.
    let (news, heard) = channel();
    let (go, held): (Sender<()>, Receiver<()>) = channel();
    let on_change = Box::new(move |feature, resolved: Resolved| {
        let _ = held.recv();
        let _ = news.send((feature, resolved.scope));
    });
    let engine = ScopeEngine::start(&proc.root(), Registry::default(), NEVER, no_tracker(), on_change)
        .expect("starts");
    engine.set("tcp", &comms(Mode::Include, &["redis"]), false);
    proc.put(&redis).put(&nginx);
    // The look that another feature needs finds the news for "tcp".
    engine.set("io", &comms(Mode::Include, &["x"]), false);
    while !engine.0.work().reported.contains("tcp") {
        std::thread::yield_now();
    }
    assert_eq!(engine.set("tcp", &comms(Mode::Include, &["nginx"]), false).scope, only(&[nginx.key()]));
    drop(go);
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(("tcp", only(&[redis.key()]))));
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(("tcp", only(&[nginx.key()]))));
    engine.shutdown();
}

#[test]
fn the_receiver_of_news_may_call_the_engine() {
    let proc = FakeProc::new();
    let (news, heard) = channel();
    let handle: Arc<Mutex<Option<ScopeEngine>>> = Arc::default();
    let inner = Arc::clone(&handle);
    let on_change = Box::new(move |feature, _: Resolved| {
        let engine = inner.lock().expect("not poisoned").clone().expect("set before");
        let scope = engine.set(feature, &comms(Mode::Exclude, &[]), false).scope;
        let _ = news.send(scope);
    });
    let engine =
        ScopeEngine::start(&proc.root(), Registry::default(), SOON, no_tracker(), on_change).expect("starts");
    *handle.lock().expect("not poisoned") = Some(engine.clone());
    engine.set("tcp", &comms(Mode::Include, &["redis"]), false);
    proc.put(&Fake::new(10, "redis"));
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(Scope::All));
    engine.shutdown();
    handle.lock().expect("not poisoned").take();
}

#[test]
fn labels_targets_and_explanations_agree_with_the_scope() {
    let proc = FakeProc::new();
    let (redis, nginx) = (Fake::new(10, "redis"), Fake::new(11, "nginx"));
    proc.put(&redis).put(&nginx);
    let (engine, _heard) = start(&proc, NEVER);
    let proc_name = vec![name("^red", "", Some(("app", "cache"))), name("nginx", "", None)];
    let selectors = Selectors { proc_name, ..Selectors::default() };
    engine.set("tcp", &Selection { mode: Mode::Include, selectors }, false);
    let label = engine.user_label("tcp", redis.key()).expect("labelled");
    assert_eq!(*label, ("app".to_owned(), "cache".to_owned()));
    assert_eq!(engine.user_label("tcp", nginx.key()), None);
    let targets = engine.targets("tcp");
    assert_eq!(targets.total, 2);
    assert_eq!(targets.items[0].why, "proc_name[0] (comm /^red/)");
    assert_eq!((targets.items[1].key, targets.items[1].comm.as_str()), (nginx.key(), "nginx"));
    assert!(engine.explain("tcp", 11).observed);
    let absent = engine.explain("tcp", 12);
    assert_eq!((absent.exists, absent.reason.as_str()), (false, "no process has pid 12"));
    assert_eq!((engine.process(10), engine.process(12)), (Some(redis.key()), None));
    engine.shutdown();
}

#[test]
fn a_long_list_of_targets_is_cut_and_the_total_told() {
    let proc = FakeProc::new();
    for pid in 1..=1100 {
        proc.put(&Fake::new(pid, "many"));
    }
    let (engine, _heard) = start(&proc, NEVER);
    engine.set("tcp", &comms(Mode::Include, &["many"]), false);
    let targets = engine.targets("tcp");
    assert_eq!((targets.total, targets.items.len(), engine.counts("tcp").0), (1100, 1000, 1100));
    assert_eq!(targets.items[0].key.tgid, 1);
    engine.shutdown();
}

#[test]
fn a_second_shutdown_and_a_set_after_it_are_harmless() {
    let proc = FakeProc::new();
    let (engine, _heard) = start(&proc, SOON);
    engine.shutdown();
    engine.shutdown();
    assert_eq!(engine.set("tcp", &comms(Mode::Exclude, &[]), false).scope, Scope::All);
}

#[path = "engine_tracker_tests.rs"]
mod tracker;
