//! The spool: accepted messages on disk, until every channel that wants them has them.
//!
//! One log of segment files and one cursor for each sink. Owns the files, their bound, what is dropped when it is
//! reached, and what was lost of them. Leaves sending to the sinks, which read ([`Reader`]) and settle record by record.
//!
//! No crate does this: of those that look near, okaywal warns against production use and has one consumer, commitlog
//! has neither cursors nor a bound and yaque has one receiver. What is needed beyond a checksum and an append is the
//! account of what a bounded log drops for each of several readers, and that would have to be built around any of them.
//!
//! ```text
//!  append ──► …0000.spool  …4711.spool  …9001.spool ◄── the youngest is written
//!                   ▲ kafka.cursor   ▲ webhook-x.cursor
//!  a segment goes when every cursor has passed it, or when max_bytes is reached and no sink's policy is to wait
//! ```

mod cursor;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod log;
mod position;
mod reader;
mod record;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use log::{Options, SinkOptions, Spool};
pub use position::{Route, Routes};
pub use reader::Reader;
pub use record::Record;
pub use state::SinkStatus;
pub use window::Ticket;
