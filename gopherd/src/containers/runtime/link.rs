//! What a connection to a runtime tells the rest of the daemon: the one way from the protocols to the registry.

use super::super::container::{Container, ContainerId, Runtime};
use super::super::registry::Registry;
use super::super::shelf::{CAPACITY, Told};
use super::failure::Failure;
use super::status::{SocketState, Status};
use hashbrown::HashSet;
use smol_str::SmolStr;
use std::future::Future;
use std::time::Duration;

/// How long one answer may take.
pub(super) const CALL: Duration = Duration::from_secs(5);

/// How long the head of a stream of events is waited for before the list is read. Some runtimes send it with the
/// first event, which may be hours away; the subscription is made by then.
pub(super) const HEAD: Duration = Duration::from_millis(250);

/// How long a whole list may take.
pub(super) const LIST: Duration = Duration::from_secs(30);

/// A list holds at most so many containers; the registry keeps no more.
pub(super) const MAX_LISTED: usize = CAPACITY;

/// The way from one socket's connection to the registry.
#[derive(Debug)]
pub(super) struct Link {
    registry: Registry,
    status: Status,
    socket: usize,
    runtime: Runtime,
    /// Its list was read.
    connected: bool,
}

/// The containers of one list.
#[derive(Debug, Default)]
pub(super) struct Listed(HashSet<ContainerId>);

impl Link {
    pub(super) fn new(registry: Registry, status: Status, socket: usize) -> Self {
        Self { registry, status, socket, runtime: Runtime::Unknown, connected: false }
    }

    /// Who answers.
    pub(super) fn runtime(&self) -> Runtime {
        self.runtime
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The runtime said who it is.
    pub(super) fn met(&mut self, runtime: Runtime, version: Option<SmolStr>) {
        self.runtime = runtime;
        self.status.set(self.socket, |socket| {
            socket.runtime = runtime;
            socket.version = version.map(Into::into);
        });
    }

    /// An id from the runtime; what cannot be one is counted.
    pub(super) fn id(&self, bytes: &[u8]) -> Option<ContainerId> {
        let id = std::str::from_utf8(bytes).ok().and_then(ContainerId::new);
        if id.is_none() {
            self.lost("invalid_id");
        }
        id
    }

    pub(super) fn event(&self) {
        self.registry.counts().event(self.runtime);
    }

    pub(super) fn lost(&self, reason: &'static str) {
        self.registry.counts().lost(reason);
    }

    /// The answer about one container. One that the runtime refuses to give costs its facts, not the connection.
    pub(super) fn spare<T>(&self, answer: Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Err(Failure::Refused(..)) => {
                self.lost("refused");
                Ok(None)
            }
            answer => answer,
        }
    }

    pub(super) fn tell(&self, container: Container, cgroup: Option<SmolStr>) {
        self.registry.tell_from(Some(self.socket), Told { container, cgroup });
    }

    pub(super) fn started(&self, id: ContainerId, runtime: Runtime, pid: Option<u32>) {
        self.registry.started_from(Some(self.socket), id, runtime, pid);
    }

    pub(super) fn ended(&self, id: &ContainerId) {
        self.registry.ended(id);
    }

    pub(super) fn is_told(&self, id: &ContainerId) -> bool {
        self.registry.is_told(id)
    }

    /// A list has a container that runs; false when the list is longer than anybody needs.
    pub(super) fn listed(
        &self,
        list: &mut Listed,
        id: ContainerId,
        runtime: Runtime,
        pid: Option<u32>,
    ) -> bool {
        if list.0.len() >= MAX_LISTED && !list.0.contains(&id) {
            self.lost("list_too_long");
            return false;
        }
        list.0.insert(id.clone());
        self.registry.found_running(self.socket, id, runtime, pid);
        true
    }

    /// The list is complete: what it lacks has ended, and from now on events keep it true.
    pub(super) fn reconciled(&mut self, list: &Listed) {
        if list.0.len() < MAX_LISTED {
            self.registry.reconcile(self.socket, &list.0);
        }
        if !self.connected {
            self.connected = true;
            let (runtime, containers) = (self.runtime.as_str(), list.0.len());
            tracing::info!(runtime, containers, "a container runtime is followed");
            self.status.set(self.socket, |socket| socket.state = SocketState::Connected);
        }
    }
}

/// Waits for an answer, and not for ever.
pub(super) async fn in_time<T>(
    limit: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(Failure::Late(what, limit.as_secs())))
}
