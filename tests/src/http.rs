//! A plain HTTP client over TCP or a unix socket, one connection a request, nothing decoded or followed.
//!
//! Owns sending what a test asks for, byte for byte where it must be wrong, and keeping the answer as it came.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A start may take the daemon's own 30 s before it answers; beyond this nothing comes any more.
const ANSWER: Duration = Duration::from_secs(60);

/// One listener of the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    to: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// Body, still encoded as it was sent.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {self:?} {}", String::from_utf8_lossy(&self.body)),
        }
    }

    /// Fails, showing the answer, unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(
            self.status == status,
            "{} instead of {status}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

impl Client {
    /// The listener on this port of 127.0.0.1.
    pub fn port(port: u16) -> Self {
        Self { to: Target::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) }
    }

    /// The listener on this unix socket.
    pub fn socket(path: &Path) -> Self {
        Self { to: Target::Unix(path.to_owned()) }
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], "")
    }

    /// PUT of `json=` and `text`, as `curl -d json='...'` sends it.
    #[track_caller]
    pub fn put(&self, path: &str, text: &str) -> Response {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.send("PUT", path, &form, format!("json={text}"))
    }

    /// Any method with a JSON body.
    #[track_caller]
    pub fn send_json(&self, method: &str, path: &str, body: &Value) -> Response {
        self.send(method, path, &[("content-type", "application/json")], body.to_string())
    }

    /// Any request.
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Response {
        match self.try_send(method, path, headers, body.into()) {
            Ok(response) => response,
            Err(error) => panic!("{method} {path} at {:?}: {error}", self.to),
        }
    }

    /// Any request, with the error when there is no answer.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> io::Result<Response> {
        let mut request = hyper::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(ANSWER, self.exchange(request))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))?
        })
    }

    async fn exchange(&self, request: hyper::Request<Full<Bytes>>) -> io::Result<Response> {
        match &self.to {
            Target::Tcp(address) => exchange(tokio::net::TcpStream::connect(address).await?, request).await,
            Target::Unix(path) => exchange(tokio::net::UnixStream::connect(path).await?, request).await,
        }
    }

    /// A bare connection, for requests that no HTTP library sends. Reads give up after a minute.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        let Target::Tcp(address) = self.to else { panic!("bare connections are for TCP listeners") };
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(ANSWER)).expect("a time-out for reading");
        stream
    }

    /// Sends these bytes, ends the sending side, and returns whatever comes back before the end.
    #[track_caller]
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // The daemon may refuse and close before it has read everything: then the answer tells.
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answer
    }
}

async fn exchange<S>(stream: S, request: hyper::Request<Full<Bytes>>) -> io::Result<Response>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    driver.abort();
    Ok(Response { status, headers, body })
}
