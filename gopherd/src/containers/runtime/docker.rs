//! Docker's HTTP API over its unix socket, and podman, whose service answers the same.
//!
//! By hand, because four calls of it are read and a client crate brings all of the API: `hyper` is here already.

use super::super::clean;
use super::super::container::{Container, ContainerId, Runtime};
use super::failure::Failure;
use super::kubernetes;
use super::link::{CALL, HEAD, LIST, Link, Listed, in_time};
use super::pace::{Due, Pace};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use tokio::net::UnixStream;

/// Largest answer that is taken: some ten thousand containers with their labels.
const MAX_ANSWER: usize = 16 << 20;

/// Longest event that is taken; it has the labels of one container.
const MAX_EVENT: usize = 1 << 20;

const VERSION: &str = "/version";
const LISTING: &str = "/containers/json";
/// `{"type":["container"],"event":["create","start","die","died","destroy","remove","rename"]}`; `died` and
/// `remove` are podman's words.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%2C%22\
                      start%22%2C%22die%22%2C%22died%22%2C%22destroy%22%2C%22remove%22%2C%22rename%22%5D%7D";

type Labels = BTreeMap<String, Option<String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Version {
    version: Option<String>,
    components: Option<Vec<Component>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Component {
    name: Option<String>,
}

/// A row of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Row {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
    labels: Option<Labels>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspected {
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    pid: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Event {
    action: String,
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    /// `name`, `image`, and the container's labels beside them.
    attributes: Option<Labels>,
}

/// Follows the socket until something fails.
pub(super) async fn follow(socket: &Path, link: &mut Link) -> Result<Infallible, Failure> {
    let version: Version = read(socket, VERSION).await?.unwrap_or_default();
    let is = |word: &str| {
        version.components.iter().flatten().any(|c| c.name.as_deref().is_some_and(|name| name.contains(word)))
    };
    let runtime = if is("Podman") { Runtime::Podman } else { Runtime::Docker };
    link.met(runtime, version.version.and_then(clean::text));
    // Before the list, so that nothing happens between the two unheard.
    let mut head = std::pin::pin!(request(socket, EVENTS));
    // Docker sends the head at once; podman, until 4.x, with the first event.
    let early = tokio::time::timeout(HEAD, &mut head).await.ok().transpose()?;
    let mut pace = Pace::with_events();
    list(socket, link).await?;
    let mut events = Lines::default();
    let mut body = early.map(Response::into_body);
    loop {
        let event = async {
            let body = match &mut body {
                Some(body) => body,
                none => none.insert((&mut head).await?.into_body()),
            };
            events.next(body).await
        };
        tokio::select! {
            line = event => take(socket, link, &line?).await?,
            due = pace.due() => match due {
                Due::Check => drop(read::<Version>(socket, VERSION).await?),
                Due::List => list(socket, link).await?,
            },
        }
    }
}

/// Reads what runs.
async fn list(socket: &Path, link: &mut Link) -> Result<(), Failure> {
    let rows: Vec<Row> = in_time(LIST, LISTING, fetch(socket, LISTING)).await?.unwrap_or_default();
    let mut listed = Listed::default();
    for row in rows {
        let Some(id) = link.id(row.id.as_bytes()) else { continue };
        let name = row.names.unwrap_or_default().into_iter().next();
        let labels = row.labels.unwrap_or_default();
        link.tell(facts(id.clone(), link.runtime(), name.as_deref(), row.image.as_deref(), &labels), None);
        if !link.listed(&mut listed, id, link.runtime(), None) {
            break;
        }
    }
    link.reconciled(&listed);
    Ok(())
}

async fn take(socket: &Path, link: &Link, line: &[u8]) -> Result<(), Failure> {
    link.event();
    let Ok(event) = serde_json::from_str::<Event>(&String::from_utf8_lossy(line)) else {
        link.lost("undecodable");
        return Ok(());
    };
    let Some(id) = link.id(event.actor.id.as_bytes()) else { return Ok(()) };
    let all = event.actor.attributes.unwrap_or_default();
    let word = |key: &str| all.get(key).and_then(Option::as_deref);
    let runtime = link.runtime();
    match event.action.as_str() {
        "create" | "rename" => link.tell(facts(id, runtime, word("name"), word("image"), &all), None),
        "start" => {
            link.tell(facts(id.clone(), runtime, word("name"), word("image"), &all), None);
            let inspected: Option<Inspected> =
                link.spare(read(socket, &format!("/containers/{}/json", id.as_str())).await)?;
            let pid = inspected.and_then(|inspected| u32::try_from(inspected.state.pid?).ok());
            link.started(id, runtime, pid.filter(|pid| *pid != 0));
        }
        "die" | "died" | "destroy" | "remove" => link.ended(&id),
        _ => {}
    }
    Ok(())
}

fn facts(
    id: ContainerId,
    runtime: Runtime,
    name: Option<&str>,
    image: Option<&str>,
    labels: &Labels,
) -> Container {
    let pairs =
        labels.iter().map(|(key, value)| (key.as_bytes(), value.as_deref().unwrap_or_default().as_bytes()));
    let facts = kubernetes::facts(pairs.clone());
    let sandbox =
        kubernetes::find(pairs.clone(), "io.kubernetes.docker.type").as_deref() == Some("podsandbox");
    let named = || clean::text(name?.trim_start_matches('/'));
    Container {
        name: if sandbox { None } else { facts.container.clone().or_else(named) },
        image: image.and_then(clean::text),
        // The attributes of an event have these two beside the labels.
        pod: facts.pod(sandbox.then(|| pairs.filter(|(key, _)| !matches!(*key, b"name" | b"image")))),
        id,
        runtime,
    }
}

/// The document at `path`, if there is one.
async fn read<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Option<T>, Failure> {
    in_time(CALL, "a question", fetch(socket, path)).await
}

async fn fetch<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Option<T>, Failure> {
    let answer = request(socket, path).await?;
    let status = answer.status();
    if status == hyper::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let broken = |error: String| Failure::Refused("the answer", error);
    if !status.is_success() {
        return Err(broken(status.to_string()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| broken(error.to_string()))?.to_bytes();
    // What is no UTF-8 in one container's name must not hide the others.
    serde_json::from_str(&String::from_utf8_lossy(&body)).map(Some).map_err(|error| broken(error.to_string()))
}

/// A question on a connection of its own, answered as far as the head.
async fn request(socket: &Path, path: &str) -> Result<Response<Incoming>, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(|error| Failure::unreachable(socket, &error))?;
    let broken = |error: hyper::Error| Failure::Refused("the question", error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends when the answer does; its error is an error of the answer too.
    tokio::spawn(connection);
    let request = Request::get(path).header(hyper::header::HOST, "localhost").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Failure::Refused("the question", error.to_string()))?;
    sender.send_request(request).await.map_err(broken)
}

/// Cuts a stream into lines of a bounded length.
#[derive(Debug, Default)]
struct Lines {
    waiting: Vec<u8>,
    searched: usize,
}

impl Lines {
    /// The next line. May be dropped while it waits: what has arrived stays.
    async fn next(&mut self, body: &mut Incoming) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(line);
            }
            if self.waiting.len() > MAX_EVENT {
                return Err(Failure::Refused("an event", format!("it is longer than {MAX_EVENT} bytes")));
            }
            let frame = body.frame().await.ok_or(Failure::Ended)?;
            let frame = frame.map_err(|error| Failure::Refused("the stream of events", error.to_string()))?;
            // Trailers are no data.
            if let Ok(data) = frame.into_data() {
                self.waiting.extend_from_slice(&data);
            }
        }
    }

    /// A whole line that is not empty.
    fn cut(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = self.waiting.get(self.searched..)?;
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.waiting.len();
                return None;
            };
            let mut line: Vec<u8> = self.waiting.drain(..=self.searched + at).collect();
            self.searched = 0;
            line.truncate(line.trim_ascii_end().len());
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

/// What holds of any document: facts are short and can be shown.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (serde_json::from_str::<Version>(&text), serde_json::from_str::<Inspected>(&text));
    let rows = serde_json::from_str::<Vec<Row>>(&text).unwrap_or_default();
    for Row { id, names, image, labels } in rows {
        let Some(id) = ContainerId::new(&id) else { continue };
        let name = names.unwrap_or_default().into_iter().next();
        let labels = labels.unwrap_or_default();
        super::super::fuzz::check(&facts(id, Runtime::Docker, name.as_deref(), image.as_deref(), &labels));
    }
    if let Ok(Event { actor, .. }) = serde_json::from_str::<Event>(&text)
        && let Some(id) = ContainerId::new(&actor.id)
    {
        let all = actor.attributes.unwrap_or_default();
        super::super::fuzz::check(&facts(id, Runtime::Podman, None, None, &all));
    }
}

/// What holds of any stream of events: its lines are those of the whole, wherever its pieces end.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_lines(bytes: &[u8]) {
    let mut lines = Lines::default();
    let mut cut = Vec::new();
    for piece in bytes.chunks(5) {
        lines.waiting.extend_from_slice(piece);
        cut.extend(std::iter::from_fn(|| lines.cut()));
    }
    let ended = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let whole = bytes[..ended].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    assert!(cut.iter().map(Vec::as_slice).eq(whole.filter(|line| !line.is_empty())));
}
