//! The daemon: everything that knows the configuration, HTTP, Prometheus text and files.
//!
//! `app` is the composition root, the only place that knows every part; each module owns one thing and
//! leaves the rest to its neighbours. Probes are in `probes`, their vocabulary in `probe-core`.
#![forbid(unsafe_code)]

pub mod expose;
pub mod feature;
pub mod selfmetrics;
pub mod sinks;
pub mod store;
