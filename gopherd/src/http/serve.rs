//! The servers over the sockets: limits against slow and numerous clients, and an end with a deadline.

use super::listen::Sockets;
use super::parts::Parts;
use super::peer;
use super::routes::{contain, metrics, rest};
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use std::any::Any;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Limits of either listener. What a request's head may be is the server's own: 128 KiB and 96 headers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time (`rest_api_server.max_connections`); more wait to be accepted.
    pub max_connections: usize,
    /// How long a request's head may take; a client that is slower gets a 408.
    pub head_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long running requests may go on once the end was asked for; whole seconds.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            drain: Duration::from_secs(3),
        }
    }
}

/// How long a connection is kept half open after a refusal, so that a client that still sends its body can
/// read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may take nothing of an answer that it asked for.
const SILENCE: Duration = Duration::from_secs(30);

/// Running servers.
#[derive(Debug)]
pub struct Servers {
    handles: Vec<ServerHandle>,
    tasks: Vec<JoinHandle<io::Result<()>>>,
    socket: Option<PathBuf>,
    drain: Duration,
}

/// Serves on `sockets` until [`Servers::stop`]. Must be called inside a tokio runtime.
pub fn serve(sockets: Sockets, parts: &Parts, limits: &Limits) -> io::Result<Servers> {
    let mut servers = Servers {
        handles: Vec::new(),
        tasks: Vec::new(),
        socket: sockets.unix.as_ref().map(|(_, path)| path.clone()),
        drain: limits.drain,
    };
    let group = servers.socket.as_ref().and_then(|path| Some(std::fs::metadata(path).ok()?.gid()));
    // Both servers are built alike; their factories are of different types, which no function can be.
    macro_rules! server {
        ($routes:path) => {{
            let parts = web::Data::new(parts.clone());
            HttpServer::new(move || {
                let app = App::new().wrap(from_fn(contain)).wrap(from_fn(peer::check));
                app.configure($routes(parts.clone()))
            })
            .on_connect(move |connection, data| {
                give_up_on_silence(connection);
                peer::note(connection, data, group);
            })
            .workers(1)
            // The server writes 32 KiB at a time: without this the rest of a larger answer waits for the client's
            // delayed acknowledgement, 40 ms.
            .tcp_nodelay(true)
            .disable_signals()
            .max_connections(limits.max_connections)
            .client_request_timeout(limits.head_timeout)
            .client_disconnect_timeout(LINGER)
            .keep_alive(limits.keep_alive)
            .shutdown_timeout(limits.drain.as_secs())
        }};
    }
    if let Some(listener) = sockets.rest {
        servers.spawn(server!(rest).listen(listener)?.run());
    }
    // Its own connections: whoever fills the REST listener does not lock the administrator out.
    if let Some((listener, _)) = sockets.unix {
        servers.spawn(server!(rest).listen_uds(listener)?.run());
    }
    if let Some(listener) = sockets.metrics {
        servers.spawn(server!(metrics).listen(listener)?.run());
    }
    Ok(servers)
}

/// A client that takes nothing of what it asked for would keep its connection for ever; the kernel ends it.
fn give_up_on_silence(connection: &dyn Any) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let silence = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
    // Without it the connection works all the same.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, silence);
}

impl Servers {
    fn spawn(&mut self, server: actix_web::dev::Server) {
        self.handles.push(server.handle());
        self.tasks.push(tokio::spawn(server));
    }

    /// No new connection is accepted, running requests may go on for the time that was configured, and then
    /// everything is closed and the socket file removed.
    pub async fn stop(self) {
        let stops = self.handles.iter().map(|handle| handle.stop(true));
        let all = futures_util::future::join_all(stops);
        // The server keeps its own deadline; a second more is for a server that does not.
        if tokio::time::timeout(self.drain + Duration::from_secs(1), all).await.is_err() {
            tracing::warn!("the HTTP servers did not end in time");
            futures_util::future::join_all(self.handles.iter().map(|handle| handle.stop(false))).await;
        }
        for task in self.tasks {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "an HTTP server ended with an error"),
                Err(error) => tracing::error!(%error, "an HTTP server panicked"),
            }
        }
        if let Some(socket) = self.socket {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(socket);
        }
    }
}
