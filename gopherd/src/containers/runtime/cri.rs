//! The Kubernetes container runtime interface, version 1: CRI-O, and every other runtime that serves kubelets.
//!
//! A runtime without `GetContainerEvents` is asked for its list at each slow check instead.

use super::super::clean;
use super::super::container::{Container, ContainerId, Pod, Runtime};
use super::failure::Failure;
use super::grpc::{Connection, Messages};
use super::kubernetes;
use super::link::{LIST, Link, Listed, in_time};
use super::pace::{Due, Pace};
use super::wire::cri::{
    Container as Stored, ContainerStatus, Containers, Event, GetStatus, GotStatus, Image, Metadata,
    PodMetadata, Sandbox, SandboxStatus, Sandboxes, Version,
};
use super::wire::{Empty, Pair, labels};
use serde::Deserialize;
use smol_str::SmolStr;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

const VERSION: &str = "/runtime.v1.RuntimeService/Version";
const CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
const SANDBOXES: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
const CONTAINER_STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";
const SANDBOX_STATUS: &str = "/runtime.v1.RuntimeService/PodSandboxStatus";
const EVENTS: &str = "/runtime.v1.RuntimeService/GetContainerEvents";

/// `Container::state` of what runs, and `Sandbox::state` of what is there.
const RUNNING: i32 = 1;
const READY: i32 = 0;

/// `Event::kind`.
const CREATED: i32 = 0;
const STARTED: i32 = 1;
const STOPPED: i32 = 2;
const DELETED: i32 = 3;

/// Follows the socket until something fails.
pub(super) async fn follow(socket: &Path, link: &mut Link) -> Result<Infallible, Failure> {
    let cri = Connection::open(socket).await?;
    let version: Version = cri.ask(VERSION, Empty {}).await?.unwrap_or_default();
    link.met(runtime(&version.runtime), clean::text(version.version));
    let mut events: Option<Messages<Event>> = cri.stream(EVENTS, Empty {}).await?;
    let mut pace = if events.is_some() { Pace::with_events() } else { Pace::without_events() };
    list(&cri, link).await?;
    loop {
        let event = async {
            match &mut events {
                Some(events) => events.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = event => take(&cri, link, event?.ok_or(Failure::Ended)?).await?,
            due = pace.due() => match due {
                Due::Check => drop(cri.ask::<_, Version>(VERSION, Empty {}).await?),
                Due::List => list(&cri, link).await?,
            },
        }
    }
}

fn runtime(name: &[u8]) -> Runtime {
    match name {
        b"cri-o" => Runtime::CriO,
        b"containerd" => Runtime::Containerd,
        b"docker" => Runtime::Docker,
        name if name.eq_ignore_ascii_case(b"isulad") => Runtime::Isulad,
        _ => Runtime::Unknown,
    }
}

async fn list(cri: &Connection, link: &mut Link) -> Result<(), Failure> {
    let listed = in_time(LIST, "the list of containers", read_list(cri, link)).await?;
    link.reconciled(&listed);
    Ok(())
}

async fn read_list(cri: &Connection, link: &Link) -> Result<Listed, Failure> {
    let runtime = link.runtime();
    let mut listed = Listed::default();
    let sandboxes: Sandboxes = cri.ask(SANDBOXES, Empty {}).await?.unwrap_or_default();
    for Sandbox { id, metadata, labels, .. } in sandboxes.items.into_iter().filter(|s| s.state == READY) {
        let Some(id) = link.id(&id) else { continue };
        link.tell(sandbox(id.clone(), runtime, metadata.unwrap_or_default(), &labels), None);
        if !link.listed(&mut listed, id, runtime, None) {
            return Ok(listed);
        }
    }
    let containers: Containers = cri.ask(CONTAINERS, Empty {}).await?.unwrap_or_default();
    for Stored { id, metadata, image, labels, .. } in
        containers.containers.into_iter().filter(|c| c.state == RUNNING)
    {
        let Some(id) = link.id(&id) else { continue };
        link.tell(container(id.clone(), runtime, metadata, image, &labels), None);
        if !link.listed(&mut listed, id, runtime, None) {
            return Ok(listed);
        }
    }
    Ok(listed)
}

async fn take(cri: &Connection, link: &Link, event: Event) -> Result<(), Failure> {
    link.event();
    let runtime = link.runtime();
    let Some(id) = link.id(&event.id) else { return Ok(()) };
    if matches!(event.kind, STOPPED | DELETED) {
        link.ended(&id);
        return Ok(());
    }
    let SandboxStatus { id: sandbox_id, metadata, labels } = event.sandbox.unwrap_or_default();
    let of_sandbox = sandbox_id == event.id;
    // First, so that the pod's labels are there with its first container.
    if !sandbox_id.is_empty()
        && let Some(sandbox_id) = link.id(&sandbox_id)
    {
        link.tell(sandbox(sandbox_id, runtime, metadata.unwrap_or_default(), &labels), None);
    }
    let status = event.containers.into_iter().find(|status| status.id == event.id);
    if let Some(ContainerStatus { metadata, image, labels, .. }) = status {
        link.tell(container(id.clone(), runtime, metadata, image, &labels), None);
    }
    match event.kind {
        STARTED => {
            let pid = pid(cri, link, &id, if of_sandbox { SANDBOX_STATUS } else { CONTAINER_STATUS }).await?;
            link.started(id, runtime, pid);
        }
        CREATED => {}
        _ => link.lost("undecodable"),
    }
    Ok(())
}

/// The first process, if it still runs and the runtime says so.
async fn pid(
    cri: &Connection,
    link: &Link,
    id: &ContainerId,
    method: &'static str,
) -> Result<Option<u32>, Failure> {
    #[derive(Deserialize)]
    struct Info {
        pid: Option<u32>,
    }
    let question = GetStatus { id: id.as_str().into(), verbose: true };
    let got: Option<GotStatus> = link.spare(cri.ask(method, question).await)?;
    let info = got.into_iter().flat_map(|got| got.info).find(|pair| pair.key == b"info");
    let pid = info.and_then(|pair| serde_json::from_slice::<Info>(&pair.value).ok()?.pid);
    Ok(pid.filter(|pid| *pid != 0))
}

fn pod(metadata: PodMetadata) -> kubernetes::Facts {
    let PodMetadata { name, uid, namespace } = metadata;
    kubernetes::Facts {
        container: None,
        uid: clean::text(uid),
        name: clean::text(name),
        namespace: clean::text(namespace),
    }
}

fn sandbox(id: ContainerId, runtime: Runtime, metadata: PodMetadata, pairs: &[Pair]) -> Container {
    Container { pod: pod(metadata).pod(Some(labels(pairs))), ..Container::nameless(id, runtime) }
}

fn container(
    id: ContainerId,
    runtime: Runtime,
    metadata: Option<Metadata>,
    image: Option<Image>,
    pairs: &[Pair],
) -> Container {
    let facts = kubernetes::facts(labels(pairs));
    let name: Option<SmolStr> = metadata.and_then(|metadata| clean::text(metadata.name));
    let Image { image, wanted } = image.unwrap_or_default();
    let name = name.or_else(|| facts.container.clone());
    let pod: Option<Arc<Pod>> = facts.pod(None::<std::iter::Empty<kubernetes::Label<'_>>>);
    Container { name, image: clean::text(wanted).or_else(|| clean::text(image)), pod, id, runtime }
}

/// What holds of any message: facts are short and can be shown.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    use prost::Message as _;
    let Some(id) = ContainerId::new("0123456789ab") else { return };
    let _ = (Version::decode(bytes), GotStatus::decode(bytes));
    let mut told = Vec::new();
    for one in Containers::decode(bytes).unwrap_or_default().containers {
        told.push(container(id.clone(), Runtime::CriO, one.metadata, one.image, &one.labels));
    }
    for one in Sandboxes::decode(bytes).unwrap_or_default().items {
        told.push(sandbox(id.clone(), Runtime::CriO, one.metadata.unwrap_or_default(), &one.labels));
    }
    let Event { sandbox: of_event, containers, .. } = Event::decode(bytes).unwrap_or_default();
    let of_event = of_event.unwrap_or_default();
    told.push(sandbox(id.clone(), Runtime::CriO, of_event.metadata.unwrap_or_default(), &of_event.labels));
    for one in containers {
        told.push(container(id.clone(), Runtime::CriO, one.metadata, one.image, &one.labels));
    }
    told.iter().for_each(super::super::fuzz::check);
}
