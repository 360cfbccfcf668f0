//! containerd: its own API, all namespaces. Of Kubernetes' containers it tells all that the interface for kubelets
//! tells, since containerd keeps kubelet's labels with the container.

use super::super::clean;
use super::super::container::{Container, ContainerId, Runtime};
use super::cgroup;
use super::failure::Failure;
use super::grpc::{Connection, Messages, Method};
use super::kubernetes;
use super::link::{LIST, Link, Listed, in_time};
use super::pace::{Due, Pace};
use super::wire::containerd::{
    Container as Stored, ContainerEvent, Envelope, GetContainer, GotContainer, Namespaces, Process,
    Subscribe, TaskExit, TaskStart, Tasks, Version,
};
use super::wire::{Empty, labels};
use prost::Message;
use serde::Deserialize;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;

const VERSION: &str = "/containerd.services.version.v1.Version/Version";
const NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";
const TASKS: &str = "/containerd.services.tasks.v1.Tasks/List";
const GET: &str = "/containerd.services.containers.v1.Containers/Get";
const SUBSCRIBE: &str = "/containerd.services.events.v1.Events/Subscribe";

/// What is listened for.
const TOPICS: [&str; 5] =
    ["/tasks/start", "/tasks/exit", "/containers/create", "/containers/update", "/containers/delete"];

/// Namespaces that are read; a host has about three.
const MAX_NAMESPACES: usize = 64;

/// Docker's containers as containerd sees them.
const DOCKERS: &str = "moby";

/// `Process::status` of what runs.
const RUNNING: [i32; 3] = [2, 4, 5];

/// Follows the socket until something fails.
pub(super) async fn follow(socket: &Path, link: &mut Link) -> Result<Infallible, Failure> {
    let containerd = Connection::open(socket).await?;
    let version: Version = containerd.ask(VERSION, Empty {}).await?.unwrap_or_default();
    link.met(Runtime::Containerd, clean::text(version.version));
    // Before the list, so that nothing happens between the two unheard.
    let mut events = subscribe(&containerd).await?;
    let mut pace = Pace::with_events();
    list(&containerd, link).await?;
    loop {
        tokio::select! {
            event = events.next() => take(&containerd, link, event?.ok_or(Failure::Ended)?).await?,
            due = pace.due() => match due {
                Due::Check => drop(containerd.ask::<_, Version>(VERSION, Empty {}).await?),
                Due::List => list(&containerd, link).await?,
            },
        }
    }
}

async fn subscribe(containerd: &Connection) -> Result<Messages<Envelope>, Failure> {
    let filters = TOPICS.iter().map(|topic| format!("topic==\"{topic}\"")).collect();
    let unknown = || Failure::Refused(SUBSCRIBE, "it tells no events".into());
    containerd.stream(SUBSCRIBE, Subscribe { filters }).await?.ok_or_else(unknown)
}

/// Reads what runs, and tells what is new of it.
async fn list(containerd: &Connection, link: &mut Link) -> Result<(), Failure> {
    let listed = in_time(LIST, "the list of containers", read_list(containerd, link)).await?;
    link.reconciled(&listed);
    Ok(())
}

async fn read_list(containerd: &Connection, link: &Link) -> Result<Listed, Failure> {
    let mut listed = Listed::default();
    let all: Namespaces = containerd.ask(NAMESPACES, Empty {}).await?.unwrap_or_default();
    if all.namespaces.len() > MAX_NAMESPACES {
        link.lost("list_too_long");
    }
    for namespace in all.namespaces.into_iter().take(MAX_NAMESPACES) {
        let Ok(namespace) = String::from_utf8(namespace.name) else { continue };
        let method = Method { path: TASKS, namespace: Some(&namespace) };
        let tasks: Tasks = containerd.ask(method, Empty {}).await?.unwrap_or_default();
        for Process { id, pid, .. } in tasks.tasks.into_iter().filter(|task| RUNNING.contains(&task.status)) {
            let Some(id) = link.id(&id) else { continue };
            if !link.is_told(&id) {
                tell(containerd, link, &namespace, &id).await?;
            }
            if !link.listed(&mut listed, id, runtime(&namespace), Some(pid)) {
                return Ok(listed);
            }
        }
    }
    Ok(listed)
}

fn runtime(namespace: &str) -> Runtime {
    if namespace == DOCKERS { Runtime::Docker } else { Runtime::Containerd }
}

/// Asks for a container's facts and tells them; one that is gone already is known by its id.
async fn tell(
    containerd: &Connection,
    link: &Link,
    namespace: &str,
    id: &ContainerId,
) -> Result<(), Failure> {
    let method = Method { path: GET, namespace: Some(namespace) };
    let got = containerd.ask(method, GetContainer { id: id.as_str().into() }).await;
    let got: Option<GotContainer> = link.spare(got)?;
    if let Some(stored) = got.and_then(|got| got.container) {
        let (container, cgroup, whole) = facts(id.clone(), runtime(namespace), &stored);
        if !whole {
            link.lost("undecodable");
        }
        link.tell(container, cgroup);
    }
    Ok(())
}

async fn take(containerd: &Connection, link: &Link, envelope: Envelope) -> Result<(), Failure> {
    link.event();
    let Envelope { namespace, topic, event } = envelope;
    let body = event.unwrap_or_default().value;
    let body = body.as_slice();
    let decoded = match (std::str::from_utf8(&namespace), topic.as_slice()) {
        (Err(_), _) => None,
        (Ok(namespace), b"/tasks/start") => match TaskStart::decode(body) {
            Err(_) => None,
            Ok(start) => {
                if let Some(id) = link.id(&start.container) {
                    if !link.is_told(&id) {
                        tell(containerd, link, namespace, &id).await?;
                    }
                    link.started(id, runtime(namespace), Some(start.pid).filter(|pid| *pid != 0));
                }
                Some(())
            }
        },
        (Ok(_), b"/tasks/exit") => TaskExit::decode(body).ok().map(|exit| {
            if exit.process == exit.container
                && let Some(id) = link.id(&exit.container)
            {
                link.ended(&id);
            }
        }),
        (Ok(namespace), topic) => match ContainerEvent::decode(body) {
            Err(_) => None,
            Ok(event) => {
                let id = link.id(&event.id);
                match (topic, id) {
                    (b"/containers/create", Some(id)) => tell(containerd, link, namespace, &id).await?,
                    // Of one that has not ended, or it would be made anew.
                    (b"/containers/update", Some(id)) if link.is_told(&id) => {
                        tell(containerd, link, namespace, &id).await?;
                    }
                    (b"/containers/delete", Some(id)) => link.ended(&id),
                    _ => {}
                }
                Some(())
            }
        },
    };
    if decoded.is_none() {
        link.lost("undecodable");
    }
    Ok(())
}

/// What is read of an OCI specification.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    annotations: Option<HashMap<String, String>>,
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    #[serde(rename = "cgroupsPath")]
    cgroups_path: Option<String>,
}

/// What containerd keeps about a container, its cgroup, and whether all of it could be read.
fn facts(id: ContainerId, runtime: Runtime, stored: &Stored) -> (Container, Option<SmolStr>, bool) {
    let read = stored.spec.as_ref().map(|spec| {
        serde_json::from_slice::<Spec>(&spec.value)
            .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(&spec.value)))
    });
    let whole = !matches!(read, Some(Err(_)));
    let Spec { annotations, linux } = read.and_then(Result::ok).unwrap_or_default();
    // kubelet's labels come first; the annotations of containerd's own part for kubelet are there without them.
    let annotation = |key: &str| {
        let value = annotations.as_ref()?.get(&format!("io.kubernetes.cri.{key}"))?;
        clean::text(value)
    };
    let all = labels(&stored.labels);
    let mut facts = kubernetes::facts(all.clone());
    facts.uid = facts.uid.or_else(|| annotation("sandbox-uid"));
    facts.name = facts.name.or_else(|| annotation("sandbox-name"));
    facts.namespace = facts.namespace.or_else(|| annotation("sandbox-namespace"));
    let nerdctl = || kubernetes::find(all.clone(), "nerdctl/name");
    // Without Kubernetes, Docker and nerdctl the id is a name that somebody chose.
    let own = || (runtime == Runtime::Containerd && id.as_str().len() < 64).then(|| id.as_str().into());
    let name = facts.container.clone().or_else(|| annotation("container-name")).or_else(nerdctl);
    let kind =
        kubernetes::find(all.clone(), "io.cri-containerd.kind").or_else(|| annotation("container-type"));
    let container = Container {
        name: name.or_else(own),
        image: annotation("image-name").or_else(|| clean::text(&stored.image)),
        pod: facts.pod((kind.as_deref() == Some("sandbox")).then_some(all)),
        runtime,
        id,
    };
    (container, linux.and_then(|linux| cgroup::path(&linux.cgroups_path?)), whole)
}

/// What holds of any message: facts are short and can be shown.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let _ = (Envelope::decode(bytes), TaskStart::decode(bytes), TaskExit::decode(bytes));
    let _ = (ContainerEvent::decode(bytes), Tasks::decode(bytes), Namespaces::decode(bytes));
    let stored = GotContainer::decode(bytes).ok().and_then(|got| got.container);
    let Some(stored) = stored else { return };
    let Some(id) = std::str::from_utf8(&stored.id).ok().and_then(ContainerId::new) else { return };
    for runtime in [Runtime::Containerd, Runtime::Docker] {
        super::super::fuzz::check(&facts(id.clone(), runtime, &stored).0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Any, Pair};
    use super::*;

    fn stored(id: &str, labels: &[(&str, &str)], spec: &str) -> (ContainerId, Stored) {
        let labels = labels.iter().map(|(key, value)| Pair { key: (*key).into(), value: (*value).into() });
        let stored = Stored {
            id: id.into(),
            labels: labels.collect(),
            image: "docker.io/library/x:1".into(),
            spec: Some(Any { value: spec.into() }),
        };
        (ContainerId::new(id).expect("an id"), stored)
    }

    #[test]
    fn a_plain_container_is_named_by_its_id_and_found_by_its_cgroup() {
        let (id, stored) =
            stored("demo", &[], r#"{"linux":{"cgroupsPath":"/default/demo","x":1},"process":{}}"#);
        let (container, cgroup, whole) = facts(id, Runtime::Containerd, &stored);
        assert_eq!(container.name.as_deref(), Some("demo"));
        assert_eq!(container.image.as_deref(), Some("docker.io/library/x:1"));
        assert_eq!((cgroup.as_deref(), whole, container.pod), (Some("/default/demo"), true, None));
    }

    #[test]
    fn a_pods_container_has_kubelets_names_and_the_image_that_was_asked_for() {
        let labels = [
            ("io.cri-containerd.kind", "container"),
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.pod.name", "web-1"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "u-1"),
        ];
        let spec = r#"{"annotations":{"io.kubernetes.cri.image-name":"nginx:1.25","io.kubernetes.cri.sandbox-name":"other"}}"#;
        let (id, stored) = stored(&"a".repeat(64), &labels, spec);
        let (container, cgroup, _) = facts(id, Runtime::Containerd, &stored);
        assert_eq!(
            (container.name.as_deref(), container.image.as_deref()),
            (Some("nginx"), Some("nginx:1.25"))
        );
        let pod = container.pod.expect("a pod");
        assert_eq!((pod.uid.as_str(), pod.name.as_deref()), ("u-1", Some("web-1")));
        assert_eq!((&pod.labels, cgroup), (&None, None), "a container does not tell its pod's labels");
    }

    #[test]
    fn a_sandbox_without_kubelets_labels_is_known_by_its_annotations_and_has_the_pods_labels() {
        let spec = r#"{"annotations":{"io.kubernetes.cri.sandbox-uid":"u-2","io.kubernetes.cri.sandbox-name":"db",
            "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.container-type":"sandbox"}}"#;
        let (id, stored) = stored(&"b".repeat(64), &[("tier", "data")], spec);
        let (container, ..) = facts(id, Runtime::Containerd, &stored);
        let pod = container.pod.expect("a pod");
        assert_eq!((container.name, pod.name.as_deref()), (None, Some("db")));
        assert_eq!(pod.labels.iter().flatten().count(), 1);
    }

    #[test]
    fn a_specification_that_is_no_json_is_said_and_the_rest_is_kept() {
        for spec in ["", "{", "3", "{\"annotations\":3}", "\u{0}"] {
            let (id, stored) = stored("demo", &[], spec);
            let (container, cgroup, whole) = facts(id, Runtime::Containerd, &stored);
            assert_eq!((container.name.as_deref(), cgroup, whole), (Some("demo"), None, false), "{spec}");
        }
    }
}
