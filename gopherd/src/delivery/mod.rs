//! Delivery: finished documents of events and metadata to every channel that was configured, with nothing lost
//! silently.
//!
//! Owns the sequence numbers, the spool, which channels there are, and the account of what became of each message.
//! Leaves what a document says to `events` and `metadata`, and how a channel sends to `sinks`.
//!
//! ```text
//!  Accept::accept ── number ──► log files, written at once
//!                          └──► spool ──► one reader each: Kafka, every webhook
//! ```

pub mod account;
pub mod board;
mod message;
mod outbox;
pub mod spool;
mod stop;
mod wanted;

pub use message::{Message, Stream};
pub use outbox::{Delivery, NoSuchSink};
pub use stop::Stop;

/// Where whoever makes documents hands them over.
pub trait Accept: Send {
    /// Accepts `messages` in order: each gets the next sequence number, and what goes to a channel with a spool is on
    /// it when this returns. Returns the first number; the others follow one by one. What the policy `block` keeps
    /// waiting waits here, so only a thread of its own may call.
    fn accept(&mut self, messages: &[Message]) -> u64;
}
