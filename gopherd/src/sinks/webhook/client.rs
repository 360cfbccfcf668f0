//! One request after the other over one connection, which is made anew when it is gone.
//!
//! By hand over `hyper` and `rustls`, which are here for Docker's API and the listeners: a client crate would bring
//! redirects, cookies, proxies and pools, all of which must be off here.

use super::settings::{Address, WebhookSettings};
use super::signature;
use crate::input_file;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest file of certificates.
const MAX_CA_FILE: u64 = 1 << 20;
/// So much of an answer is read, to use the connection again; what is longer costs a new one.
const MAX_ANSWER: usize = 64 << 10;

type Sender = SendRequest<Full<Bytes>>;

/// What a server said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
}

/// One event to post.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post<'a> {
    pub seq: u64,
    pub document: &'a [u8],
}

/// The client of one webhook.
pub(super) struct Client {
    address: Address,
    secret: Option<Vec<u8>>,
    timeout: Duration,
    tls: Option<TlsConnector>,
    sender: Option<Sender>,
}

impl Client {
    /// Reads the authorities that are trusted. Connects to nobody yet.
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, String> {
        if let Some(fault) = &settings.fault {
            return Err(fault.clone());
        }
        let tls = settings.address.tls.then(|| connector(settings)).transpose()?;
        Ok(Self {
            address: settings.address.clone(),
            secret: settings.secret.clone(),
            timeout: settings.timeout,
            tls,
            sender: None,
        })
    }

    /// Posts one event. Why not, without the address's path.
    pub(super) async fn post(&mut self, post: Post<'_>) -> Result<Answer, String> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.try_post(post)).await {
            Ok(result) => result,
            Err(_) => {
                self.sender = None;
                Err(format!("no answer within {}", humantime::format_duration(timeout)))
            }
        }
    }

    async fn try_post(&mut self, post: Post<'_>) -> Result<Answer, String> {
        // The server may have closed a connection that was kept: then, and only then, a second one is tried at once.
        if let Some(sender) = self.sender.take()
            && let Ok(answer) = self.send(sender, post).await
        {
            return Ok(answer);
        }
        let sender = self.connect().await?;
        self.send(sender, post).await
    }

    async fn connect(&self) -> Result<Sender, String> {
        let Address { host, port, .. } = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| format!("no connection to {host}:{port}: {error}"))?;
        match &self.tls {
            None => handshake(TokioIo::new(stream)).await,
            Some(tls) => {
                let name = ServerName::try_from(host.clone()).map_err(|error| format!("{host}: {error}"))?;
                let stream = tls.connect(name, stream).await;
                let stream = stream.map_err(|error| format!("no TLS with {host}:{port}: {error}"))?;
                handshake(TokioIo::new(stream)).await
            }
        }
    }

    async fn send(&mut self, mut sender: Sender, post: Post<'_>) -> Result<Answer, String> {
        let failed = |error: hyper::Error| format!("the connection broke: {error}");
        sender.ready().await.map_err(failed)?;
        let response = sender.send_request(self.request(post)?).await.map_err(failed)?;
        let status = response.status();
        let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        // Its other form, a date, is seldom and a help only.
        let retry_after = seconds.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        if Limited::new(response.into_body(), MAX_ANSWER).collect().await.is_ok() {
            self.sender = Some(sender);
        }
        Ok(Answer { status, retry_after })
    }

    fn request(&self, post: Post<'_>) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(&self.address.target)
            .header(header::HOST, &self.address.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("gopherd/", env!("CARGO_PKG_VERSION")))
            .header("gopherd-seq", post.seq);
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            request =
                request.header("gopherd-signature", signature::sign(secret, now.as_secs(), post.document));
        }
        request
            .body(Full::new(Bytes::copy_from_slice(post.document)))
            .map_err(|error| format!("no request can be made: {error}"))
    }
}

async fn handshake<S>(stream: TokioIo<S>) -> Result<Sender, String>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(stream).await.map_err(|error| format!("the connection broke: {error}"))?;
    // What goes wrong with it goes wrong with the request too, which tells it.
    tokio::spawn(connection);
    Ok(sender)
}

fn connector(settings: &WebhookSettings) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
            let bytes = input_file::read(path, MAX_CA_FILE).map_err(|error| told(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&bytes) {
                let certificate = certificate.map_err(|error| told(&error))?;
                roots.add(certificate).map_err(|error| told(&error))?;
            }
            if roots.is_empty() {
                return Err(told(&"it holds no certificate"));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err("this system trusts no authority; set ca_file".into());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
