//! Runtimes that hang, lie or never end: what is known stays, the others are followed, memory is bounded.

use super::mocks::{self, Body, endless, framed, message, then_silent, whole};
use super::wire::containerd::{
    Container as Stored, ContainerEvent, Envelope, GotContainer, Namespace, Namespaces, Process, TaskStart,
    Tasks, Version,
};
use super::wire::{Any, Pair, cri};
use super::*;
use crate::containers::shelf::CAPACITY;
use crate::containers::{Container, ContainerId};
use std::sync::Arc;
use tempfile::TempDir;

struct Watched {
    dir: TempDir,
    registry: Registry,
    readiness: Readiness,
    config: Containers,
}

impl Watched {
    fn new() -> Self {
        let (dir, registry) = (tempfile::tempdir().expect("a folder"), Registry::default());
        let config =
            Containers { enabled: true, containerd: Vec::new(), cri: Vec::new(), docker: Vec::new() };
        Self { dir, registry, readiness: Readiness::default(), config }
    }

    /// A socket of the folder, which is followed from [`Self::start`] on.
    fn socket(&mut self, protocol: Protocol, name: &str) -> std::path::PathBuf {
        let path = self.dir.path().join(name);
        let list = match protocol {
            Protocol::Containerd => &mut self.config.containerd,
            Protocol::Cri => &mut self.config.cri,
            Protocol::Docker => &mut self.config.docker,
        };
        list.push(path.display().to_string());
        path
    }

    fn start(&self) -> Runtimes {
        Runtimes::start(&self.config, &Env::default(), &self.registry, &self.readiness)
    }

    fn known(&self, id: &str) -> Option<Arc<Container>> {
        self.registry.get(&ContainerId::new(id).expect("an id"))
    }

    fn lost(&self, reason: &str) -> u64 {
        self.registry.counts().losses().get(reason).copied().unwrap_or(0)
    }
}

/// Looks until there is something.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Of the test's clock, which may be one that runs ahead.
    tokio::time::timeout(Duration::from_secs(600), search).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

fn failure(runtimes: &Runtimes, socket: usize) -> Option<String> {
    match &runtimes.sockets()[socket].state {
        SocketState::Failed(why) => Some(why.clone()),
        _ => None,
    }
}

async fn connected(runtimes: &Runtimes, socket: usize) {
    eventually("a connection", || (runtimes.sockets()[socket].state == SocketState::Connected).then_some(()))
        .await;
}

fn hex(digit: &str) -> String {
    digit.repeat(64)
}

fn docker(path: &str, list: &str) -> Body {
    match path {
        VERSION => whole(r#"{"Version":"1","Components":[{"Name":"Engine"}]}"#),
        LISTING => whole(list.to_owned()),
        _ => then_silent(""),
    }
}

const VERSION: &str = "/version";
const LISTING: &str = "/containers/json";

#[tokio::test(start_paused = true)]
async fn a_runtime_that_hangs_is_given_up_and_tried_again_and_the_others_are_followed() {
    let mut watched = Watched::new();
    for (protocol, name) in [(Protocol::Containerd, "a"), (Protocol::Cri, "b"), (Protocol::Docker, "c")] {
        mocks::hang(&watched.socket(protocol, name));
    }
    let list = format!(r#"[{{"Id":"{}","Names":["/web"],"Image":"nginx"}}]"#, hex("a"));
    mocks::http(&watched.socket(Protocol::Docker, "d"), move |path| docker(path, &list));
    let runtimes = watched.start();
    connected(&runtimes, 3).await;
    for socket in 0..3 {
        let why = eventually("the failure", || failure(&runtimes, socket)).await;
        assert!(why.contains("within 5 s"), "{why}");
    }
    assert_eq!(watched.readiness.problems().len(), 3);
    assert_eq!(watched.known(&hex("a")).and_then(|c| c.name.clone()).as_deref(), Some("web"));
    // Minutes later, after its slow checks too.
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(runtimes.sockets()[3].state, SocketState::Connected);
    assert_eq!(watched.registry.running().get("docker"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_appears_later_is_found() {
    let mut watched = Watched::new();
    let socket = watched.socket(Protocol::Docker, "later");
    let runtimes = watched.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(runtimes.sockets()[0].state, SocketState::Absent);
    mocks::http(&socket, |path| docker(path, "[]"));
    connected(&runtimes, 0).await;
    assert_eq!(runtimes.sockets()[0].version.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_hostile_docker_fills_no_memory_and_no_label_with_control_characters() {
    let mut watched = Watched::new();
    let huge = "x".repeat(100_000);
    let mut rows: Vec<Vec<u8>> = vec![
        format!(r#"{{"Id":"{}","Names":["/{huge}"],"Image":"a\nb\u001b[31m\u0000c"}}"#, hex("a")).into(),
        [br#"{"Id":""#, hex("b").as_bytes(), br#"","Names":["/bad"#, b"\xff\xfe", br#""]}"#].concat(),
        format!(r#"{{"Id":"{}","Names":["/early"]}}"#, hex("c")).into(),
        br#"{"Id":"../../etc/passwd","Names":["/x"]}"#.to_vec(),
        br#"{"Id":"","Names":null,"Labels":null}"#.to_vec(),
    ];
    rows.extend((0..CAPACITY + 10).map(|n| format!(r#"{{"Id":"c{n}"}}"#).into_bytes()));
    let list = [&b"["[..], &rows.join(&b","[..]), b"]"].concat();
    let event =
        format!(r#"{{"Action":"start","Actor":{{"ID":"{}","Attributes":{{"name":"late"}}}}}}"#, hex("c"));
    let events = format!("no json\n\n{{}}\n[1]\n{event}\n");
    let socket = watched.socket(Protocol::Docker, "docker");
    mocks::http(&socket, move |path| match path {
        VERSION => whole(r#"{"Version":"1\n\u0007 "}"#),
        LISTING => whole(list.clone()),
        "/events" => then_silent(events.clone()),
        _ => whole(r#"{"State":{"Pid":-1}}"#),
    });
    let runtimes = watched.start();
    connected(&runtimes, 0).await;
    let container = watched.known(&hex("a")).expect("known");
    assert_eq!(container.name.as_ref().map(|name| name.len()), Some(1024));
    assert_eq!(container.image.as_deref(), Some("ab[31mc"));
    assert_eq!(watched.known(&hex("b")).and_then(|c| c.name.clone()).as_deref(), Some("bad\u{fffd}\u{fffd}"));
    assert_eq!(watched.registry.len(), CAPACITY);
    assert_eq!(watched.lost("list_too_long"), 1);
    assert_eq!(runtimes.sockets()[0].version.as_deref(), Some("1 "));
    let late = || watched.known(&hex("c")).filter(|c| c.name.as_deref() == Some("late"));
    eventually("the last event", late).await;
    assert!(watched.lost("undecodable") >= 2 && watched.lost("invalid_id") >= 2);
}

#[tokio::test]
async fn answers_and_events_that_never_end_are_cut_off() {
    let mut watched = Watched::new();
    let junk = "x".repeat(64 << 10);
    let again = junk.clone();
    mocks::http(&watched.socket(Protocol::Docker, "list"), move |path| match path {
        LISTING => endless(again.clone()),
        path => docker(path, ""),
    });
    let again = junk.clone();
    mocks::http(&watched.socket(Protocol::Docker, "event"), move |path| match path {
        "/events" => endless(again.clone()),
        path => docker(path, "[]"),
    });
    mocks::http(&watched.socket(Protocol::Docker, "version"), move |_| endless(junk.clone()));
    let runtimes = watched.start();
    for socket in 0..3 {
        let why = eventually("the failure", || failure(&runtimes, socket)).await;
        assert!(why.contains("length limit") || why.contains("longer than"), "{why}");
    }
}

fn containerd(method: &str, events: &[u8]) -> Option<Body> {
    Some(match method.rsplit_once('.').map_or(method, |(_, method)| method) {
        "Version/Version" => whole(message(&Version { version: b"1.7\n".to_vec() })),
        "Namespaces/List" => {
            let namespaces = [&b"\xff"[..], b"default"].map(|name| Namespace { name: name.to_vec() });
            whole(message(&Namespaces { namespaces: namespaces.to_vec() }))
        }
        "Tasks/List" => {
            let task = |id: &[u8]| Process { id: id.to_vec(), pid: 7, status: 2 };
            whole(message(&Tasks { tasks: vec![task(b"a b"), task(b"\xff"), task(b""), task(b"demo")] }))
        }
        "Containers/Get" => {
            let pair = |n: u32| Pair { key: format!("k{n}").into(), value: vec![b'\n'; 2000] };
            let container = Stored {
                id: b"demo".to_vec(),
                labels: (0..1000).map(pair).collect(),
                image: vec![0xff; 5000],
                spec: Some(Any { value: b"{".to_vec() }),
            };
            whole(message(&GotContainer { container: Some(container) }))
        }
        "Events/Subscribe" => then_silent(events.to_vec()),
        _ => return None,
    })
}

fn envelope(topic: &str, namespace: &[u8], event: Vec<u8>) -> Envelope {
    Envelope { namespace: namespace.to_vec(), topic: topic.into(), event: Some(Any { value: event }) }
}

#[tokio::test]
async fn a_hostile_containerd_loses_what_cannot_be_read_and_nothing_else() {
    let mut watched = Watched::new();
    let start = |id: &str| ::prost::Message::encode_to_vec(&TaskStart { container: id.into(), pid: 9 });
    let deleted = ::prost::Message::encode_to_vec(&ContainerEvent { id: b"never/heard".to_vec() });
    let events: Vec<u8> = [
        envelope("/tasks/start", b"default", vec![0xff; 40]),
        envelope("/tasks/start", b"\xff", start("x")),
        envelope("/what/ever", b"default", Vec::new()),
        envelope("/containers/delete", b"default", deleted),
        envelope("/tasks/start", b"default", start("late")),
    ]
    .iter()
    .flat_map(message)
    .collect();
    mocks::grpc(&watched.socket(Protocol::Containerd, "c"), move |method| containerd(method, &events));
    let runtimes = watched.start();
    connected(&runtimes, 0).await;
    eventually("the start", || watched.registry.counts().begun().get("containerd").copied()).await;
    let demo = watched.known("demo").expect("known");
    assert_eq!(demo.name.as_deref(), Some("demo"));
    assert!(demo.image.as_ref().is_some_and(|image| image.len() <= 1024));
    assert_eq!(watched.lost("undecodable"), 4, "two events and two specifications");
    assert!(watched.lost("invalid_id") >= 4);
    assert_eq!(runtimes.sockets()[0].version.as_deref(), Some("1.7"));
}

#[tokio::test]
async fn a_message_of_gigabytes_is_refused_before_it_is_read() {
    let mut watched = Watched::new();
    mocks::grpc(&watched.socket(Protocol::Containerd, "c"), |method| {
        if method.ends_with("Tasks/List") {
            return Some(then_silent(vec![0, 0x7f, 0xff, 0xff, 0xff]));
        }
        containerd(method, &[])
    });
    mocks::grpc(&watched.socket(Protocol::Cri, "i"), |_| Some(whole(framed(&[0xff; 64]))));
    let runtimes = watched.start();
    for socket in 0..2 {
        let why = eventually("the failure", || failure(&runtimes, socket)).await;
        assert!(why.contains("failed") && why.len() < 400, "{why}");
    }
    assert_eq!(watched.registry.len(), 0);
}

fn cri_o(method: &str, events: &[u8]) -> Option<Body> {
    let info = |pid: u32| Pair { key: b"info".to_vec(), value: format!(r#"{{"pid":{pid},"x":[]}}"#).into() };
    Some(match method.rsplit_once('/').map_or(method, |(_, method)| method) {
        "Version" => {
            whole(message(&cri::Version { runtime: b"cri-o".to_vec(), version: b"1.31.0".to_vec() }))
        }
        "ListContainers" | "ListPodSandbox" => whole(framed(&[])),
        "ContainerStatus" => whole(message(&cri::GotStatus { info: vec![info(41)] })),
        "PodSandboxStatus" => whole(message(&cri::GotStatus { info: vec![info(40)] })),
        "GetContainerEvents" => then_silent(events.to_vec()),
        _ => return None,
    })
}

#[tokio::test]
async fn cri_os_events_tell_a_pods_container_from_its_start_to_its_end() {
    let mut watched = Watched::new();
    let pair = |key: &str, value: &str| Pair { key: key.into(), value: value.into() };
    let sandbox = cri::SandboxStatus {
        id: hex("5").into(),
        metadata: Some(cri::PodMetadata {
            name: b"web-1".to_vec(),
            uid: b"u-1".to_vec(),
            namespace: b"shop".to_vec(),
        }),
        labels: vec![pair("app", "web"), pair("io.kubernetes.pod.uid", "u-1")],
    };
    let status = |digit: &str| cri::ContainerStatus {
        id: hex(digit).into(),
        metadata: Some(cri::Metadata { name: b"nginx".to_vec() }),
        image: Some(cri::Image { image: b"sha256:1".to_vec(), wanted: b"nginx:1.25".to_vec() }),
        labels: vec![pair("io.kubernetes.pod.uid", "u-1")],
    };
    let event = |digit: &str, kind, containers: Vec<cri::ContainerStatus>| cri::Event {
        id: hex(digit).into(),
        kind,
        sandbox: Some(sandbox.clone()),
        containers,
    };
    let events: Vec<u8> = [
        event("5", 0, vec![]),
        event("5", 1, vec![]),
        event("a", 0, vec![status("a")]),
        event("a", 1, vec![status("a")]),
        event("b", 1, vec![status("a"), status("b")]),
        event("b", 2, vec![status("a"), status("b")]),
    ]
    .iter()
    .flat_map(message)
    .collect();
    let heard = Arc::<std::sync::Mutex<Vec<super::super::News>>>::default();
    let ear = Arc::clone(&heard);
    watched.registry.on_news(Box::new(move |news| ear.lock().expect("news").push(news)));
    mocks::grpc(&watched.socket(Protocol::Cri, "crio.sock"), move |method| cri_o(method, &events));
    let runtimes = watched.start();
    connected(&runtimes, 0).await;
    eventually("all events", || (watched.registry.counts().events().get("cri-o") == Some(&6)).then_some(()))
        .await;
    eventually("the end of one", || (watched.registry.running().get("cri-o") == Some(&2)).then_some(()))
        .await;
    let nginx = watched.known(&hex("a")).expect("known");
    assert_eq!((nginx.name.as_deref(), nginx.image.as_deref()), (Some("nginx"), Some("nginx:1.25")));
    let pod = nginx.pod.clone().expect("a pod");
    assert_eq!((pod.name.as_deref(), pod.namespace.as_deref()), (Some("web-1"), Some("shop")));
    assert_eq!(pod.labels.iter().flatten().count(), 1);
    let started: Vec<u32> = heard
        .lock()
        .expect("news")
        .iter()
        .filter_map(|news| match news {
            super::super::News::Started { pid, .. } => Some(*pid),
            super::super::News::Changed(_) => None,
        })
        .collect();
    assert_eq!(started, [40, 41, 41], "the sandbox's first process, and the containers'");
    assert!(watched.known(&hex("b")).is_some(), "it ended and is still known");
    assert_eq!(watched.registry.counts().losses(), [].into());
}
