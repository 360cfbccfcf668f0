//! The runtimes' own sockets: followed from the moment they appear, read as a list first and by events then.
//!
//! Owns when a socket is connected to and how a connection that broke is made again. Each protocol has a file:
//! `containerd`, `cri`, `docker`. They are connected to as soon as they are there, whatever probe runs: a container
//! has its name at the first sample of the first probe, and a runtime that does nothing costs nothing but a look
//! a minute. Nothing is asked of a runtime by a command.

mod cgroup;
mod containerd;
mod cri;
mod docker;
mod failure;
mod grpc;
mod kubernetes;
mod link;
mod pace;
mod status;
mod wire;

/// What holds of any path that a specification asks for: it is one from the root.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_cgroup(wanted: &str) {
    assert!(cgroup::path(wanted).is_none_or(|path| path.starts_with('/')), "{wanted:?}");
}

/// What holds of any message.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_message(bytes: &[u8]) {
    let protocols = [containerd::any_bytes, cri::any_bytes, docker::any_bytes, docker::any_lines];
    probe_kit::fuzz::choose(bytes, &[&protocols]);
}

pub use status::{Protocol, Socket, SocketState, Target};

use super::registry::Registry;
use crate::config::Containers;
use crate::manager::backoff;
use crate::readiness::Readiness;
use failure::Failure;
use link::Link;
use probe_core::Env;
use status::Status;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often it is looked whether a socket has appeared: soon enough after a runtime is installed or started, and
/// a few microseconds of CPU.
const LOOK: Duration = Duration::from_secs(10);

/// A connection that lasted this long was good: the next failure is its first again.
const GOOD: Duration = Duration::from_secs(60);

/// Handle of the runtimes' sockets.
#[derive(Clone, Debug, Default)]
pub struct Runtimes(Status);

impl Runtimes {
    /// Begins to follow what is configured, in tasks of the present runtime that end with it.
    pub fn start(config: &Containers, host: &Env, registry: &Registry, readiness: &Readiness) -> Self {
        let default = Containers::default();
        let targets = if config.enabled {
            status::targets(
                &host.root,
                [
                    (Protocol::Containerd, config.containerd.as_slice(), default.containerd.as_slice()),
                    (Protocol::Cri, config.cri.as_slice(), default.cri.as_slice()),
                    (Protocol::Docker, config.docker.as_slice(), default.docker.as_slice()),
                ],
            )
        } else {
            Vec::new()
        };
        let status = Status::new(&targets, readiness.clone());
        tokio::spawn(watch(targets, registry.clone(), status.clone()));
        Self(status)
    }

    /// Every socket and what is known of it.
    pub fn sockets(&self) -> Vec<Socket> {
        self.0.all()
    }
}

/// Gives each socket that exists a task, and the registry its hour to forget.
async fn watch(targets: Vec<Target>, registry: Registry, status: Status) {
    let mut tasks: Vec<Option<JoinHandle<()>>> = targets.iter().map(|_| None).collect();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        registry.sweep();
        for (index, (target, task)) in targets.iter().zip(&mut tasks).enumerate() {
            let idle = task.as_ref().is_none_or(JoinHandle::is_finished);
            // A task takes care of its socket until it vanishes.
            if idle && target.path.exists() {
                *task = Some(tokio::spawn(keep(target.clone(), index, registry.clone(), status.clone())));
            }
        }
    }
}

/// Follows a socket for as long as it exists.
async fn keep(target: Target, index: usize, registry: Registry, status: Status) {
    status.set(index, |socket| socket.state = SocketState::Connecting);
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let mut link = Link::new(registry.clone(), status.clone(), index);
        let failure = match session(&target, &mut link).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        let good = link.is_connected() && began.elapsed() >= GOOD;
        failures = if good { 1 } else { failures + 1 };
        if !target.path.exists() {
            tracing::info!(socket = target.configured, "the container runtime's socket is gone");
            status.set(index, |socket| (socket.state, socket.version) = (SocketState::Absent, None));
            return;
        }
        let wait = pace::jittered(backoff::wait(failures));
        if link.is_connected() || failures == 1 {
            tracing::warn!(socket = target.configured, %failure, ?wait, "the container runtime is tried again");
        } else {
            tracing::debug!(socket = target.configured, %failure, ?wait, "the container runtime is tried again");
        }
        status.set(index, |socket| socket.state = SocketState::Failed(failure.to_string()));
        tokio::time::sleep(wait).await;
    }
}

/// One connection, to its end, which is always a failure.
async fn session(target: &Target, link: &mut Link) -> Result<std::convert::Infallible, Failure> {
    let path: &Path = &target.path;
    match target.protocol {
        Protocol::Containerd => containerd::follow(path, link).await,
        Protocol::Cri => cri::follow(path, link).await,
        Protocol::Docker => docker::follow(path, link).await,
    }
}

#[cfg(test)]
mod mocks;
#[cfg(test)]
mod tests;
