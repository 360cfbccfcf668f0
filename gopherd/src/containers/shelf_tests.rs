//! The shelf as a table of lives: what is kept, what is let go, what a pod's containers share.

use super::*;
use proptest::prelude::*;

fn id(text: impl AsRef<str>) -> ContainerId {
    ContainerId::new(text.as_ref()).expect("an id")
}

fn told(name: &str) -> Told {
    let container = Container { name: Some(name.into()), ..Container::nameless(id(name), Runtime::Docker) };
    Told { container, cgroup: None }
}

fn of_pod(name: &str, pod: Pod) -> Told {
    let mut told = told(name);
    told.container.pod = Some(Arc::new(pod));
    told
}

fn seen(name: &str) -> Named {
    Named { id: id(name), runtime: Runtime::Unknown, pod: None, end: 0 }
}

#[test]
fn a_container_that_ended_is_known_until_its_last_sample_was_labelled() {
    let (mut shelf, start) = (Shelf::default(), Instant::now());
    shelf.tell(Some(0), told("web"), start);
    assert!(shelf.run(Some(0), &id("web"), Runtime::Docker, start).began);
    assert_eq!(shelf.running(), BTreeMap::from([("docker", 1)]));
    shelf.end(&id("web"), start);
    assert_eq!(shelf.running(), BTreeMap::new());
    shelf.sweep(start + KEPT - Duration::from_secs(1));
    assert_eq!(shelf.get(&id("web")).and_then(|c| c.name.clone()).as_deref(), Some("web"));
    shelf.sweep(start + KEPT);
    assert_eq!(shelf.get(&id("web")), None);
}

#[test]
fn one_that_starts_again_lives_again_and_keeps_its_name() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    shelf.tell(Some(0), told("web"), now);
    shelf.run(Some(0), &id("web"), Runtime::Docker, now);
    assert!(!shelf.run(Some(1), &id("web"), Runtime::Docker, now).began, "it runs already");
    shelf.end(&id("web"), now);
    assert!(!shelf.is_told(&id("web")));
    assert!(shelf.run(Some(0), &id("web"), Runtime::Unknown, now).began);
    shelf.sweep(now + 10 * KEPT);
    assert_eq!(shelf.get(&id("web")).and_then(|c| c.name.clone()).as_deref(), Some("web"));
}

#[test]
fn a_list_ends_what_its_own_socket_told_and_nothing_else() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    for (name, source) in [("kept", 0), ("gone", 0), ("another's", 1)] {
        let name = name.replace('\'', "");
        shelf.run(Some(source), &id(name), Runtime::Docker, now);
    }
    shelf.see(&seen("path"), now);
    shelf.reconcile(0, &HashSet::from([id("kept")]), now);
    assert_eq!(shelf.running(), BTreeMap::from([("docker", 2)]));
    shelf.sweep(now + KEPT);
    assert_eq!((shelf.len(), shelf.get(&id("gone"))), (3, None));
}

#[test]
fn one_that_was_made_and_never_ran_is_not_kept_for_ever() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    shelf.tell(Some(0), told("made"), now);
    shelf.sweep(now + KEPT);
    assert!(shelf.is_told(&id("made")));
    shelf.sweep(now + 2 * KEPT);
    assert_eq!(shelf.len(), 0);
}

#[test]
fn a_full_shelf_lets_go_the_ended_then_the_merely_seen_and_never_what_runs() {
    let (mut shelf, start) = (Shelf::default(), Instant::now());
    let later = |n: u64| start + Duration::from_millis(n);
    for n in 0..CAPACITY {
        let name = id(format!("c{n}"));
        match n {
            0..300 => {
                shelf.run(Some(0), &name, Runtime::Docker, start);
                shelf.end(&name, later(n as u64));
            }
            300..600 => drop(shelf.see(&seen(name.as_str()), later(n as u64))),
            _ => drop(shelf.run(Some(0), &name, Runtime::Docker, start)),
        }
    }
    assert_eq!(shelf.len(), CAPACITY);
    let mut news = 0;
    while !shelf.run(Some(0), &id(format!("new{news}")), Runtime::Docker, later(5000)).refused {
        news += 1;
        assert!(shelf.len() <= CAPACITY);
        let (ended, seen) = (shelf.get(&id("c0")), shelf.get(&id("c599")));
        assert!(ended.is_none(), "the oldest of the ended went first");
        assert!(seen.is_some() || shelf.get(&id("c299")).is_none(), "the ended go before the seen");
    }
    assert_eq!(news, 600, "everyone who could go went, and nobody else");
    assert!(shelf.get(&id("c600")).is_some());
    assert!(shelf.tell(Some(0), told("late"), later(5000)).0.refused);
}

#[test]
fn the_sandbox_gives_its_labels_to_the_containers_of_its_pod_whichever_comes_first() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    let named = Pod { name: Some("web-1".into()), ..Pod::nameless("u".into()) };
    let labelled =
        Pod { labels: Some(BTreeMap::from([("app".into(), "web".into())])), ..Pod::nameless("u".into()) };
    shelf.tell(Some(0), of_pod("before", named), now);
    let (outcome, others) = shelf.tell(Some(0), of_pod("sandbox", labelled), now);
    assert!(outcome.changed);
    assert_eq!(others, [id("before")]);
    shelf.tell(Some(0), of_pod("after", Pod::nameless("u".into())), now);
    for name in ["before", "sandbox", "after"] {
        let pod = shelf.get(&id(name)).and_then(|c| c.pod.clone()).expect("a pod");
        assert_eq!(pod.name.as_deref(), Some("web-1"), "{name}");
        assert_eq!(pod.labels.iter().flatten().count(), 1, "{name}");
    }
    let pods: Vec<_> = ["before", "after"].map(|n| shelf.get(&id(n)).and_then(|c| c.pod.clone())).into();
    assert!(Arc::ptr_eq(pods[0].as_ref().expect("a pod"), pods[1].as_ref().expect("a pod")));
}

#[test]
fn a_container_whose_path_tells_no_id_is_found_by_its_cgroup_and_below_it() {
    let (mut shelf, now) = (Shelf::default(), Instant::now());
    shelf.tell(Some(0), Told { cgroup: Some("/default/demo".into()), ..told("demo") }, now);
    let inside = |shelf: &Shelf, path: &str| shelf.inside(path, &[]).0;
    for path in ["/default/demo", "/default/demo/system.slice/x.service"] {
        assert_eq!(inside(&shelf, path), [id("demo")], "{path}");
    }
    for path in ["/default/demo2", "/default", "/", "", "/x/default/demo"] {
        assert_eq!(inside(&shelf, path), [], "{path}");
    }
    // In a container that is itself named by a path, and around one.
    let hex = "a".repeat(64);
    let path = format!("/default/demo/docker/{hex}");
    let named = crate::containers::identity::named(&path);
    assert_eq!(shelf.inside(&path, &named).0, [id(&hex), id("demo")]);
    shelf.end(&id("demo"), now);
    assert_eq!(inside(&shelf, "/default/demo"), [id("demo")], "as long as it is kept");
    shelf.sweep(now + KEPT);
    assert_eq!(inside(&shelf, "/default/demo"), []);
}

proptest! {
    #[test]
    fn whatever_happens_the_shelf_is_bounded_and_its_indexes_agree(
        steps in proptest::collection::vec((0..6u8, 0..40u16, 0..400u64), 0..300),
    ) {
        let (mut shelf, mut now) = (Shelf::default(), Instant::now());
        for (step, number, passed) in steps {
            now += Duration::from_secs(passed);
            let name = format!("c{number}");
            match step {
                0 => drop(shelf.see(&seen(&name), now)),
                1 => drop(shelf.tell(Some(usize::from(number % 3)), Told {
                    cgroup: Some(format!("/default/{name}").into()),
                    ..of_pod(&name, Pod::nameless(format!("u{}", number % 7).into()))
                }, now)),
                2 => drop(shelf.run(Some(usize::from(number % 3)), &id(&name), Runtime::Docker, now)),
                3 => shelf.end(&id(&name), now),
                4 => shelf.reconcile(usize::from(number % 3), &HashSet::from([id(&name)]), now),
                _ => shelf.sweep(now),
            }
            prop_assert!(shelf.running().values().sum::<usize>() <= shelf.len());
            prop_assert!(shelf.by_cgroup.values().all(|id| shelf.entries.contains_key(id)));
            prop_assert!(shelf.pods.len() <= 7);
        }
        shelf.sweep(now + 10 * KEPT);
        prop_assert!(shelf.entries.values().all(|entry| matches!(entry.life, Life::Seen(_) | Life::Running)));
    }
}
