//! Kafka, by librdkafka: events and metadata from the spool ([`worker`]), metrics past it ([`metrics`]).
//!
//! Owns the client's settings, what an answer of a broker means, and the threads. Leaves what is sent, and how long it is
//! kept, to `delivery`.

mod batching;
mod client;
mod keys;
mod meaning;
pub mod metrics;
mod settings;
pub mod worker;

pub use settings::KafkaSettings;
