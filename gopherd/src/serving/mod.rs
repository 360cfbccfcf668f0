//! What the HTTP handlers read, answered by the real parts: the store's text, the scope's targets, the log's
//! level, the container runtimes, the spool. Owns no data; the traits are `http`'s.

mod log_level;
mod runtimes;
mod shown;
mod spool;
mod targets;

pub use runtimes::FoundRuntimes;
pub use shown::{Shown, Sources};
pub use targets::ScopeTargets;
