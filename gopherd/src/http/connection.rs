//! A client's connection as the HTTP server sees it: plain, TLS or the unix socket, with the limits that the server
//! itself does not have.
//!
//! Owns how many bytes and how much time a client has between two requests. The server's own timer covers the
//! first head of a connection only, and what it reads of a body that nobody wants is bounded by time alone.
//! Leaves who the client is to `guard`.

use crate::access::certificate::{Holder, holder};
use crate::access::{Counts, Listener, Reason};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// Bytes that a client may send after an answer before the head of its next request is complete: as much as of a
/// body that is wanted. A head has 128 KiB at most; the rest is there so that a client that sends on while it is
/// refused can still read the answer.
const BETWEEN: usize = crate::feature::body::MAX_BODY;

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// What is known of a connection and where it is. Shared between the connection and the requests that come by it, all
/// of which live on one thread.
#[derive(Debug)]
pub(super) struct Line {
    /// The listener that accepted it.
    pub(super) listener: Listener,
    /// The client's address; none on the unix socket.
    pub(super) from: Option<IpAddr>,
    /// The holder of the client's certificate, if there is one.
    pub(super) holder: Option<Holder>,
    /// The user at the other end of the unix socket, and whether the socket is for that user.
    pub(super) uid: Option<(u32, bool)>,
    /// A request is being answered.
    busy: Cell<bool>,
    /// Requests that have come by it.
    requests: Cell<u64>,
    /// Bytes that may be read before the next request.
    left: Cell<usize>,
    /// Nothing is written any more.
    cut: Cell<bool>,
    /// Who waits for the client to take what is written.
    writer: RefCell<Option<Waker>>,
}

impl Line {
    /// A request has arrived and is looked at from here on; what it may send is bounded by whoever reads it.
    pub(super) fn request(&self) {
        self.busy.set(true);
        self.requests.set(self.requests.get().wrapping_add(1));
    }

    /// Its answer is there.
    pub(super) fn answered(&self) {
        self.busy.set(false);
        self.left.set(BETWEEN);
    }

    /// Ends the connection though its client does not read what was written.
    pub(super) fn cut_off(&self) {
        self.cut.set(true);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// `written`, unless the connection was cut off.
    fn unless_cut<T>(&self, written: Poll<io::Result<T>>, cx: &Context<'_>) -> Poll<io::Result<T>> {
        if self.cut.get() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client did not read in time",
            )));
        }
        if written.is_pending() {
            self.writer.replace(Some(cx.waker().clone()));
        }
        written
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    line: Rc<Line>,
    counts: Arc<Counts>,
    head_timeout: Duration,
    /// Ends a head that began and does not go on, with the number of requests before it. Only from the second
    /// request of a connection on: the first is the server's, which answers with a 408.
    slow: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Connection {
    fn new(stream: Stream, line: Line, counts: &Arc<Counts>, head_timeout: Duration) -> Self {
        let counts = Arc::clone(counts);
        Self { stream, line: Rc::new(line), counts, head_timeout, slow: None }
    }

    /// Over TCP, without TLS.
    pub(super) fn plain(
        stream: TcpStream,
        listener: Listener,
        counts: &Arc<Counts>,
        head_timeout: Duration,
    ) -> Self {
        let from = stream.peer_addr().ok().map(|address| address.ip());
        let line = Line { from, ..Line::at(listener) };
        Self::new(Stream::Plain(stream), line, counts, head_timeout)
    }

    /// After a handshake.
    pub(super) fn tls(
        stream: TlsStream<TcpStream>,
        listener: Listener,
        counts: &Arc<Counts>,
        head_timeout: Duration,
    ) -> Self {
        let (tcp, session) = stream.get_ref();
        let from = tcp.peer_addr().ok().map(|address| address.ip());
        // One that cannot be read is a holder without names: it was accepted, and fits no entry.
        let first = session.peer_certificates().and_then(<[_]>::first);
        let holder = first.map(|certificate| holder(certificate).unwrap_or_default());
        let line = Line { from, holder, ..Line::at(listener) };
        Self::new(Stream::Tls(Box::new(stream)), line, counts, head_timeout)
    }

    /// Over the unix socket.
    pub(super) fn unix(
        stream: UnixStream,
        uid: (u32, bool),
        counts: &Arc<Counts>,
        head_timeout: Duration,
    ) -> Self {
        let line = Line { uid: Some(uid), ..Line::at(Listener::Unix) };
        Self::new(Stream::Unix(stream), line, counts, head_timeout)
    }

    /// What its requests need to know of it.
    pub(super) fn line(&self) -> Rc<Line> {
        Rc::clone(&self.line)
    }

    /// The stream's end was reached, as far as this connection is concerned.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.line.busy.get() {
            return false;
        }
        if self.line.left.get() == 0 {
            return true;
        }
        let requests = self.line.requests.get();
        // One that belongs to a head that has come since is of no use any more.
        let Some((_, slow)) = self.slow.as_mut().filter(|(before, _)| *before == requests) else {
            self.slow = None;
            return false;
        };
        if slow.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.counts.refused(self.line.listener, Reason::Timeout);
        self.line.left.set(0);
        true
    }

    /// So many bytes have come.
    fn came(&mut self, bytes: usize, cx: &mut Context<'_>) {
        if self.line.busy.get() {
            return;
        }
        self.line.left.set(self.line.left.get().saturating_sub(bytes));
        let requests = self.line.requests.get();
        if requests > 0 && self.slow.is_none() {
            let mut slow = Box::pin(tokio::time::sleep(self.head_timeout));
            // So that it wakes this task.
            let _pending = slow.as_mut().poll(cx);
            self.slow = Some((requests, slow));
        }
    }
}

impl Line {
    fn at(listener: Listener) -> Self {
        Self {
            listener,
            from: None,
            holder: None,
            uid: None,
            busy: Cell::new(false),
            requests: Cell::new(0),
            left: Cell::new(BETWEEN),
            cut: Cell::new(false),
            writer: RefCell::default(),
        }
    }
}

/// Why the server itself, which no middleware sees, refuses with what it is about to send: its refusals have no
/// body, ours always have one.
fn refusal(sent: &[u8]) -> Option<Reason> {
    let status = sent.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let reason = match status {
        b"408" => Reason::Timeout,
        b"400" | b"431" => Reason::Malformed,
        _ => return None,
    };
    let head = sent.get(..sent.len().min(256))?;
    head.to_ascii_lowercase().windows(19).any(|piece| piece == b"\r\ncontent-length: 0").then_some(reason)
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        ready!(read)?;
        let bytes = buf.filled().len().saturating_sub(before);
        if bytes > 0 {
            this.came(bytes, cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        if let (Poll::Ready(Ok(_)), Some(reason)) = (&written, refusal(buf)) {
            this.counts.refused(this.line.listener, reason);
        }
        this.line.unless_cut(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.line.unless_cut(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_refusals_are_told_from_ours_by_having_no_body() {
        for (sent, wanted) in [
            (
                &b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\nContent-Length: 0\r\n\r\n"[..],
                Some(Reason::Timeout),
            ),
            (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Some(Reason::Malformed)),
            (
                b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n",
                Some(Reason::Malformed),
            ),
            (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 77\r\n\r\n{}", None),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
            (b"HTTP/1.1", None),
            (b"", None),
        ] {
            assert_eq!(refusal(sent), wanted, "{}", String::from_utf8_lossy(sent));
        }
    }
}
