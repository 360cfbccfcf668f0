//! Calls over a runtime's unix socket: one answer or a stream of messages, each within a time and a size.

use super::failure::Failure;
use super::link::{CALL, HEAD, in_time};
use hyper::http::uri::PathAndQuery;
use prost::Message;
use std::path::Path;
use std::pin::Pin;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// Largest message that is taken: the specification of one container, or the names of some ten thousand.
const MAX_MESSAGE: usize = 4 << 20;

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Connection(Channel);

/// A question: which method, asked for which of containerd's namespaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    /// containerd's namespace, for calls that are about one.
    pub(super) namespace: Option<&'a str>,
}

impl From<&'static str> for Method<'_> {
    fn from(path: &'static str) -> Self {
        Self { path, namespace: None }
    }
}

impl Connection {
    pub(super) async fn open(socket: &Path) -> Result<Self, Failure> {
        // Asked first, because the transport's own error does not tell why.
        tokio::net::UnixStream::connect(socket)
            .await
            .map_err(|error| Failure::unreachable(socket, &error))?;
        let unreachable =
            |error: tonic::transport::Error| Failure::Unreachable(format!("{}: {error}", socket.display()));
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))
            .map_err(unreachable)?
            .connect_timeout(CALL);
        in_time(CALL, "connecting", async { endpoint.connect().await.map_err(unreachable) }).await.map(Self)
    }

    /// One answer; `None` if the runtime has no such thing.
    pub(super) async fn ask<Q, A>(
        &self,
        method: impl Into<Method<'_>>,
        question: Q,
    ) -> Result<Option<A>, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let method = method.into();
        let answer = async {
            let mut grpc = self.ready(method).await?;
            let path = PathAndQuery::from_static(method.path);
            match grpc.unary(request(method, question), path, ProstCodec::default()).await {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(refused(method, &status)),
            }
        };
        in_time(CALL, method.path, answer).await
    }

    /// A stream of answers; `None` if the runtime does not know the method.
    pub(super) async fn stream<Q, A>(
        &self,
        path: &'static str,
        question: Q,
    ) -> Result<Option<Messages<A>>, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let connection = self.clone();
        let mut head: Head<A> = Box::pin(async move {
            let mut grpc = connection.ready(path.into()).await?;
            let uri = PathAndQuery::from_static(path);
            match grpc.server_streaming(request(path.into(), question), uri, ProstCodec::default()).await {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::Unimplemented => Ok(None),
                Err(status) => Err(refused(path.into(), &status)),
            }
        });
        // A runtime that does not know the method says so at once.
        match tokio::time::timeout(HEAD, &mut head).await {
            Ok(answer) => Ok(answer?.map(|stream| Messages { path, state: Arrival::Open(Box::new(stream)) })),
            Err(_) => Ok(Some(Messages { path, state: Arrival::Awaited(head) })),
        }
    }

    async fn ready(&self, method: Method<'_>) -> Result<Grpc<Channel>, Failure> {
        let mut grpc = Grpc::new(self.0.clone()).max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|error| Failure::Refused(method.path, error.to_string()))?;
        Ok(grpc)
    }
}

/// The head of a stream that was asked for.
type Head<A> = Pin<Box<dyn Future<Output = Result<Option<Streaming<A>>, Failure>> + Send>>;

enum Arrival<A> {
    Awaited(Head<A>),
    Open(Box<Streaming<A>>),
}

/// Messages that arrive one by one.
pub(super) struct Messages<A> {
    path: &'static str,
    state: Arrival<A>,
}

impl<A> Messages<A> {
    /// The next one, or `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<A>, Failure> {
        if let Arrival::Awaited(head) = &mut self.state {
            match head.await? {
                Some(stream) => self.state = Arrival::Open(Box::new(stream)),
                None => return Ok(None),
            }
        }
        match &mut self.state {
            Arrival::Open(stream) => {
                stream.message().await.map_err(|status| refused(self.path.into(), &status))
            }
            Arrival::Awaited(_) => Ok(None),
        }
    }
}

fn request<Q>(method: Method<'_>, question: Q) -> Request<Q> {
    let mut request = Request::new(question);
    // A namespace that cannot be a header cannot be one of containerd's either.
    if let Some(value) = method.namespace.and_then(|name| AsciiMetadataValue::try_from(name).ok()) {
        request.metadata_mut().insert("containerd-namespace", value);
    }
    request
}

fn refused(method: Method<'_>, status: &Status) -> Failure {
    let said: String = status.message().chars().filter(|c| !c.is_control()).take(200).collect();
    Failure::Refused(method.path, format!("{} {said}", status.code()))
}
