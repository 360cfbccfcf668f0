//! Containers of real runtimes, as the registry knows them and as the daemon shows their runtimes: containerd, plain
//! and for kubelets, and dockerd.
//!
//! Each test has runtimes of its own, in folders of its own. Needs root, containerd, runc, dockerd and
//! busybox-static, which `make test` installs.

use gopher_e2e::cri::{Kubelet, PodName};
use gopher_e2e::runtimes::{Containerd, Dockerd, IMAGE, image, rootfs};
use gopher_e2e::wait::DEADLINE;
use gopher_e2e::{Setup, eventually, within};
use gopherd::config::Containers;
use gopherd::containers::{Container, ContainerId, News, Registry, Runtimes, SocketState};
use gopherd::readiness::Readiness;
use probe_core::Env;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const POD: PodName<'static> =
    PodName { uid: "6f9f7c1e-0b1c-4f6e-9a52-7d3b8d1f2a90", name: "web-1", namespace: "shop" };

/// A registry that follows runtimes as the daemon's does.
struct Watched {
    registry: Registry,
    runtimes: Runtimes,
    readiness: Readiness,
    news: Arc<Mutex<Vec<News>>>,
    _tasks: Runtime,
}

#[derive(Default)]
struct Sockets {
    containerd: Vec<PathBuf>,
    cri: Vec<PathBuf>,
    docker: Vec<PathBuf>,
}

fn watch(sockets: &Sockets) -> Watched {
    let texts = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect();
    let config = Containers {
        enabled: true,
        containerd: texts(&sockets.containerd),
        cri: texts(&sockets.cri),
        docker: texts(&sockets.docker),
    };
    let tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tasks = tasks.expect("threads for the runtimes' tasks");
    let (registry, readiness, news) =
        (Registry::default(), Readiness::default(), Arc::<Mutex<Vec<News>>>::default());
    let ear = Arc::clone(&news);
    registry.on_news(Box::new(move |news| ear.lock().expect("the news").push(news)));
    let runtimes = {
        let _inside = tasks.enter();
        Runtimes::start(&config, &Env::default(), &registry, &readiness)
    };
    let watched = Watched { registry, runtimes, readiness, news, _tasks: tasks };
    watched.connected();
    watched
}

impl Watched {
    #[track_caller]
    fn connected(&self) {
        let unconnected = || {
            let sockets = self.runtimes.sockets().into_iter();
            sockets.filter(|socket| socket.state != SocketState::Connected).collect::<Vec<_>>()
        };
        let all = within(DEADLINE, || unconnected().is_empty().then_some(()));
        assert!(all.is_some(), "not followed: {:?}", unconnected());
    }

    fn known(&self, id: &str) -> Option<Arc<Container>> {
        self.registry.get(&ContainerId::new(id).expect("an id"))
    }

    /// Waits until that many run.
    #[track_caller]
    fn runs(&self, runtime: &str, count: usize) {
        eventually(&format!("{count} containers of {runtime} to run"), || {
            (self.registry.running().get(runtime).copied().unwrap_or(0) == count).then_some(())
        });
    }

    fn started(&self, runtime: &str) -> usize {
        let count = self.registry.counts().begun().get(runtime).copied().unwrap_or(0);
        usize::try_from(count).expect("a small number")
    }

    /// The first process that was told of a container.
    #[track_caller]
    fn first_process(&self, id: &str) -> u32 {
        eventually("the news of its start", || {
            self.news.lock().expect("the news").iter().find_map(|news| match news {
                News::Started { id: started, pid } if started.as_str() == id => Some(*pid),
                _ => None,
            })
        })
    }

    /// The containers that a process is in.
    fn place(&self, pid: u32) -> Vec<String> {
        let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process that runs");
        self.registry.place(&cgroups).iter().map(|id| id.as_str().to_owned()).collect()
    }
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("gopherd-rt-").tempdir().expect("a temporary folder")
}

fn import(containerd: &Containerd, dir: &Path) {
    let tar = image(dir);
    let tar = tar.to_str().expect("a path of ASCII");
    containerd.must("k8s.io", &["images", "import", "--snapshotter", "native", tar]);
}

#[test]
fn a_plain_containers_name_is_known_with_its_first_process_and_goes_with_its_end() {
    let dir = home();
    let containerd = Containerd::start(&dir.path().join("c"));
    let root = rootfs(dir.path());
    containerd.run(&root, "before", "600");
    let watched = watch(&Sockets { containerd: vec![containerd.socket()], ..Sockets::default() });
    watched.runs("containerd", 1);
    assert_eq!(watched.known("before").and_then(|c| c.name.clone()).as_deref(), Some("before"));

    containerd.run(&root, "demo", "600");
    let pid = watched.first_process("demo");
    assert_eq!(watched.known("demo").and_then(|c| c.name.clone()).as_deref(), Some("demo"));
    assert_eq!(watched.place(pid), ["demo"], "its path has no id that could be recognised");
    assert_eq!(watched.place(std::process::id()), [""; 0]);
    watched.runs("containerd", 2);
    assert_eq!(watched.started("containerd"), 1, "the other one ran already");

    containerd.remove("default", "demo");
    watched.runs("containerd", 1);
    assert!(watched.known("demo").is_some(), "its last sample can still be labelled");
    let [socket] = watched.runtimes.sockets().try_into().expect("one socket");
    assert!(socket.version.is_some_and(|version| version.starts_with("1.")));
    assert_eq!(watched.registry.counts().losses(), [].into());
}

#[test]
fn a_pods_container_is_known_with_name_image_pod_and_the_pods_labels() {
    let dir = home();
    let containerd = Containerd::start(&dir.path().join("c"));
    import(&containerd, dir.path());
    let kubelet = Kubelet::new(&containerd.socket());
    // One registry hears containerd's own API, the other one the kubelets' interface of the same socket.
    let native = watch(&Sockets { containerd: vec![containerd.socket()], ..Sockets::default() });
    let pod = kubelet.run_pod(POD, &[("app", "web"), ("tier", "front")], dir.path());
    let id = kubelet.run_container(&pod, "nginx", &["/bin/busybox", "sleep", "600"]);
    let pid = native.first_process(&id);
    assert_eq!(native.place(pid).first(), Some(&id));
    native.runs("containerd", 2);
    let cri = watch(&Sockets { cri: vec![containerd.socket()], ..Sockets::default() });
    cri.runs("containerd", 2);
    for watched in [&native, &cri] {
        let container = watched.known(&id).expect("the container");
        assert_eq!(container.name.as_deref(), Some("nginx"));
        assert_eq!(container.image.as_deref(), Some(IMAGE));
        let known = container.pod.clone().expect("its pod");
        assert_eq!(known.uid, POD.uid);
        assert_eq!((known.name.as_deref(), known.namespace.as_deref()), (Some("web-1"), Some("shop")));
        let labels: Vec<_> = known.labels.iter().flatten().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("app", "web"), ("tier", "front")]);
        let sandbox = watched.known(&pod.sandbox).expect("the sandbox is a container of the pod too");
        assert_eq!((sandbox.name.as_deref(), &sandbox.pod), (None, &container.pod));
    }
    kubelet.remove_pod(&pod);
    native.runs("containerd", 0);
}

#[test]
fn a_containers_facts_from_docker_come_from_its_list_and_its_events_and_follow_a_rename() {
    let dir = home();
    let containerd = Containerd::start(&dir.path().join("c"));
    let docker = Dockerd::start(&dir.path().join("d"), &containerd);
    let sleep = ["/bin/busybox", "sleep", "600"];
    let before = docker.create("before", &json!({}), &sleep);
    docker.begin(&before);
    let watched = watch(&Sockets { docker: vec![docker.socket()], ..Sockets::default() });
    watched.runs("docker", 1);
    let labels = json!({
        "io.kubernetes.container.name": "nginx",
        "io.kubernetes.pod.name": "web-1",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": POD.uid,
    });
    let podded = docker.create("k8s_nginx_web-1_shop_0", &labels, &sleep);
    docker.begin(&podded);
    let pid = watched.first_process(&podded);
    assert_eq!(watched.place(pid), std::slice::from_ref(&podded));
    watched.runs("docker", 2);
    let fact = |id: &str| {
        watched.known(id).map(|c| (c.name.clone().unwrap_or_default(), c.image.clone().unwrap_or_default()))
    };
    assert_eq!(fact(&before), Some(("before".into(), IMAGE.into())));
    assert_eq!(fact(&podded), Some(("nginx".into(), IMAGE.into())));
    let pod = watched.known(&podded).and_then(|c| c.pod.clone()).expect("a pod");
    assert_eq!(
        (pod.uid.as_str(), pod.name.as_deref(), pod.namespace.as_deref()),
        (POD.uid, Some("web-1"), Some("shop"))
    );

    docker.api().send("POST", &format!("/containers/{before}/rename?name=after"), &[], "").expect(204);
    eventually("the new name", || fact(&before).filter(|(name, _)| name == "after"));
    docker.remove(&podded);
    watched.runs("docker", 1);
    docker.remove(&before);
    watched.runs("docker", 0);
    assert_eq!(watched.registry.counts().losses(), [].into());
}

/// Of a runtime's containers that live for a fifth of a second each, as many at a time as a small machine starts.
const SHORT_LIVED: usize = 200;
const AT_A_TIME: usize = 4;

fn crowd(one: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for first in 0..AT_A_TIME {
            let one = &one;
            scope.spawn(move || (first..SHORT_LIVED).step_by(AT_A_TIME).for_each(one));
        }
    });
}

/// Its name. All containerds of a host keep the state of their containers in one folder, by name.
fn short(n: usize) -> String {
    format!("short{n}-{}", std::process::id())
}

#[test]
fn two_hundred_containers_that_live_for_a_fifth_of_a_second_are_all_seen() {
    let dir = home();
    let containerd = Containerd::start(&dir.path().join("c"));
    let root = rootfs(dir.path());
    let watched = watch(&Sockets { containerd: vec![containerd.socket()], ..Sockets::default() });
    crowd(|n| {
        let name = short(n);
        let sleep = ["/bin/busybox", "sleep", "0.2"];
        let root = root.to_str().expect("a path of ASCII");
        containerd.must("default", &[&["run", "--rm", "--rootfs", root, &name][..], &sleep[..]].concat());
    });
    watched.runs("containerd", 0);
    assert_eq!(watched.started("containerd"), SHORT_LIVED);
    assert_eq!(watched.registry.counts().losses(), [].into());
    for n in 0..SHORT_LIVED {
        let name = short(n);
        assert_eq!(watched.known(&name).and_then(|c| c.name.clone()).as_deref(), Some(name.as_str()));
        assert!(watched.first_process(&name) > 1);
    }
}

#[test]
fn as_many_of_dockers_are_seen_by_its_events() {
    let dir = home();
    let containerd = Containerd::start(&dir.path().join("c"));
    let docker = Dockerd::start(&dir.path().join("d"), &containerd);
    let watched = watch(&Sockets { docker: vec![docker.socket()], ..Sockets::default() });
    crowd(|n| {
        let id = docker.create(&format!("short{n}"), &json!({}), &["/bin/busybox", "sleep", "0.2"]);
        docker.begin(&id);
        docker.api().send("POST", &format!("/containers/{id}/wait"), &[], "").expect(200);
        docker.remove(&id);
    });
    watched.runs("docker", 0);
    assert_eq!(watched.started("docker"), SHORT_LIVED);
    assert_eq!(watched.registry.counts().losses(), [].into());
}

#[test]
fn a_runtime_that_is_killed_leaves_its_containers_known_and_is_followed_again_with_what_it_missed() {
    let dir = home();
    let mut containerd = Containerd::start(&dir.path().join("c"));
    let mut docker = Dockerd::start(&dir.path().join("d"), &containerd);
    let root = rootfs(dir.path());
    containerd.run(&root, "stays", "600");
    containerd.run(&root, "goes", "600");
    let sleep = ["/bin/busybox", "sleep", "600"];
    let dockers = docker.create("dockers", &json!({}), &sleep);
    docker.begin(&dockers);
    let sockets = Sockets {
        containerd: vec![containerd.socket()],
        docker: vec![docker.socket()],
        ..Sockets::default()
    };
    let watched = watch(&sockets);
    watched.runs("containerd", 2);
    watched.runs("docker", 1);
    assert_eq!(watched.readiness.problems(), []);

    docker.kill();
    containerd.kill();
    eventually("both losses to be noticed and said", || {
        (watched.readiness.problems().len() == 2).then_some(())
    });
    assert_eq!(watched.known("stays").and_then(|c| c.name.clone()).as_deref(), Some("stays"));
    assert_eq!(watched.known(&dockers).and_then(|c| c.name.clone()).as_deref(), Some("dockers"));
    containerd.resume();
    watched.runs("containerd", 2);
    // Nobody was there to hear of this one's end: the list tells it.
    containerd.remove("default", "goes");
    containerd.run(&root, "comes", "600");
    docker.resume();
    watched.connected();
    assert_eq!(watched.readiness.problems(), []);
    eventually("what came and went", || {
        let names = ["stays", "comes"].iter().all(|name| watched.known(name).is_some());
        (names && watched.registry.running().get("containerd") == Some(&2)).then_some(())
    });
    docker.remove(&dockers);
    watched.runs("docker", 0);
}

/// The runtimes that the daemon shows.
fn runtimes(setup: &Setup) -> Vec<Value> {
    let client = gopher_e2e::Client::port(setup.rest_port);
    let document = client.get("/api/v1/capabilities").expect(200).json();
    document["container_runtimes"].as_array().expect("a list").clone()
}

#[test]
fn the_daemon_says_which_runtimes_answer_and_counts_what_they_told() {
    let dir = home();
    let mut containerd = Containerd::start(&dir.path().join("c"));
    let root = rootfs(dir.path());
    let socket = containerd.socket().display().to_string();
    let absent = dir.path().join("absent.sock").display().to_string();
    let setup =
        Setup::new().section("containers", &format!("containerd = [\"{socket}\"]\ndocker = [\"{absent}\"]"));
    let daemon = setup.start();
    let found = eventually("containerd to be connected", || {
        runtimes(&setup).into_iter().find(|runtime| runtime["connected"] == true)
    });
    assert_eq!((&found["name"], &found["socket"]), (&json!("containerd"), &json!(socket)), "{found}");
    assert!(found["version"].as_str().is_some_and(|version| version.starts_with("1.")), "{found}");
    assert_eq!(runtimes(&setup).len(), 1, "a socket that is not there was not found");
    let problems = daemon.socket().get("/readyz").expect(200).json()["problems"].to_string();
    assert!(problems.contains(&absent) && !problems.contains(&socket), "{problems}");

    containerd.run(&root, "shown", "600");
    let of = [("runtime", "containerd")];
    let scrape = daemon.scrape_until("the container", |scrape| {
        (scrape.value("gopherd_containers", &of) == Some(1.0)).then(|| scrape.clone())
    });
    assert_eq!(scrape.value("gopherd_containers_started_total", &of), Some(1.0));
    assert!(scrape.must("gopherd_container_events_total", &of) >= 2.0);
    let up = [("runtime", "containerd"), ("socket", socket.as_str())];
    assert_eq!(scrape.value("gopherd_container_runtime_up", &up), Some(1.0));
    assert_eq!(scrape.all("gopherd_container_runtime_up").count(), 1);

    containerd.kill();
    daemon.scrape_until("the loss", |scrape| {
        (scrape.value("gopherd_container_runtime_up", &up) == Some(0.0)).then_some(())
    });
    let lost = runtimes(&setup);
    assert!(
        lost.iter().all(|runtime| runtime["connected"] == false && runtime["error"].is_string()),
        "{lost:?}"
    );
    containerd.resume();
    daemon.scrape_until("its return", |scrape| {
        (scrape.value("gopherd_container_runtime_up", &up) == Some(1.0)).then_some(())
    });
    containerd.remove("default", "shown");
    daemon.scrape_until("the end of the container", |scrape| {
        scrape.value("gopherd_containers", &of).is_none().then_some(())
    });
}
