//! Expositions on their way to clients. A large one waits in memory for as long as its client takes to read it,
//! and a client may take for ever.
//!
//! Owns how much may wait and for how long. Leaves the text to the store and the connection to the server.

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// All that waits together, in KiB. A single one may be larger and is then sent alone.
const BUDGET_KIB: u32 = 64 << 10;

/// A client that has not taken its answer by then is cut off; scrapers give up after ten seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// So much is given to the connection at once; it copies what it is given.
const CHUNK: usize = 32 << 10;

/// The budget, shared by all listeners.
#[derive(Clone, Debug)]
pub struct Sending(Arc<Semaphore>);

impl Default for Sending {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB as usize)))
    }
}

impl Sending {
    /// `text` as a body; `None` while other clients are too slow in taking theirs.
    pub(super) fn body(&self, text: Bytes) -> Option<Body> {
        let kib = u32::try_from(text.len() / 1024).unwrap_or(u32::MAX).clamp(1, BUDGET_KIB);
        let share = Arc::clone(&self.0).try_acquire_many_owned(kib).ok()?;
        let size = text.len() as u64;
        let rest = Arc::new(Mutex::new(Some(Rest { text, _share: share })));
        let cut_off = {
            let rest = Arc::clone(&rest);
            tokio::spawn(async move {
                tokio::time::sleep(DEADLINE).await;
                *rest.lock().unwrap_or_else(PoisonError::into_inner) = None;
            })
        };
        Some(Body { size, rest, cut_off: cut_off.abort_handle() })
    }
}

#[derive(Debug)]
struct Rest {
    text: Bytes,
    /// Given back with the text, be it sent or not.
    _share: OwnedSemaphorePermit,
}

/// A body that is given out in pieces and forgotten at the deadline.
#[derive(Debug)]
pub(super) struct Body {
    size: u64,
    /// `None` after the deadline. The connection does not ask for more while its client reads nothing, so a
    /// task of its own takes the text away.
    rest: Arc<Mutex<Option<Rest>>>,
    cut_off: AbortHandle,
}

impl Drop for Body {
    fn drop(&mut self) {
        // At once: the aborted task lets go of it only when it is next looked at.
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.cut_off.abort();
    }
}

impl MessageBody for Body {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match &mut *rest {
            None => Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not read in time"))),
            Some(Rest { text, .. }) if text.is_empty() => None,
            Some(Rest { text, .. }) => Some(Ok(text.split_to(CHUNK.min(text.len())))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn next(body: &mut Body) -> Option<Result<Bytes, io::Error>> {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await
    }

    #[tokio::test]
    async fn the_pieces_together_are_the_text() {
        let text = Bytes::from((0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
        let mut body = Sending::default().body(text.clone()).unwrap();
        assert!(matches!(body.size(), BodySize::Sized(200_000)));
        let mut got = Vec::new();
        while let Some(piece) = next(&mut body).await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(got, text);
    }

    #[tokio::test]
    async fn more_than_may_wait_is_refused_until_one_is_sent_and_one_alone_may_be_of_any_size() {
        let sending = Sending::default();
        let third = Bytes::from(vec![0; 22 << 20]);
        let (first, second) = (sending.body(third.clone()), sending.body(third.clone()));
        assert!(first.is_some() && second.is_some());
        assert!(sending.body(third.clone()).is_none());
        drop(first);
        assert!(sending.body(third).is_some());
        drop(second);
        assert!(sending.body(Bytes::from(vec![0; 65 << 20])).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_cut_off_and_its_text_forgotten() {
        let sending = Sending::default();
        let mut slow = sending.body(Bytes::from(vec![0; 64 << 20])).unwrap();
        assert!(next(&mut slow).await.unwrap().is_ok());
        assert!(sending.body(Bytes::from_static(b"x")).is_none());
        tokio::time::sleep(DEADLINE + Duration::from_secs(1)).await;
        assert!(sending.body(Bytes::from_static(b"x")).is_some());
        assert!(next(&mut slow).await.unwrap().is_err());
    }
}
