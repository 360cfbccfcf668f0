//! A scraper's connection: one TCP connection for many requests, as Prometheus keeps it.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::Ipv4Addr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

async fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    stream
}

async fn http(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Empty<Bytes>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

/// An open connection to a port of 127.0.0.1.
pub(crate) struct KeepAlive {
    runtime: Runtime,
    sender: SendRequest<Empty<Bytes>>,
}

impl KeepAlive {
    /// Connects.
    pub(crate) fn open(port: u16) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sender = runtime.block_on(async { http(tcp(port).await).await });
        Self { runtime, sender }
    }

    /// Connects in TLS.
    pub(crate) fn open_tls(port: u16, tls: &TlsConnector) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sender = runtime.block_on(async {
            let name = "localhost".try_into().expect("a name");
            http(tls.connect(name, tcp(port).await).await.expect("a handshake")).await
        });
        Self { runtime, sender }
    }

    /// The whole body of an uncompressed answer, which must be 200.
    pub(crate) fn get(&mut self, path: &str) -> Bytes {
        let request = hyper::Request::get(path).header("host", "localhost").body(Empty::new());
        self.runtime.block_on(async {
            self.sender.ready().await.expect("a connection that is still open");
            let answer = self.sender.send_request(request.expect("a request")).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{path}");
            answer.into_body().collect().await.expect("a whole body").to_bytes()
        })
    }
}
