//! Runtimes that no real one can be made to be: one that hangs, hostile ones, and CRI-O's stream of events, which no
//! package here has. They answer over a real unix socket, by HTTP/1.1 as dockerd or by gRPC as containerd.

use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::convert::Infallible;
use std::path::Path;
use tokio::net::UnixListener;

pub(super) type Body = BoxBody<Bytes, Infallible>;

/// A body of these pieces.
pub(super) fn pieces(pieces: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    BoxBody::new(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

/// A body that is complete.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    pieces(stream::iter([bytes.into()]))
}

/// A body that begins so and then stays silent.
pub(super) fn then_silent(bytes: impl Into<Bytes>) -> Body {
    pieces(stream::iter([bytes.into()]).chain(stream::pending()))
}

/// A body that never ends.
pub(super) fn endless(piece: impl Into<Bytes>) -> Body {
    pieces(stream::repeat(piece.into()))
}

/// A gRPC message with its length before it.
pub(super) fn message(message: &impl Message) -> Vec<u8> {
    framed(&message.encode_to_vec())
}

pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a small message");
    [&[0][..], &length.to_be_bytes(), bytes].concat()
}

/// Takes connections and never says a word.
pub(super) fn hang(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
}

/// Answers each path by HTTP/1.1.
pub(super) fn http(socket: &Path, answer: impl Fn(&str) -> Body + Clone + Send + 'static) {
    let listener = UnixListener::bind(socket).expect("a socket");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let body = answer(request.uri().path());
                async move { Ok::<_, Infallible>(Response::new(body)) }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
        }
    });
}

/// Answers each method by gRPC; `None` for one that is not known.
pub(super) fn grpc(socket: &Path, answer: impl Fn(&str) -> Option<Body> + Clone + Send + 'static) {
    let listener = UnixListener::bind(socket).expect("a socket");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let body = answer(request.uri().path());
                async move { Ok::<_, Infallible>(grpc_answer(body)) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
        }
    });
}

fn grpc_answer(body: Option<Body>) -> Response<Body> {
    let head = Response::builder().header("content-type", "application/grpc");
    match body {
        Some(body) => {
            let ok = stream::iter([Ok(Frame::trailers(
                [(
                    hyper::http::HeaderName::from_static("grpc-status"),
                    hyper::http::HeaderValue::from_static("0"),
                )]
                .into_iter()
                .collect(),
            ))]);
            let data = body.into_data_stream().map(|piece| piece.map(Frame::data));
            head.body(BoxBody::new(StreamBody::new(data.chain(ok))))
        }
        None => head.header("grpc-status", "12").body(pieces(stream::empty())),
    }
    .expect("a head")
}
