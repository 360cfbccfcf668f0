//! The servers over the sockets: TLS, limits against slow and numerous clients, and an end with a deadline.
//!
//! They are put together here from the server, HTTP/1 and application parts of actix, because its own combination
//! of them accepts no connections but its own (see `connection`).

use super::connection::Connection;
use super::guard::guard;
use super::listen::Sockets;
use super::parts::Parts;
use super::peer;
use super::routes::{contain, metrics, rest};
use crate::access::{Access, Listener, Reason};
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_server::{GracefulShutdownSignal, ServerBuilder, ServerHandle};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, web};
use rustls::ServerConfig;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

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

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

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
    let over_tcp = |listener, tls: Option<Arc<ServerConfig>>| Acceptor {
        listener,
        tls: tls.map(TlsAcceptor::from),
        access: Arc::clone(&parts.access),
        head_timeout: limits.head_timeout,
    };
    let mut tcp = |acceptor: Acceptor, socket| {
        let (parts, limits, builder) = (parts.clone(), limits.clone(), builder(limits));
        let signal = builder.graceful_shutdown_signal();
        let server = builder.listen(acceptor.listener.text(), socket, move || {
            let http = http(acceptor.listener, &parts, &limits, &signal);
            let acceptor = acceptor.clone();
            fn_service(move |stream| acceptor.clone().accept(stream)).and_then(http)
        })?;
        servers.spawn(server);
        io::Result::Ok(())
    };
    if let Some(socket) = sockets.rest {
        tcp(over_tcp(Listener::Rest, sockets.tls.rest), socket)?;
    }
    if let Some(socket) = sockets.metrics {
        tcp(over_tcp(Listener::Metrics, sockets.tls.metrics), socket)?;
    }
    // Its own connections: whoever fills the REST listener does not lock the administrator out.
    if let Some((socket, path)) = sockets.unix {
        let group = std::fs::metadata(path).ok().map(|data| data.gid());
        let (parts, limits, builder) = (parts.clone(), limits.clone(), builder(limits));
        let signal = builder.graceful_shutdown_signal();
        let server = builder.listen_uds(Listener::Unix.text(), socket, move || {
            let http = http(Listener::Unix, &parts, &limits, &signal);
            let (counts, head_timeout) = (Arc::clone(&parts.access.counts), limits.head_timeout);
            fn_service(move |stream: UnixStream| {
                let uid = peer::uid(&stream, group);
                let connection = Connection::unix(stream, uid, &counts, head_timeout);
                std::future::ready(Ok((connection, None)))
            })
            .and_then(http)
        })?;
        servers.spawn(server);
    }
    Ok(servers)
}

fn builder(limits: &Limits) -> ServerBuilder {
    ServerBuilder::new()
        .workers(1)
        .disable_signals()
        .max_concurrent_connections(limits.max_connections)
        .shutdown_timeout(limits.drain.as_secs())
}

/// Turns what the kernel accepted into a connection.
#[derive(Clone)]
struct Acceptor {
    listener: Listener,
    tls: Option<TlsAcceptor>,
    access: Arc<Access>,
    head_timeout: Duration,
}

impl Acceptor {
    async fn accept(self, stream: TcpStream) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
        let Self { listener, tls, access, head_timeout } = self;
        let counts = Arc::clone(&access.counts);
        give_up_on_silence(&stream);
        // The server writes 32 KiB at a time: without this the rest of a larger answer waits for the client's
        // delayed acknowledgement, 40 ms.
        let _works_without = stream.set_nodelay(true);
        let from = stream.peer_addr().ok();
        let Some(tls) = tls else {
            return Ok((Connection::plain(stream, listener, &counts, head_timeout), from));
        };
        if from.is_some_and(|from| !access.may_shake_hands(from.ip())) {
            counts.refused(listener, Reason::Rate);
            return Err(DispatchError::Io(io::ErrorKind::QuotaExceeded.into()));
        }
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => Ok((Connection::tls(stream, listener, &counts, head_timeout), from)),
            Ok(Err(error)) => {
                counts.refused(listener, Reason::Handshake);
                tracing::debug!(listener = listener.text(), %error, from = ?from, "a TLS handshake failed");
                Err(DispatchError::Io(error))
            }
            Err(_) => {
                counts.refused(listener, Reason::Handshake);
                Err(DispatchError::Io(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

/// HTTP/1 with the routes of `listener` on a connection.
///
/// actix-http renews a clock of its own twice a second for as long as its service is there. The service is made with
/// the first connection and goes with the last, so that a daemon that nobody asks does not wake; the routes, which
/// are what is dear to make, stay.
fn http(
    listener: Listener,
    parts: &Parts,
    limits: &Limits,
    signal: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Connection, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<> {
    let (parts, limits, signal) = (parts.clone(), limits.clone(), signal.clone());
    fn_factory(move || {
        let (parts, limits, signal) = (parts.clone(), limits.clone(), signal.clone());
        async move {
            let app = app(listener, parts).into_factory().map_err(|error| error.error_response());
            let app = Rc::new(app.new_service(AppConfig::default()).await?);
            let used = Rc::new(Cell::new(Weak::new()));
            Ok(fn_service(move |connection| {
                let kept = used.take().upgrade();
                let service = kept.unwrap_or_else(|| Rc::new(http1(Rc::clone(&app), &limits, &signal)));
                used.set(Rc::downgrade(&service));
                async move {
                    service
                        .new_service(())
                        .await
                        .map_err(|()| DispatchError::InternalError)?
                        .call(connection)
                        .await
                }
            }))
        }
    })
}

/// HTTP/1 before `app`.
fn http1<S, B>(
    app: Rc<S>,
    limits: &Limits,
    signal: &GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Connection, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<S, B>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = HttpResponse> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let signal = signal.clone();
    HttpService::<Connection, _, _>::build()
        .graceful_shutdown_signal(move || {
            let signal = signal.clone();
            async move { signal.notified().await }
        })
        .client_request_timeout(limits.head_timeout)
        .client_disconnect_timeout(LINGER)
        .keep_alive(limits.keep_alive)
        .on_connect_ext(|connection: &Connection, data| {
            data.insert(connection.line());
        })
        .h1(fn_factory(move || std::future::ready(Ok::<_, ()>(Rc::clone(&app)))))
}

/// The routes of `listener` behind the guard.
pub(super) fn app(
    listener: Listener,
    parts: Parts,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let parts = web::Data::new(parts);
    let app = App::new().wrap(from_fn(contain)).wrap(from_fn(guard));
    app.configure(move |config| match listener {
        Listener::Rest | Listener::Unix => rest(parts)(config),
        Listener::Metrics => metrics(parts)(config),
    })
}

/// A client that takes nothing of what it asked for would keep its connection for ever; the kernel ends it.
fn give_up_on_silence(stream: &TcpStream) {
    let silence = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
    // Without it the connection works all the same.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, silence);
}

impl Servers {
    fn spawn(&mut self, server: ServerBuilder) {
        let server = server.run();
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
