//! HTTP: both doors, the metrics endpoints, health. A handler extracts, asks the part that knows, and answers;
//! it decides nothing. Leaves to others: what a request means (`feature`), what is done about it (`manager`),
//! how metrics are encoded (`expose`).
//!
//! | path | methods | file |
//! |---|---|---|
//! | REST listener and unix socket | | |
//! | `/<feature>` | GET PUT | `compat` |
//! | `/api/v1/probes` | GET | `native/probes` |
//! | `/api/v1/probes/<feature>` | GET PUT PATCH DELETE | `native/probes` |
//! | `/api/v1/probes:apply` | POST | `native/apply` |
//! | `/api/v1/probes:save` | POST | `native/daemon` |
//! | `/api/v1/targets` | GET | `native/targets` |
//! | `/api/v1/events` | GET | `native/events` |
//! | `/api/v1/capabilities` | GET | `native/host` |
//! | `/api/v1/spool` | GET | `native/spool` |
//! | `/api/v1/spool:purge` | POST | `native/spool` |
//! | `/api/v1/log-level` | GET PUT | `native/daemon` |
//! | `/api/v1/openapi.json` | GET | `openapi` |
//! | both listeners and the unix socket | | |
//! | `/metrics`, `/metrics/cumulative`, `/metrics/per_period` | GET | `metrics` |
//! | `/healthz`, `/readyz` | GET | `health` |
//! | metrics listener | | |
//! | `/` | GET | `metrics` |
//!
//! Whatever has GET has HEAD. A body is read by `body`, a query by `query`, a refusal is written by `error`;
//! `guard` looks
//! first whether the sender may ask at all, and `peer` at who is on the unix socket. `listen` makes the sockets, `serve`
//! the servers, `connection` bounds what a client may send and `sending` what waits for slow scrapers.

mod answer;
mod body;
mod compat;
mod connection;
mod document;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod guard;
mod health;
mod listen;
mod metrics;
mod native;
mod openapi;
mod openapi_access;
mod parts;
mod peer;
mod query;
mod routes;
mod sending;
mod serve;
#[cfg(test)]
pub(crate) mod testing;

pub use listen::{Addresses, BindError, Sockets, TlsSettings};
pub use openapi::openapi;
pub use parts::{
    ContainerRuntimes, ENCODERS, Exposition, LogLevel, Metrics, Parts, SaveError, Saver, Spooled, Targets,
    View,
};
pub use routes::{metrics, rest};
pub use sending::Sending;
pub use serve::{Limits, Servers, serve};

#[cfg(test)]
mod tests;
