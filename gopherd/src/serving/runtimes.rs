//! The container runtimes, as the native API shows them.

use crate::containers::{Runtimes, SocketState};
use crate::http::ContainerRuntimes;
use gopher_api::ContainerRuntime;

/// The runtimes behind `GET /api/v1/capabilities`.
#[derive(Debug)]
pub struct FoundRuntimes(pub Runtimes);

impl ContainerRuntimes for FoundRuntimes {
    fn list(&self) -> Vec<ContainerRuntime> {
        let sockets = self.0.sockets().into_iter().filter(|socket| socket.state != SocketState::Absent);
        let found = sockets.map(|socket| ContainerRuntime {
            name: socket.runtime.as_str().to_owned(),
            version: socket.version,
            socket: socket.path,
            connected: socket.state == SocketState::Connected,
            error: match socket.state {
                SocketState::Failed(why) => Some(why),
                _ => None,
            },
        });
        found.collect()
    }
}
