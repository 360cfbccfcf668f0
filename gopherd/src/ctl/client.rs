//! HTTP over the unix socket.

use super::failure::{Failure, Refused};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Longer than the daemon itself waits for a probe, so that its answer arrives.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Longest document that is taken; metrics are not documents and have no limit.
const MAX_DOCUMENT: usize = 64 << 20;

/// The way to the daemon.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Incoming,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.request("GET", path, Vec::new()).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Reply, Failure> {
        self.request(method, path, body).await
    }

    async fn request(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Reply, Failure> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| no_connection(&self.socket, &error))?;
        let broken =
            |error: hyper::Error| Failure::Unreachable(format!("the daemon did not answer: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // An error of the connection is also an error of the request, which tells it.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "localhost")
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::Input(error.to_string()))?;
        let response = tokio::time::timeout(TIMEOUT, sender.send_request(request)).await;
        let response = response.map_err(|_| timed_out())?.map_err(broken)?;
        Ok(Reply { status: response.status(), body: response.into_body() })
    }
}

impl Reply {
    /// The document, if the daemon did what was asked.
    pub(super) async fn accepted(mut self) -> Result<Vec<u8>, Failure> {
        self.refused().await?;
        document(&mut self.body).await
    }

    /// An error with the daemon's document if it did not.
    pub(super) async fn refused(&mut self) -> Result<(), Failure> {
        if self.status.is_success() {
            return Ok(());
        }
        let body = document(&mut self.body).await?;
        Err(Failure::Refused(Refused { status: self.status, body }))
    }

    /// The document, whatever its status says.
    pub(super) async fn any(mut self) -> Result<(StatusCode, Vec<u8>), Failure> {
        let body = document(&mut self.body).await?;
        Ok((self.status, body))
    }

    /// The next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(TIMEOUT, self.body.frame()).await.map_err(|_| timed_out())?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(Failure::Unreachable(format!("the daemon's answer broke off: {error}")));
                }
                // Trailers are no data.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

async fn document(body: &mut Incoming) -> Result<Vec<u8>, Failure> {
    let all = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_DOCUMENT).collect());
    let all = all.await.map_err(|_| timed_out())?;
    all.map(|body| body.to_bytes().to_vec())
        .map_err(|error| Failure::Unreachable(format!("the daemon's answer broke off: {error}")))
}

fn timed_out() -> Failure {
    Failure::Unreachable(format!("the daemon did not answer within {} s", TIMEOUT.as_secs()))
}

fn no_connection(socket: &Path, error: &io::Error) -> Failure {
    let way_out = match error.kind() {
        io::ErrorKind::NotFound => {
            "is gopherd running? (systemctl status gopherd); --socket names another socket"
        }
        io::ErrorKind::ConnectionRefused => "gopherd has ended without removing it; start it again",
        io::ErrorKind::PermissionDenied => "run as root or as a member of the socket's group",
        _ => "--socket names another socket",
    };
    Failure::Unreachable(format!("cannot reach the daemon at {}: {error}; {way_out}", socket.display()))
}
