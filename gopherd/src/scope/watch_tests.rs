//! Watched selections over fake /proc trees, and over real processes.

use super::*;
use crate::containers::News;
use crate::feature::{Mode, Selectors};
use crate::scope::bell::Bell;
use crate::scope::facts::Reader;
use crate::scope::fake::{Fake, FakeProc, comms, container_id, ids, known, name};
use crate::scope::table::{LINGERS, TURNS};
use probe_core::{ProcSet, Scope};
use probe_kit::bpf::Early;
use probe_kit::tracker::Change;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::proptest;
use std::collections::HashSet;

fn only(keys: &[ProcKey]) -> Scope {
    Scope::Only(Arc::new(keys.iter().copied().collect()))
}

fn by_container(mode: Mode, numbers: &[u32]) -> Selection {
    let short = numbers.iter().map(|number| container_id(*number).short().to_owned());
    Selection { mode, selectors: Selectors { container_id: short.collect(), ..Selectors::default() } }
}

fn called(mode: Mode, text: &str) -> Selection {
    Selection { mode, selectors: Selectors { container_name: vec![text.into()], ..Selectors::default() } }
}

/// The containers in scope by number, each with the pid through which it is reached.
fn targets(watch: &Watch, feature: &str) -> Vec<(u32, u32)> {
    let containers = &watch.get(feature).expect("watched").resolved.containers;
    let number = |target: &ContainerTarget| target.id.as_str().parse().expect("a number");
    containers.iter().map(|target| (number(target), target.process.tgid)).collect()
}

/// A watch whose registry's news go to a bell.
fn watch_with_bell(proc: &FakeProc) -> (Watch, Registry, Arc<Bell>) {
    let (registry, bell) = (Registry::default(), Arc::new(Bell::new().expect("a bell")));
    let told = Arc::clone(&bell);
    registry.on_news(Box::new(move |news: News| told.tell(news)));
    (Watch::new(&proc.root(), registry.clone(), None), registry, bell)
}

fn scope_of(watch: &Watch, feature: &str) -> Scope {
    watch.get(feature).expect("watched").resolved.scope.clone()
}

#[test]
fn a_selection_is_resolved_at_once_and_follows_what_starts_and_ends() {
    let proc = FakeProc::new();
    let (first, second) = (Fake::new(10, "redis"), Fake::new(11, "redis"));
    proc.put(&first).put(&Fake::new(20, "nginx"));
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["^redis"]), false);
    assert_eq!(scope_of(&watch, "tcp"), only(&[first.key()]));
    assert_eq!(watch.rescan(), []);
    proc.put(&second);
    let touched = Effect { scope: true, hits: true };
    assert_eq!(watch.rescan(), [("tcp", touched)]);
    assert_eq!(scope_of(&watch, "tcp"), only(&[first.key(), second.key()]));
    proc.end(10);
    assert_eq!(watch.rescan(), [("tcp", touched)]);
    assert_eq!(scope_of(&watch, "tcp"), only(&[second.key()]));
}

#[test]
fn an_exec_and_a_new_name_match_again() {
    let proc = FakeProc::new();
    let shell = Fake { cmdline: b"sh\0-c\0x\0", ..Fake::new(10, "sh") };
    proc.put(&shell);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    let by_line = Selectors { proc_name: vec![name("", "6379", None)], ..Selectors::default() };
    watch.set("comm", &comms(Mode::Include, &["redis"]), false);
    watch.set("line", &Selection { mode: Mode::Include, selectors: by_line }, false);
    proc.put(&Fake { comm: "redis", image: 6000, cmdline: b"redis\0:6379\0", ..shell.clone() });
    assert_eq!(watch.rescan().len(), 2);
    assert_eq!(scope_of(&watch, "comm"), only(&[shell.key()]));
    assert_eq!(scope_of(&watch, "line"), only(&[shell.key()]));
    proc.put(&Fake { comm: "other", image: 6000, cmdline: b"redis\0:6379\0", ..shell.clone() });
    watch.rescan();
    assert_eq!(scope_of(&watch, "comm"), only(&[]));
    assert_eq!(scope_of(&watch, "line"), only(&[shell.key()]));
}

#[test]
fn a_new_name_that_matches_no_differently_changes_the_hit_and_not_the_scope() {
    let proc = FakeProc::new();
    let before = Fake::new(10, "redis-a");
    proc.put(&before);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]), false);
    proc.put(&Fake { comm: "redis-b", ..before.clone() });
    assert_eq!(watch.rescan(), [("tcp", Effect { scope: false, hits: true })]);
    assert_eq!(watch.get("tcp").expect("watched").hits[&before.key()].comm, "redis-b");
}

#[test]
fn a_pid_that_is_used_again_leaves_every_rule() {
    let proc = FakeProc::new();
    let first = Fake::new(10, "redis");
    let second = Fake { start: 9999, ..first.clone() };
    proc.put(&first);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("id", &ids(Mode::Include, &[first.key()]), false);
    watch.set("name", &comms(Mode::Include, &["redis"]), false);
    proc.end(10).put(&second);
    watch.rescan();
    assert_eq!(scope_of(&watch, "id"), only(&[]));
    assert_eq!(scope_of(&watch, "name"), only(&[second.key()]));
}

#[test]
fn a_bound_process_is_left_when_it_ends_without_listing_the_host() {
    let proc = FakeProc::new();
    let bound = Fake::new(10, "x");
    proc.put(&bound).put(&Fake::new(11, "y"));
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &ids(Mode::Exclude, &[bound.key()]), false);
    assert_eq!(scope_of(&watch, "tcp"), Scope::Except(Arc::new(ProcSet::from([bound.key()]))));
    assert_eq!(watch.table.iter().count(), 1);
    proc.end(10);
    watch.rescan();
    assert_eq!(scope_of(&watch, "tcp"), Scope::Except(Arc::default()));
}

#[test]
fn the_whole_host_needs_no_scans_until_its_containers_are_wanted() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "x")).move_to(10, &[1]);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("all", &comms(Mode::Exclude, &[]), false);
    watch.set("unset", &comms(Mode::Include, &[]), false);
    assert!(!watch.needs_scans());
    assert_eq!(scope_of(&watch, "all"), Scope::All);
    assert_eq!(scope_of(&watch, "unset"), Scope::Unset);
    watch.set("all", &comms(Mode::Exclude, &[]), true);
    assert!(watch.needs_scans());
    assert_eq!((scope_of(&watch, "all"), targets(&watch, "all")), (Scope::All, vec![(1, 10)]));
    watch.set("all", &comms(Mode::Exclude, &[]), false);
    assert!(!watch.needs_scans());
}

#[test]
fn a_container_that_appears_later_is_matched_with_all_that_runs_inside_it() {
    let proc = FakeProc::new();
    let [outside, first, second, nested] = [10, 11, 12, 13].map(|pid| Fake::new(pid, "x"));
    proc.put(&outside).move_to(10, &[]);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &by_container(Mode::Include, &[1]), true);
    assert_eq!((scope_of(&watch, "tcp"), targets(&watch, "tcp")), (only(&[]), vec![]));
    proc.put(&second).move_to(12, &[1]).put(&first).move_to(11, &[1]).put(&nested).move_to(13, &[1, 2]);
    watch.rescan();
    assert_eq!(scope_of(&watch, "tcp"), only(&[first.key(), second.key(), nested.key()]));
    // Each is reached through its oldest process, and the one inside is a container of its own.
    assert_eq!(targets(&watch, "tcp"), [(1, 11), (2, 13)]);
    assert_eq!(watch.get("tcp").expect("watched").matched_containers, 2);
    proc.end(11);
    assert_eq!(watch.rescan(), [("tcp", Effect { scope: true, hits: true })]);
    assert_eq!(targets(&watch, "tcp"), [(1, 12), (2, 13)]);
    proc.end(12).end(13);
    watch.rescan();
    assert_eq!((scope_of(&watch, "tcp"), targets(&watch, "tcp")), (only(&[]), vec![]));
}

#[test]
fn a_blacklist_of_containers_leaves_out_their_processes_and_observes_the_other_containers() {
    let proc = FakeProc::new();
    let [outside, left_out, observed] = [10, 11, 12].map(|pid| Fake::new(pid, "x"));
    proc.put(&outside).put(&left_out).move_to(11, &[1]).put(&observed).move_to(12, &[2]);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &by_container(Mode::Exclude, &[1]), true);
    assert_eq!(scope_of(&watch, "tcp"), Scope::Except(Arc::new(ProcSet::from([left_out.key()]))));
    assert_eq!(targets(&watch, "tcp"), [(2, 12)]);
    assert_eq!(watch.get("tcp").expect("watched").matched_containers, 1);
}

#[test]
fn a_rule_of_processes_chooses_no_container() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "redis")).move_to(10, &[1]).put(&Fake::new(11, "x")).move_to(11, &[2]);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    let mut selection = comms(Mode::Include, &["redis"]);
    watch.set("tcp", &selection, true);
    assert_eq!(targets(&watch, "tcp"), []);
    // It stays the first rule of a process that a container rule matches too.
    selection.selectors.container_id = by_container(Mode::Include, &[1]).selectors.container_id;
    watch.set("tcp", &selection, true);
    assert_eq!(targets(&watch, "tcp"), [(1, 10)]);
    assert_eq!(watch.get("tcp").expect("watched").hits.len(), 1);
}

#[test]
fn a_process_that_is_moved_follows_its_container_within_a_round() {
    let proc = FakeProc::new();
    let process = Fake::new(10, "x");
    proc.put(&process);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &by_container(Mode::Include, &[1]), false);
    (0..TURNS).for_each(|_| drop(watch.rescan()));
    let moved = |watch: &mut Watch| (0..TURNS).any(|_| !watch.rescan().is_empty());
    proc.move_to(10, &[1]);
    assert!(moved(&mut watch));
    assert_eq!(scope_of(&watch, "tcp"), only(&[process.key()]));
    proc.move_to(10, &[2]);
    assert!(moved(&mut watch));
    assert_eq!(scope_of(&watch, "tcp"), only(&[]));
}

#[test]
fn a_name_that_is_told_later_matches_the_processes_of_that_container_again() {
    let proc = FakeProc::new();
    let process = Fake::new(10, "x");
    proc.put(&process).move_to(10, &[1]);
    let (mut watch, registry, bell) = watch_with_bell(&proc);
    watch.set("tcp", &called(Mode::Include, "web"), false);
    assert_eq!(scope_of(&watch, "tcp"), only(&[]));
    registry.tell(known(1, Some("web-1"), None));
    assert_eq!(watch.hear(&bell.heard()), [("tcp", Effect { scope: true, hits: true })]);
    assert_eq!(scope_of(&watch, "tcp"), only(&[process.key()]));
    registry.tell(known(1, Some("other"), None));
    watch.hear(&bell.heard());
    assert_eq!(scope_of(&watch, "tcp"), only(&[]));
    assert_eq!(watch.hear(&bell.heard()), [], "no news");
}

#[test]
fn the_first_process_of_a_container_is_looked_at_when_the_runtime_names_it() {
    let proc = FakeProc::new();
    let (mut watch, registry, bell) = watch_with_bell(&proc);
    watch.set("tcp", &by_container(Mode::Include, &[1]), true);
    let process = Fake::new(10, "x");
    proc.put(&process).move_to(10, &[1]);
    registry.started(container_id(1), 10);
    registry.started(container_id(1), 999);
    assert_eq!(watch.hear(&bell.heard()), [("tcp", Effect { scope: true, hits: true })]);
    assert_eq!((scope_of(&watch, "tcp"), targets(&watch, "tcp")), (only(&[process.key()]), vec![(1, 10)]));
    watch.rescan();
    assert_eq!(scope_of(&watch, "tcp"), only(&[process.key()]));
    proc.end(10);
    watch.rescan();
    assert_eq!(scope_of(&watch, "tcp"), only(&[]));
}

#[test]
fn news_are_no_reason_to_look_while_no_selection_lists_processes() {
    let proc = FakeProc::new();
    proc.put(&Fake::new(10, "x")).move_to(10, &[1]);
    let (mut watch, registry, bell) = watch_with_bell(&proc);
    watch.set("tcp", &ids(Mode::Include, &[]), false);
    registry.started(container_id(1), 10);
    assert_eq!(watch.hear(&bell.heard()), []);
    assert_eq!(watch.table.iter().count(), 0);
}

#[test]
fn after_too_many_news_everything_is_looked_at_again() {
    let proc = FakeProc::new();
    let (mut watch, registry, bell) = watch_with_bell(&proc);
    watch.set("tcp", &called(Mode::Include, "web"), false);
    let (before, after) = (Fake::new(10, "x"), Fake::new(11, "x"));
    proc.put(&before).move_to(10, &[1]);
    watch.rescan();
    proc.put(&after).move_to(11, &[1]);
    registry.tell(known(1, Some("web-1"), None));
    drop(bell.heard());
    let heard = Heard { too_much: true, ..Heard::default() };
    assert_eq!(watch.hear(&heard).len(), 1);
    assert_eq!(scope_of(&watch, "tcp"), only(&[before.key(), after.key()]));
}

#[test]
fn a_replaced_selection_leaves_nothing_behind_and_the_last_one_frees_the_table() {
    let proc = FakeProc::new();
    let (a, b) = (Fake::new(10, "a"), Fake::new(11, "b"));
    proc.put(&a).put(&b);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["a"]), false);
    watch.set("tcp", &comms(Mode::Include, &["b"]), false);
    assert_eq!(scope_of(&watch, "tcp"), only(&[b.key()]));
    watch.set("io", &comms(Mode::Include, &["a"]), false);
    watch.remove("io");
    assert_eq!(watch.table.iter().count(), 2);
    watch.set("tcp", &comms(Mode::Exclude, &[]), false);
    assert_eq!(watch.table.iter().count(), 0);
}

#[test]
fn setting_one_feature_tells_what_it_found_out_for_another() {
    let proc = FakeProc::new();
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]), false);
    proc.put(&Fake::new(10, "redis"));
    let effects = watch.set("io", &comms(Mode::Include, &["redis"]), false);
    assert_eq!(effects, [("tcp", Effect { scope: true, hits: true })]);
}

#[test]
fn a_proc_that_cannot_be_read_leaves_scopes_as_they_are() {
    let proc = FakeProc::new();
    let process = Fake::new(10, "redis");
    proc.put(&process);
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["redis"]), false);
    std::fs::rename(proc.root(), proc.0.path("elsewhere")).expect("moved");
    assert_eq!(watch.rescan(), []);
    assert_eq!(scope_of(&watch, "tcp"), only(&[process.key()]));
}

/// What happens to a fake host and its containers.
#[derive(Clone, Debug)]
enum Step {
    Put(u32, &'static str, u64),
    End(u32),
    Move(u32, Vec<u32>),
    Tell(u32, Option<&'static str>, Option<&'static str>),
    Started(u32),
    Hear,
    Rescan,
}

fn a_step() -> impl Strategy<Value = Step> {
    let comm = prop_oneof![Just("redis"), Just("nginx"), Just("sh")];
    let called = prop_oneof![Just(None), Just(Some("web-1")), Just(Some("db"))];
    let pod = prop_oneof![Just(None), Just(Some("p1")), Just(Some("p2"))];
    prop_oneof![
        (1u32..8, comm, 1u64..4).prop_map(|(pid, comm, start)| Step::Put(pid, comm, start)),
        (1u32..8).prop_map(Step::End),
        (1u32..8, vec(1u32..5, 0..3)).prop_map(|(pid, place)| Step::Move(pid, place)),
        (1u32..5, called, pod).prop_map(|(number, name, pod)| Step::Tell(number, name, pod)),
        (1u32..8).prop_map(Step::Started),
        Just(Step::Hear),
        Just(Step::Rescan),
    ]
}

fn a_selection() -> impl Strategy<Value = Selection> {
    let mode = prop_oneof![Just(Mode::Include), Just(Mode::Exclude)];
    let some = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        proptest::sample::subsequence(texts, 0..=2)
    };
    let bound = ProcKey { tgid: 3, start_ticks: 2 };
    let (ids_of, names_of) = (ids(Mode::Include, &[bound]), comms(Mode::Exclude, &["^redis", "sh"]));
    (
        mode,
        0usize..2,
        0usize..3,
        some(&["p1", "p2"]),
        some(&["000000000001", "000000000002"]),
        some(&["web", "b"]),
    )
        .prop_map(move |(mode, ids, names, pod_id, container_id, container_name)| {
            let proc_id = ids_of.selectors.proc_id.iter().take(ids).copied().collect();
            let proc_name = names_of.selectors.proc_name.iter().take(names).cloned().collect();
            Selection {
                mode,
                selectors: Selectors { proc_id, proc_name, pod_id, container_id, container_name },
            }
        })
}

/// Does a step to the host; what looks at it is left to the test.
fn perform(step: &Step, proc: &FakeProc, registry: &Registry) {
    match step {
        Step::Put(pid, comm, start) => {
            proc.put(&Fake { start: *start, ..Fake::new(*pid, comm) });
        }
        Step::End(pid) => {
            let _ = std::fs::remove_dir_all(proc.root().join(pid.to_string()));
        }
        Step::Move(pid, place) if proc.root().join(pid.to_string()).exists() => {
            proc.move_to(*pid, place);
        }
        Step::Tell(number, name, pod) => registry.tell(known(*number, *name, *pod)),
        Step::Started(pid) => registry.started(container_id(1), *pid),
        Step::Move(..) | Step::Hear | Step::Rescan => {}
    }
}

/// What the process tracker tells when `step` is done to the host as it is.
fn told_of(step: &Step, proc: &FakeProc) -> Vec<Event> {
    let has = |pid: u32| Reader::new(&proc.root()).stat(pid).ok().map(|facts| facts.key);
    let event = |process, change| Event { process, change, early: Early::default() };
    match step {
        Step::Put(pid, comm, start) => {
            let process = ProcKey { tgid: *pid, start_ticks: *start };
            let before = has(*pid);
            let mut events = Vec::new();
            if before != Some(process) {
                events.extend(before.map(|before| event(before, Change::Exit)));
                // Of the fake hosts' cgroups only the files know.
                let fork = Change::Fork { comm: "x".into(), ppid: 1, forker: 1, moved: true };
                events.push(event(process, fork));
            }
            events.push(event(process, Change::Exec { comm: (*comm).into(), ppid: 1, image: [5000; 3] }));
            events
        }
        Step::End(pid) => has(*pid).map(|process| event(process, Change::Exit)).into_iter().collect(),
        Step::Move(pid, _) => has(*pid).map(|process| event(process, Change::Cgroup)).into_iter().collect(),
        Step::Tell(..) | Step::Started(_) | Step::Hear | Step::Rescan => Vec::new(),
    }
}

const FEATURES: [&str; 2] = ["tcp", "io"];

type Selections = [(Selection, bool)];

fn set_all(watch: &mut Watch, selections: &Selections) {
    for (feature, (selection, containers)) in FEATURES.iter().zip(selections) {
        watch.set(feature, selection, *containers);
    }
}

/// Asserts that `watch` knows what one that looks for the first time does.
fn assert_as_fresh(watch: &Watch, proc: &FakeProc, registry: &Registry, selections: &Selections) {
    let mut fresh = Watch::new(&proc.root(), registry.clone(), None);
    set_all(&mut fresh, selections);
    for (feature, _) in FEATURES.iter().zip(selections) {
        let followed = watch.get(feature).expect("watched");
        let fresh = fresh.get(feature).expect("watched");
        assert_eq!(followed.resolved, fresh.resolved);
        assert_eq!(followed.matched_containers, fresh.matched_containers);
        assert_eq!(followed.containers, fresh.containers);
        let rules = |watched: &Watched| {
            let mut rules: Vec<_> = watched.hits.iter().map(|(key, hit)| (*key, hit.rule)).collect();
            rules.sort_unstable_by_key(|(key, _)| *key);
            rules
        };
        assert_eq!(rules(followed), rules(fresh));
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 128, ..Default::default() })]
    #[test]
    fn following_changes_ends_where_a_fresh_look_does(
        steps in vec(a_step(), 0..32),
        selections in vec((a_selection(), proptest::bool::ANY), 1..3),
    ) {
        let proc = FakeProc::new();
        let (mut watch, registry, bell) = watch_with_bell(&proc);
        set_all(&mut watch, &selections);
        for step in steps {
            perform(&step, &proc, &registry);
            match step {
                Step::Hear => drop(watch.hear(&bell.heard())),
                Step::Rescan => drop(watch.rescan()),
                _ => {}
            }
        }
        // Nothing is read more rarely than once in this many scans, and what they find may be news.
        for _ in 0..TURNS {
            watch.rescan();
            watch.hear(&bell.heard());
        }
        assert_as_fresh(&watch, &proc, &registry, &selections);
    }

    #[test]
    fn following_the_tracker_ends_where_a_fresh_look_does_without_any_look_if_nothing_is_lost(
        steps in vec((a_step(), proptest::bool::weighted(0.9)), 0..32),
        selections in vec((a_selection(), proptest::bool::ANY), 1..3),
    ) {
        let proc = FakeProc::new();
        let (mut watch, registry, bell) = watch_with_bell(&proc);
        set_all(&mut watch, &selections);
        watch.reconcile(true);
        let (mut lost, mut ended) = (false, HashSet::new());
        for (step, told) in steps {
            // The kernel never gives a process the number and the start of one that has ended.
            if matches!(&step, Step::Put(pid, _, start) if ended.contains(&ProcKey { tgid: *pid, start_ticks: *start })) {
                continue;
            }
            let events = told_of(&step, &proc);
            ended.extend(events.iter().filter(|event| matches!(event.change, Change::Exit)).map(|event| event.process));
            perform(&step, &proc, &registry);
            if told {
                watch.track(&events);
            } else {
                lost |= !events.is_empty();
            }
            if let Step::Hear = step {
                watch.hear(&bell.heard());
            }
        }
        if lost {
            watch.reconcile(true);
        }
        if !watch.needs_tracker() {
            // Nobody attaches one for these.
            watch.rescan();
        }
        for _ in 0..=LINGERS {
            watch.hear(&bell.heard());
            watch.turn();
        }
        assert_as_fresh(&watch, &proc, &registry, &selections);
    }
}

#[test]
fn a_process_that_no_scope_has_leaves_with_its_end_and_one_that_a_scope_has_a_while_later() {
    let proc = FakeProc::new();
    let mut watch = Watch::new(&proc.root(), Registry::default(), None);
    watch.set("tcp", &comms(Mode::Include, &["^redis$"]), false);
    watch.reconcile(true);
    let event =
        |tgid, change| Event { process: ProcKey { tgid, start_ticks: 1 }, change, early: Early::default() };
    let exec = |comm: &str| Change::Exec { comm: comm.into(), ppid: 1, image: [1; 3] };
    watch.track(&[event(10, exec("redis")), event(11, exec("sh"))]);
    watch.track(&[event(10, Change::Exit), event(11, Change::Exit)]);
    assert_eq!(watch.table.iter().map(|facts| facts.key.tgid).collect::<Vec<_>>(), [10]);
    let turns = (0..).take_while(|_| watch.turn().is_empty()).count();
    assert_eq!((turns as u64 + 1, watch.table.iter().count()), (LINGERS, 0));
    assert_eq!(scope_of(&watch, "tcp"), only(&[]));
}

#[path = "watch_real_tests.rs"]
mod real;
