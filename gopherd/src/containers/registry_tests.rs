//! The registry as the scope engine and the labels see it.

use super::*;
use crate::containers::Pod;
use std::sync::Mutex;

fn id(text: &str) -> ContainerId {
    ContainerId::new(text).expect("an id")
}

fn listening() -> (Registry, Arc<Mutex<Vec<News>>>) {
    let (registry, heard) = (Registry::default(), Arc::<Mutex<Vec<News>>>::default());
    let ear = Arc::clone(&heard);
    registry.on_news(Box::new(move |news| ear.lock().expect("news").push(news)));
    (registry, heard)
}

fn whereabouts(registry: &Registry, cgroups: &str) -> Vec<String> {
    registry.place(cgroups).iter().map(|id| id.as_str().to_owned()).collect()
}

#[test]
fn a_process_is_where_the_hierarchy_says_that_knows_most() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let registry = Registry::default();
    for (cgroups, expected) in [
        // v2
        (format!("0::/system.slice/docker-{a}.scope\n"), vec![&a]),
        // v1 with every controller in the container
        (format!("5:memory:/docker/{a}\n4:cpu,cpuacct:/docker/{a}\n1:name=systemd:/docker/{a}\n"), vec![&a]),
        // hybrid: the unified hierarchy is at the root, or the only one that a runtime left there
        (format!("2:memory:/docker/{a}\n1:name=systemd:/docker/{a}\n0::/\n"), vec![&a]),
        (format!("2:memory:/\n1:name=systemd:/\n0::/system.slice/docker-{a}.scope\n"), vec![&a]),
        // a nested one that only some hierarchies show
        (format!("3:cpu:/docker/{a}\n2:memory:/docker/{a}/docker/{b}\n0::/docker/{a}\n"), vec![&b, &a]),
        // a path with a colon
        (format!("0::/system.slice/kubepods-pod.slice:cri-containerd:{a}\n"), vec![&a]),
        // from within a cgroup namespace
        (format!("0::/../../docker/{a}\n"), vec![&a]),
        ("0::/init.scope\n".into(), vec![]),
        ("".into(), vec![]),
        ("nonsense\n::\n:".into(), vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(whereabouts(&registry, &cgroups), expected, "{cgroups}");
    }
    assert_eq!(registry.len(), 2, "what a path names is known from then on");
}

#[test]
fn what_the_runtime_tells_later_joins_what_the_path_gave_away() {
    let (registry, heard) = listening();
    let hex = "a".repeat(64);
    let uid = "6f9f7c1e-0b1c-4f6e-9a52-7d3b8d1f2a90";
    whereabouts(&registry, &format!("0::/kubepods/pod{uid}/{hex}\n"));
    let before = registry.revision();
    let told = Container { name: Some("web".into()), ..Container::nameless(id(&hex), Runtime::Containerd) };
    registry.tell(told.clone());
    let known = registry.get(&id(&hex)).expect("known");
    assert_eq!((known.runtime, known.name.as_deref()), (Runtime::Containerd, Some("web")));
    assert_eq!(known.pod.as_ref().map(|pod| pod.uid.as_str()), Some(uid));
    assert!(registry.revision() > before);
    let before = registry.revision();
    registry.tell(told);
    assert_eq!(registry.revision(), before, "nothing new was told");
    assert_eq!(*heard.lock().expect("news"), [News::Changed(id(&hex)), News::Changed(id(&hex))]);
}

#[test]
fn a_start_is_news_with_the_process_even_of_a_container_that_nobody_told_about() {
    let (registry, heard) = listening();
    registry.started(id("demo"), 42);
    assert_eq!(
        *heard.lock().expect("news"),
        [News::Changed(id("demo")), News::Started { id: id("demo"), pid: 42 }]
    );
    registry.started_from(Some(0), id("demo"), Runtime::Docker, None);
    assert_eq!(registry.counts().begun(), [("unknown", 1)].into(), "it ran already");
    registry.ended(&id("demo"));
    assert!(registry.get(&id("demo")).is_some());
}

#[test]
fn whoever_hears_the_news_may_ask_the_registry() {
    let registry = Registry::default();
    let (asked, inner) = (Arc::<Mutex<Vec<String>>>::default(), registry.clone());
    let note = Arc::clone(&asked);
    registry.on_news(Box::new(move |news| {
        if let News::Changed(id) = news {
            let name = inner.get(&id).and_then(|container| container.name.clone());
            note.lock().expect("a note").extend(name.map(Into::into));
        }
    }));
    registry.tell(Container { name: Some("web".into()), ..Container::nameless(id("x"), Runtime::Docker) });
    assert_eq!(*asked.lock().expect("a note"), ["web"]);
}

#[test]
fn a_container_that_finds_no_room_is_counted() {
    let registry = Registry::default();
    for n in 0..=super::super::shelf::CAPACITY {
        registry.started(id(&format!("c{n}")), 1);
    }
    assert_eq!(registry.counts().losses(), [("full", 1)].into());
}

#[test]
fn pods_reach_the_containers_that_were_known_before_their_sandbox() {
    let (registry, heard) = listening();
    let pod = |labels: bool| {
        let labels = labels.then(|| [("app".into(), "web".into())].into());
        Some(Arc::new(Pod { labels, ..Pod::nameless("u".into()) }))
    };
    registry.tell(Container { pod: pod(false), ..Container::nameless(id("c"), Runtime::CriO) });
    registry.tell(Container { pod: pod(true), ..Container::nameless(id("s"), Runtime::CriO) });
    assert_eq!(heard.lock().expect("news").iter().filter(|n| **n == News::Changed(id("c"))).count(), 2);
}
