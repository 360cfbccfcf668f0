//! What matches what, as a table, and the algebra of selections as properties.

use super::*;
use crate::feature::{ProcId, Selectors};
use crate::scope::fake::{container_id, facts, in_container, known, name};
use probe_core::ProcSet;
use proptest::collection::vec;
use proptest::prelude::prop;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::proptest;

const OWN: u32 = 500;

fn selectors(proc_name: Vec<ProcName>) -> Selectors {
    Selectors { proc_name, ..Selectors::default() }
}

fn id(pid: u32, start_ticks: u64) -> ProcId {
    ProcId { pid, process: Some(ProcKey { tgid: pid, start_ticks }) }
}

#[test]
fn an_entry_matches_when_all_its_given_parts_are_found() {
    let process = facts(7, 1, "redis-server", "/usr/bin/redis-server *:6379");
    for (comm, cmdline, expected) in [
        ("redis", "", true),
        ("edis", "", true),
        ("^redis", "", true),
        ("^server", "", false),
        ("server$", "", true),
        ("", ":6379", true),
        ("", "^redis", false),
        ("redis", "6379", true),
        ("redis", "6380", false),
        ("nginx", "6379", false),
    ] {
        let found =
            matches(&selectors(vec![name(comm, cmdline, None)]), &process, None, &Registry::default());
        assert_eq!(found.is_some(), expected, "{comm:?} {cmdline:?}");
    }
}

#[test]
fn a_command_line_that_was_not_read_or_is_empty_matches_no_expression_that_wants_text() {
    let unread = ProcFacts { cmdline: None, ..facts(7, 1, "x", "") };
    let any_text = selectors(vec![name("", ".", None)]);
    assert_eq!(matches(&any_text, &unread, None, &Registry::default()), None);
    assert_eq!(matches(&any_text, &facts(2, 0, "kthreadd", ""), None, &Registry::default()), None);
    assert!(
        matches(
            &selectors(vec![name("", "^$", None)]),
            &facts(2, 0, "kthreadd", ""),
            None,
            &Registry::default()
        )
        .is_some()
    );
}

#[test]
fn the_first_rule_is_named_and_the_first_matching_label_is_given() {
    let process = facts(7, 1, "redis", "");
    let all = Selectors {
        proc_id: vec![id(9, 9), id(7, 7)],
        proc_name: vec![
            name("nginx", "", Some(("app", "web"))),
            name("redis", "", None),
            name("^red", "", Some(("app", "cache"))),
            name("dis$", "", Some(("app", "other"))),
        ],
        ..Selectors::default()
    };
    let expected = Match { rule: Rule::ProcId(1), label: Some(2), by_container: false };
    assert_eq!(matches(&all, &process, None, &Registry::default()), Some(expected));
    let by_name = Selectors { proc_id: vec![], ..all };
    assert_eq!(
        matches(&by_name, &process, None, &Registry::default()),
        Some(Match { rule: Rule::ProcName(1), label: Some(2), by_container: false })
    );
}

#[test]
fn a_bound_pid_is_one_process_and_neither_its_successor_nor_its_child() {
    let selectors = Selectors { proc_id: vec![id(7, 7)], ..Selectors::default() };
    let bound = facts(7, 1, "x", "");
    let successor = ProcFacts { key: ProcKey { tgid: 7, start_ticks: 8 }, ..bound.clone() };
    assert!(matches(&selectors, &bound, None, &Registry::default()).is_some());
    assert_eq!(matches(&selectors, &successor, None, &Registry::default()), None);
    assert_eq!(matches(&selectors, &facts(8, 7, "x", ""), None, &Registry::default()), None);
    let unbound = Selectors { proc_id: vec![ProcId { pid: 7, process: None }], ..Selectors::default() };
    assert_eq!(matches(&unbound, &bound, None, &Registry::default()), None);
}

#[test]
fn the_daemon_and_its_children_are_matched_by_proc_id_only() {
    let own = facts(OWN, 1, "gopherd", "");
    let child = facts(600, OWN, "python3", "");
    let grandchild = facts(601, 600, "python3", "");
    let by_name = selectors(vec![name(".", "", Some(("a", "b")))]);
    assert_eq!(matches(&by_name, &own, Some(OWN), &Registry::default()), None);
    assert_eq!(matches(&by_name, &child, Some(OWN), &Registry::default()), None);
    assert!(matches(&by_name, &grandchild, Some(OWN), &Registry::default()).is_some());
    let by_id = Selectors { proc_id: vec![id(OWN, u64::from(OWN)), id(600, 600)], ..by_name };
    assert_eq!(
        matches(&by_id, &own, Some(OWN), &Registry::default()),
        Some(Match { rule: Rule::ProcId(0), label: None, by_container: false })
    );
    assert_eq!(
        matches(&by_id, &child, Some(OWN), &Registry::default()),
        Some(Match { rule: Rule::ProcId(1), label: None, by_container: false })
    );
}

#[test]
fn a_process_is_matched_by_what_any_of_its_containers_is_called_and_never_the_daemon() {
    let registry = registry();
    let inner_and_outer = [container_id(3), container_id(1)];
    let process = in_container(facts(7, 1, "x", ""), &inner_and_outer.iter().collect::<Vec<_>>());
    let one = |text: &str| vec![text.to_owned()];
    let none = Selectors::default;
    for (selectors, expected) in [
        (Selectors { container_id: one("000000000003"), ..none() }, Some(Rule::ContainerId(0))),
        (Selectors { container_id: one("000000000001"), ..none() }, Some(Rule::ContainerId(0))),
        (Selectors { container_id: one("000000000002"), ..none() }, None),
        (Selectors { container_id: one("00000000000"), ..none() }, None),
        (Selectors { container_name: one("eb-"), ..none() }, Some(Rule::ContainerName(0))),
        (Selectors { container_name: one("^web"), ..none() }, None),
        (Selectors { container_name: one("db"), ..none() }, Some(Rule::ContainerName(0))),
        (Selectors { pod_id: one("p1"), ..none() }, Some(Rule::PodId(0))),
        (Selectors { pod_id: one("p3"), ..none() }, None),
    ] {
        let found = matches(&selectors, &process, Some(OWN), &registry);
        let expected = expected.map(|rule| Match { rule, label: None, by_container: true });
        assert_eq!(found, expected, "{selectors:?}");
        assert_eq!(matches(&selectors, &process, Some(7), &registry), None, "its own");
        let unread = ProcFacts { place: None, ..process.clone() };
        assert_eq!(matches(&selectors, &unread, None, &registry), None);
    }
    // What the container is called may be told later.
    let unknown = in_container(facts(8, 1, "x", ""), &[&container_id(6)]);
    let later = Selectors { container_name: one("later"), pod_id: one("p6"), ..none() };
    assert_eq!(matches(&later, &unknown, None, &registry), None);
    registry.tell(known(6, Some("the-later-one"), Some("p6")));
    assert_eq!(matches(&later, &unknown, None, &registry).map(|found| found.rule), Some(Rule::PodId(0)));
}

#[test]
fn without_selectors_the_mode_decides_and_selectors_that_match_nothing_are_not_everything() {
    let container = Selectors { container_id: vec!["0123456789ab".into()], ..Selectors::default() };
    let pods = Selectors { pod_id: vec!["p".into()], ..Selectors::default() };
    let nothing: Arc<ProcSet> = Arc::default();
    for (mode, selectors, expected) in [
        (Mode::Include, Selectors::default(), Scope::Unset),
        (Mode::Exclude, Selectors::default(), Scope::All),
        (Mode::Include, container.clone(), Scope::Only(Arc::clone(&nothing))),
        (Mode::Include, pods, Scope::Only(Arc::clone(&nothing))),
        (Mode::Exclude, container, Scope::Except(nothing)),
    ] {
        assert_eq!(scope(&Selection { mode, selectors }, []), expected);
    }
}

#[test]
fn a_listing_is_no_larger_than_the_rules_need() {
    let ids = Selectors { proc_id: vec![id(7, 7), id(9, 9)], ..Selectors::default() };
    let unbound = Selectors { proc_id: vec![ProcId { pid: 7, process: None }], ..Selectors::default() };
    assert_eq!(listing(&Selectors::default()), Listing::Nothing);
    assert_eq!(listing(&unbound), Listing::Nothing);
    assert_eq!(listing(&ids), Listing::Pids([7, 9].into()));
    assert_eq!(listing(&selectors(vec![name("x", "", None)])), Listing::All);
    let pods = Selectors { pod_id: vec!["p".into()], ..Selectors::default() };
    assert_eq!(listing(&pods), Listing::All);
    let more = Listing::Pids([9, 11].into());
    assert_eq!(listing(&ids).with(more.clone()), Listing::Pids([7, 9, 11].into()));
    assert_eq!(more.clone().with(Listing::Nothing), more);
    assert_eq!(Listing::Nothing.with(Listing::All), Listing::All);
}

/// A few names and words, so that rules and processes often meet.
fn a_process() -> impl Strategy<Value = ProcFacts> {
    let comm = prop_oneof![Just("redis"), Just("nginx"), Just("sh"), Just("a) b (c"), Just("")];
    (1u32..40, 1u32..40, comm, "[abc \u{fffd}]{0,6}", a_place()).prop_map(
        |(pid, ppid, comm, cmdline, place)| {
            let place: Vec<_> = place.into_iter().map(container_id).collect();
            in_container(facts(pid, ppid, comm, &cmdline), &place.iter().collect::<Vec<_>>())
        },
    )
}

/// In up to three of six containers, one inside the other.
fn a_place() -> impl Strategy<Value = Vec<u32>> {
    prop::sample::subsequence(vec![1u32, 2, 3, 4, 5, 6], 0..=3)
}

/// What was told about those: names that share parts, two pods, and one of which nothing is known.
fn registry() -> Registry {
    let registry = Registry::default();
    let told =
        [(1, "web-1", "p1"), (2, "web-2", "p1"), (3, "db", "p2"), (4, "cache", "p2"), (5, "web", "p3")];
    told.iter().for_each(|(number, name, pod)| registry.tell(known(*number, Some(name), Some(pod))));
    registry
}

fn a_name() -> impl Strategy<Value = ProcName> {
    let comm = prop_oneof![Just("redis"), Just("^n"), Just("s"), Just(".*"), Just("\\(")];
    let cmdline = prop_oneof![Just(""), Just("a"), Just("^b"), Just("c$")];
    (comm, cmdline, any::<bool>())
        .prop_map(|(comm, cmdline, label)| name(comm, cmdline, label.then_some(("k", "v"))))
}

fn some_selectors() -> impl Strategy<Value = Selectors> {
    let texts = |texts: &[&str], most| {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        prop::sample::subsequence(texts, 0..=most)
    };
    let pods = texts(&["p1", "p2", "p9"], 1);
    let containers = texts(&["000000000001", "000000000006", "000000000009"], 2);
    let names = texts(&["web", "web-1", "b", "nosuch"], 1);
    (vec(a_name(), 0..4), vec((1u32..40, 1u64..40), 0..4), pods, containers, names).prop_map(
        |(proc_name, ids, pod_id, container_id, container_name)| Selectors {
            proc_id: ids.into_iter().map(|(pid, start)| id(pid, start)).collect(),
            proc_name,
            pod_id,
            container_id,
            container_name,
        },
    )
}

fn matched(selectors: &Selectors, processes: &[ProcFacts]) -> Vec<ProcKey> {
    let registry = registry();
    let found = processes.iter().filter(|facts| matches(selectors, facts, Some(OWN), &registry).is_some());
    found.map(|facts| facts.key).collect()
}

proptest! {
    #[test]
    fn a_blacklist_observes_exactly_what_the_same_snoopers_do_not(
        selectors in some_selectors(),
        processes in vec(a_process(), 0..20),
    ) {
        let matched = matched(&selectors, &processes);
        let include = Selection { mode: Mode::Include, selectors };
        let exclude = Selection { mode: Mode::Exclude, ..include.clone() };
        let (include_scope, exclude_scope) =
            (scope(&include, matched.clone()), scope(&exclude, matched));
        for facts in &processes {
            if include.selectors.is_empty() {
                assert!(include_scope.contains(&facts.key) && exclude_scope.contains(&facts.key));
            } else {
                assert_ne!(include_scope.contains(&facts.key), exclude_scope.contains(&facts.key));
            }
        }
    }

    #[test]
    fn another_rule_never_takes_a_process_away(
        mut selectors in some_selectors(),
        more in a_name(),
        processes in vec(a_process(), 0..20),
    ) {
        let before = matched(&selectors, &processes);
        selectors.proc_name.push(more);
        let after = matched(&selectors, &processes);
        assert!(before.iter().all(|key| after.contains(key)));
    }

    #[test]
    fn rules_are_or_combined(
        selectors in some_selectors(),
        process in a_process(),
    ) {
        let registry = registry();
        let none = Selectors::default;
        let names = selectors.proc_name.iter().map(|e| Selectors { proc_name: vec![e.clone()], ..none() });
        let ids = selectors.proc_id.iter().map(|e| Selectors { proc_id: vec![*e], ..none() });
        let pods = selectors.pod_id.iter().map(|e| Selectors { pod_id: vec![e.clone()], ..none() });
        let short = selectors.container_id.iter();
        let short = short.map(|e| Selectors { container_id: vec![e.clone()], ..none() });
        let called = selectors.container_name.iter();
        let called = called.map(|e| Selectors { container_name: vec![e.clone()], ..none() });
        let mut all = names.chain(ids).chain(pods).chain(short).chain(called);
        let alone = all.any(|one| matches(&one, &process, Some(OWN), &registry).is_some());
        assert_eq!(matches(&selectors, &process, Some(OWN), &registry).is_some(), alone);
    }

    #[test]
    fn a_container_rule_matches_when_any_container_of_the_place_alone_would(
        selectors in some_selectors(),
        process in a_process(),
    ) {
        let registry = registry();
        let place = process.place.clone().expect("read");
        let any = place.iter().any(|id| container_rule(&selectors, std::slice::from_ref(id), &registry).is_some());
        assert_eq!(container_rule(&selectors, &place, &registry).is_some(), any);
        let found = matches(&selectors, &process, Some(OWN), &registry);
        if !is_ours(&process, Some(OWN)) {
            assert_eq!(found.is_some_and(|found| found.by_container), any);
        }
    }

    #[test]
    fn the_named_rule_and_the_label_are_those_of_rules_that_match_alone(
        selectors in some_selectors(),
        process in a_process(),
    ) {
        let registry = registry();
        if let Some(found) = matches(&selectors, &process, Some(OWN), &registry) {
            let none = Selectors::default;
            let by_name = |index: usize| Selectors { proc_name: vec![selectors.proc_name[index].clone()], ..none() };
            let alone = match found.rule {
                Rule::ProcId(index) => Selectors { proc_id: vec![selectors.proc_id[index]], ..none() },
                Rule::ProcName(index) => by_name(index),
                Rule::PodId(index) => Selectors { pod_id: vec![selectors.pod_id[index].clone()], ..none() },
                Rule::ContainerId(index) => {
                    Selectors { container_id: vec![selectors.container_id[index].clone()], ..none() }
                }
                Rule::ContainerName(index) => {
                    Selectors { container_name: vec![selectors.container_name[index].clone()], ..none() }
                }
            };
            assert!(matches(&alone, &process, Some(OWN), &registry).is_some());
            if let Some(index) = found.label {
                assert!(selectors.proc_name[index].label.is_some());
                assert!(matches(&by_name(index), &process, Some(OWN), &registry).is_some());
            }
        }
    }
}
