//! A web server that takes events: real HTTP over TLS, whose answers a test chooses.

use gopher_e2e::daemon::free_port;
use gopher_e2e::pki::{Authority, Pair};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) seq: u64,
    pub(crate) signature: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) status: u16,
}

/// What the server answers now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// Nothing, for as long as the connection lives.
    Silence,
}

#[derive(Debug)]
struct State {
    answer: Mutex<Answer>,
    got: Mutex<Vec<Got>>,
}

/// A server that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Starts one with a certificate of `authority`.
    pub(crate) fn start(authority: &Authority) -> Self {
        Self::start_at(authority, free_port())
    }

    /// The same at a port that was free.
    pub(crate) fn start_at(authority: &Authority, port: u16) -> Self {
        Self::start_as(&authority.server("webhook"), port)
    }

    /// The same with this certificate.
    pub(crate) fn start_as(pair: &Pair, port: u16) -> Self {
        let certificate = CertificateDer::from_pem_slice(pair.cert.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let state = Arc::new(State { answer: Mutex::new(Answer::Status(200)), got: Mutex::default() });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).expect("a port");
        runtime.spawn(serve(listener, acceptor, Arc::clone(&state)));
        Self { port, state, runtime: Some(runtime) }
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.state.answer.lock().expect("answer") = answer;
    }

    /// What came so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.state.got.lock().expect("got").clone()
    }

    /// The sequence numbers that it has taken.
    pub(crate) fn taken(&self) -> Vec<u64> {
        self.got().iter().filter(|got| got.status == 200).map(|got| got.seq).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            // A client that does not trust us ends here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer = *state.answer.lock().expect("answer");
    let status = match answer {
        Answer::Status(status) => status,
        Answer::Silence => 0,
    };
    let mut got = Got {
        path: request.uri().to_string(),
        seq: header("gopherd-seq").and_then(|seq| seq.parse().ok()).unwrap_or(0),
        signature: header("gopherd-signature"),
        content_type: header("content-type"),
        body: Vec::new(),
        status,
    };
    got.body = request.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    state.got.lock().expect("got").push(got);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if status == 307 {
        response.headers_mut().insert("location", "https://localhost:1/elsewhere".parse().expect("a header"));
    }
    Ok(response)
}
