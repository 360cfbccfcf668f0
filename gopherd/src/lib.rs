//! The daemon: everything that knows the configuration, HTTP, Prometheus text and files.
//!
//! `app` is the composition root, the only place that knows every part; each module owns one thing and
//! leaves the rest to its neighbours. Probes are in `probes`, their vocabulary in `probe-core`.
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod atomic;
mod bpfcost;
pub mod budget;
pub mod channels;
pub mod check;
pub mod cli;
pub mod config;
pub mod containers;
pub mod cost;
pub mod ctl;
pub mod delivery;
pub mod events;
pub mod expose;
pub mod feature;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
pub mod http;
pub mod initfile;
pub mod input_file;
pub mod lock;
pub mod logging;
pub mod machine_id;
pub mod manager;
pub mod meta;
pub mod metadata;
pub mod pipeline;
pub mod privilege;
pub mod readiness;
mod recent;
pub mod scope;
pub mod selfmetrics;
pub mod serving;
pub mod signals;
pub mod sinks;
pub mod startset;
pub mod store;
pub mod systemd;
mod vital;
pub mod world;
