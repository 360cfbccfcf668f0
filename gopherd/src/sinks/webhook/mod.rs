//! Events to web addresses: a POST each, in order, again and again until the server has it.
//!
//! Owns the request, its signature, what an answer means, and the pace of attempts. Leaves what waits to the spool.

mod client;
mod meaning;
mod settings;
mod signature;
mod worker;

pub use settings::WebhookSettings;
pub use worker::Worker;
