//! Delivery: finished documents of events and metadata to every channel that was configured, with nothing lost
//! silently.
//!
//! Owns the sequence numbers, the spool, the channels and the account of what became of each message. Leaves what a
//! document says to `events` and `metadata`.

mod message;

pub use message::{Message, Stream};

/// Where whoever makes documents hands them over.
pub trait Accept: Send {
    /// Accepts `messages` in order: each gets the next sequence number, and what goes to a channel with a spool is on
    /// it when this returns. Returns the first number; the others follow one by one. What the policy `block` keeps
    /// waiting waits here, so only a thread of its own may call.
    fn accept(&mut self, messages: &[Message]) -> u64;
}
