//! What is known of each socket: who answers there, and whether somebody does. Shown by the capabilities, the
//! daemon's own metrics and `readyz`.

use super::super::container::Runtime;
use crate::readiness::Readiness;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// containerd's own.
    Containerd,
    /// The Kubernetes container runtime interface.
    Cri,
    /// Docker's HTTP API, which podman speaks too.
    Docker,
}

/// A socket to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is spoken there.
    pub protocol: Protocol,
    /// As configured; shown to users.
    pub configured: String,
    /// Where it is seen from here.
    pub path: PathBuf,
    /// An operator named it, so its absence is a problem.
    pub wanted: bool,
}

impl Target {
    /// Who probably answers there, until it says so itself.
    fn guess(&self) -> Runtime {
        let holds = |name| self.configured.contains(name);
        match self.protocol {
            Protocol::Containerd => Runtime::Containerd,
            Protocol::Cri if holds("crio") => Runtime::CriO,
            Protocol::Cri if holds("isulad") => Runtime::Isulad,
            Protocol::Cri => Runtime::Unknown,
            Protocol::Docker if holds("podman") => Runtime::Podman,
            Protocol::Docker => Runtime::Docker,
        }
    }
}

/// Whether a socket is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// There is no such socket.
    Absent,
    /// It is there and has not answered yet.
    Connecting,
    /// Its list was read, its events are followed.
    Connected,
    /// It does not answer; tried again later.
    Failed(String),
}

/// A socket and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// As configured.
    pub path: String,
    /// Who answers there.
    pub runtime: Runtime,
    /// Its version, once told.
    pub version: Option<String>,
    /// Whether it is followed.
    pub state: SocketState,
    wanted: bool,
}

impl Socket {
    /// A sentence about what an operator asked for and does not have.
    fn problem(&self) -> Option<String> {
        let why = match &self.state {
            SocketState::Absent if self.wanted => "there is no such socket",
            SocketState::Failed(why) if self.wanted => why.as_str(),
            _ => return None,
        };
        Some(format!(
            "{} is configured and does not answer ({why}): containers that only it knows have no names; start \
             the runtime, or take the socket out of the section containers",
            self.path
        ))
    }
}

/// All of them; shared.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    sockets: Arc<Mutex<Vec<Socket>>>,
    readiness: Readiness,
}

impl Status {
    pub(super) fn new(targets: &[Target], readiness: Readiness) -> Self {
        let socket = |target: &Target| Socket {
            path: target.configured.clone(),
            runtime: target.guess(),
            version: None,
            state: SocketState::Absent,
            wanted: target.wanted,
        };
        let status = Self { sockets: Arc::new(Mutex::new(targets.iter().map(socket).collect())), readiness };
        status.report();
        status
    }

    pub(super) fn all(&self) -> Vec<Socket> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is known of socket number `index`.
    pub(super) fn set(&self, index: usize, change: impl FnOnce(&mut Socket)) {
        if let Some(socket) = self.sockets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            change(socket);
        }
        self.report();
    }

    fn report(&self) {
        self.readiness.set("containers", self.all().iter().filter_map(Socket::problem).collect());
    }
}

/// The targets of lists of sockets, below the host's root. `defaults` are looked for and not missed; one path is
/// followed once.
pub(super) fn targets<'a>(
    root: &Path,
    lists: impl IntoIterator<Item = (Protocol, &'a [String], &'a [String])>,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for (protocol, paths, defaults) in lists {
        for configured in paths {
            let path = root.join(configured.trim_start_matches('/'));
            if targets.iter().all(|known| known.path != path || known.protocol != protocol) {
                let wanted = paths != defaults;
                targets.push(Target { protocol, configured: configured.clone(), path, wanted });
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn sockets_lie_below_the_hosts_root_and_only_chosen_ones_are_missed() {
        let (own, defaults) = (strings(&["/a.sock", "/a.sock"]), strings(&["/b.sock"]));
        let found = targets(
            Path::new("/host"),
            [
                (Protocol::Docker, own.as_slice(), defaults.as_slice()),
                (Protocol::Cri, defaults.as_slice(), defaults.as_slice()),
            ],
        );
        let found: Vec<_> =
            found.iter().map(|t| (t.path.to_str().unwrap_or_default(), t.protocol, t.wanted)).collect();
        assert_eq!(found, [("/host/a.sock", Protocol::Docker, true), ("/host/b.sock", Protocol::Cri, false)]);
    }

    #[test]
    fn a_wanted_socket_that_does_not_answer_is_a_problem_until_it_does() {
        let readiness = Readiness::default();
        let target = |path: &str, wanted| Target {
            protocol: Protocol::Docker,
            configured: path.into(),
            path: path.into(),
            wanted,
        };
        let status = Status::new(&[target("/a.sock", true), target("/b.sock", false)], readiness.clone());
        assert_eq!(readiness.problems().len(), 1);
        status.set(0, |socket| socket.state = SocketState::Connected);
        status.set(1, |socket| socket.state = SocketState::Failed("x".into()));
        assert_eq!(readiness.problems(), []);
        status.set(0, |socket| socket.state = SocketState::Failed("it sulks".into()));
        assert!(readiness.problems()[0].detail.contains("it sulks"));
    }
}
