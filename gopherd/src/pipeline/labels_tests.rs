//! What the labels of processes and containers say, and when they are rendered anew.

use super::*;
use crate::containers::{Pod, Runtime};
use crate::feature::{Mode, Selection, Selectors};
use crate::scope::no_tracker;
use probe_core::Row;
use probe_kit::testing::FakeHost;
use std::time::Duration;

probe_core::table! {
    /// Something of processes.
    struct Plain = "plain", entity "plain", sub_probe "" {
        keys { tgid }
        labels { }
        gauge value: Count = "A value.";
    }
}

const KEY: ProcKey = ProcKey { tgid: 7, start_ticks: 345 };

/// The daemon's parts over a fake /proc in which one process is in one container.
struct Parts {
    host: FakeHost,
    registry: Registry,
    pod_labels: PodLabels,
    scope: ScopeEngine,
    labels: SubjectLabels,
}

impl Parts {
    fn new() -> Self {
        let host = FakeHost::new();
        let registry = Registry::default();
        let pod_labels = PodLabels::default();
        let proc = host.path("proc");
        let zeros = "0 ".repeat(17);
        host.write("proc/7/stat", format!("7 (x) S 1 {zeros}{} 0 0\n", KEY.start_ticks));
        host.write("proc/7/status", "Tgid:\t7\n");
        host.write("proc/7/cmdline", "x\0");
        host.write("proc/7/cgroup", format!("0::/docker/{}\n", id().as_str()));
        let never = Duration::from_secs(86_400);
        let scope = ScopeEngine::start(&proc, registry.clone(), never, no_tracker(), Box::new(|_, _| {}))
            .expect("starts");
        let meta = MetaCache::new(&proc, registry.clone());
        let labels = SubjectLabels::new(meta, scope.clone(), registry.clone(), pod_labels.clone());
        Self { host, registry, pod_labels, scope, labels }
    }

    fn process(&self) -> Arc<Fragment> {
        self.labels.fragment("f", Plain::TABLE, Subject::Process(KEY)).expect("known")
    }

    fn container(&self) -> Option<Arc<Fragment>> {
        let key = ContainerKey::new(id().as_str()).expect("an id");
        self.labels.fragment("f", Plain::TABLE, Subject::Container(key))
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.scope.shutdown();
    }
}

fn id() -> ContainerId {
    ContainerId::new(&"0123456789abcdef".repeat(4)).expect("an id")
}

fn named(name: &str) -> Container {
    let labels = [("tier".into(), "a\"b\\\nc".into())].into_iter().collect();
    let pod = Pod {
        uid: "u-1".into(),
        name: Some("web-0".into()),
        namespace: Some("shop".into()),
        labels: Some(labels),
    };
    Container {
        id: id(),
        runtime: Runtime::Docker,
        name: Some(name.into()),
        image: None,
        pod: Some(Arc::new(pod)),
    }
}

fn shown(fragment: &Fragment) -> String {
    fragment.pairs().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn only_the_proc_entity_says_how_a_process_was_started() {
    let process = ProcessLabels {
        comm: "redis".into(),
        cmdline: "redis-server *:6379".into(),
        start_time: "42".into(),
        place: [].into(),
    };
    let user: UserLabel = Arc::new(("team".to_owned(), "db".to_owned()));
    let inside = Inside { id: id(), known: None, wanted: [].into(), revision: 0 };
    let names = |detailed| {
        let fragment = render(&process, Some(&user), detailed, Some(&inside));
        fragment.pairs().iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["comm", "team", "container_id"]);
    assert_eq!(names(true), ["comm", "cmdline", "start_time", "team", "container_id"]);
}

#[test]
fn a_fact_that_is_told_later_is_there_at_the_next_row_and_nothing_is_rendered_before() {
    let parts = Parts::new();
    let first = parts.process();
    assert_eq!(shown(&first), "comm=x container_id=0123456789ab");
    assert!(Arc::ptr_eq(&first, &parts.process()));
    // News of another container are none of this one.
    parts.registry.tell(Container { id: ContainerId::new("other").expect("an id"), ..named("other") });
    assert!(Arc::ptr_eq(&first, &parts.process()));
    parts.registry.tell(named("web"));
    let second = parts.process();
    let expected =
        "comm=x container_id=0123456789ab container_name=web pod_id=u-1 pod=shop/web-0 pod_namespace=shop";
    assert_eq!(shown(&second), expected);
    assert!(Arc::ptr_eq(&second, &parts.process()));
}

#[test]
fn pod_labels_come_and_go_as_the_operator_asks() {
    let parts = Parts::new();
    parts.registry.tell(named("web"));
    let before = parts.process();
    parts.pod_labels.set("g", &["tier".to_owned()]);
    parts.pod_labels.set("f", &[]);
    assert!(Arc::ptr_eq(&before, &parts.process()), "another feature's wish");
    parts.pod_labels.set("f", &["tier".to_owned(), "app/none".to_owned()]);
    let with = parts.process();
    assert_eq!(shown(&with), format!("{} tier=a\"b\\\nc", shown(&before)));
    parts.pod_labels.set("f", &["tier".to_owned(), "app/none".to_owned()]);
    assert!(Arc::ptr_eq(&with, &parts.process()), "the same wish again");
    parts.pod_labels.set("f", &[]);
    assert_eq!(shown(&parts.process()), shown(&before));
}

#[test]
fn an_ended_process_keeps_its_container_until_its_last_row() {
    let parts = Parts::new();
    parts.registry.tell(named("web"));
    let alive = parts.process();
    std::fs::remove_dir_all(parts.host.path("proc/7")).expect("ends");
    assert!(Arc::ptr_eq(&alive, &parts.process()));
}

#[test]
fn a_container_in_scope_has_the_labels_of_a_container_and_keeps_them_when_it_leaves() {
    let parts = Parts::new();
    assert!(parts.container().is_none(), "nobody has seen it");
    let selectors = Selectors { container_id: vec![id().short().to_owned()], ..Selectors::default() };
    let selection = Selection { mode: Mode::Include, selectors };
    assert_eq!(parts.scope.set("f", &selection, true).containers.len(), 1);
    assert_eq!(shown(&parts.container().expect("in scope")), "container_id=0123456789ab");
    parts.registry.tell(named("web"));
    let told = parts.container().expect("in scope");
    assert!(shown(&told).starts_with("container_id=0123456789ab container_name=web pod_id=u-1"));
    std::fs::remove_dir_all(parts.host.path("proc/7")).expect("ends");
    assert!(parts.scope.set("f", &selection, true).containers.is_empty());
    assert!(Arc::ptr_eq(&told, &parts.container().expect("it was in scope")));
}
