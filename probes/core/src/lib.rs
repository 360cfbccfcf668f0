//! Data and traits of a probe: what it is, what it emits, how it is told what to do.
//!
//! Owns the vocabulary that every probe and the daemon share. Leaves to others: system calls and
//! kernel answers (`probe-kit`), the probes themselves (`probes`), and everything that knows HTTP,
//! Prometheus, Kafka or a configuration file (`gopherd`). There is no I/O, no `unsafe` and no
//! async in this crate.
//!
//! ```text
//!  Descriptor ── build(Env) ──► Box<dyn Probe>
//!                                   │ run(Starting)            own named thread
//!                                   ▼
//!             Starting ── attached(outcome) ──► Running
//!                                                │  wait() ──► Wake::{Tick, Readable, Scope, Containers, Params, SubProbes, Stop}
//!                                                └─ emit(Batch of rows) ──► pipeline
//! ```
#![forbid(unsafe_code)]

mod batch;
mod descriptor;
pub mod docs;
mod error;
mod event;
mod histogram;
mod need;
mod order;
pub mod params;
mod probe;
mod scope;
mod subject;
mod table;

pub use batch::{Baseline, Batch, Close, RowRef, Value};
pub use descriptor::{Build, Descriptor, Env, ScopeUse, SubProbe, SubProbes};
pub use error::ProbeError;
pub use event::{Occurrence, Severity, Text, Trigger, When};
pub use histogram::Histogram;
pub use need::{Capability, Need, without};
pub use order::{Order, Outcome, SubProbeOutcome};
pub use params::{ParamKind, ParamSpec, ParamValue, Params};
pub use probe::{Link, Poll, Polled, Probe, Running, Signal, Starting, Tick, Wake};
pub use scope::{ContainerTarget, Containers, ProcSet, Resolved, Scope};
pub use smol_str::SmolStr;
pub use subject::{ContainerKey, ProcKey, Subject};
pub use table::{Column, Kind, Label, Row, Table, Unit};
