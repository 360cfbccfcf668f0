//! What the handlers need of the rest of the daemon, as narrow as they need it, so that they can be served by
//! the real parts and by a test's.

use super::sending::Sending;
use crate::access::Access;
use crate::cost::FeatureCost;
use crate::events::Live;
use crate::manager::Handle;
use crate::readiness::Readiness;
use actix_web::web::Bytes;
use gopher_api::TargetPage;
use probe_core::Env;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Which view of the store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The one that `metric.semantics` chose.
    Configured,
    /// Counters as the kernel counts.
    Cumulative,
    /// Values of the last completed report period.
    PerPeriod,
}

/// A scrape's answer.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The `Content-Encoding`, if the body is compressed.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// The store, as far as HTTP reads it.
pub trait Metrics: Send + Sync {
    /// The whole text of `view`, in the format that the request's `Accept` and `Accept-Encoding` prefer. Blocks
    /// for as long as encoding takes; changes nothing.
    fn expose(&self, view: View, accept: Option<&str>, accept_encoding: Option<&str>) -> Exposition;
    /// Series that the feature has in the store.
    fn series(&self, feature: &str) -> u64;
    /// What the feature lost after its probe's queue, and what its probe could not read, by stage and reason.
    fn lost(&self, feature: &str) -> BTreeMap<String, u64>;
    /// What the feature used of its budget at the last look; `None` while it does not run or has no budget.
    fn budget(&self, feature: &str) -> Option<crate::budget::Figures>;
    /// What the feature costs; `None` before it was sampled.
    fn cost(&self, feature: &str) -> Option<FeatureCost>;
    /// What the daemon as a whole costs and loses.
    fn daemon(&self) -> gopher_api::DaemonStatus;
}

/// The scope engine, as far as HTTP reads it.
pub trait Targets: Send + Sync {
    /// How many subjects the feature's scope resolves to; cheap.
    fn counts(&self, feature: &str) -> gopher_api::Targets;
    /// What it resolves to, and about `pid`, if given, why. May block while it reads /proc.
    fn list(&self, feature: &'static str, pid: Option<u32>) -> TargetPage;
    /// Who tells of processes as they execute. May ask the kernel.
    fn tracker(&self) -> gopher_api::ProcessTracker;
}

/// Why the present set was not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// The set came from this environment variable, which no file can change.
    #[error("the set of probes came from {0}; unset it and use a file to save to")]
    FromEnvironment(&'static str),
    /// Writing did not work; the old file is still there.
    #[error("{0}")]
    Failed(String),
}

/// Who writes probes.init. Blocks until the file is on disk.
pub trait Saver: Send + Sync {
    /// Writes the present set.
    fn save(&self) -> Result<gopher_api::Saved, SaveError>;
}

/// The log's level.
pub trait LogLevel: Send + Sync {
    /// The minimum level now.
    fn get(&self) -> gopher_api::LogLevel;
    /// From now on it is this.
    fn set(&self, level: gopher_api::LogLevel);
}

/// The container runtimes, as far as HTTP shows them.
pub trait ContainerRuntimes: Send + Sync {
    /// Those that were found.
    fn list(&self) -> Vec<gopher_api::ContainerRuntime>;
}

/// What waits to be delivered, as far as HTTP shows it and gives it up.
pub trait Spooled: Send + Sync {
    /// The spool with everything that reads it. Takes locks that are held for a moment only.
    fn document(&self) -> gopher_api::SpoolDocument;
    /// Gives up what waits for `sink`; how many messages, or `None` if there is no such sink.
    fn purge(&self, sink: &str) -> Option<u64>;
}

/// Everything that handlers are given.
#[derive(Clone)]
pub struct Parts {
    /// Owns the features.
    pub manager: Handle,
    /// The store.
    pub metrics: Arc<dyn Metrics>,
    /// The scope engine.
    pub targets: Arc<dyn Targets>,
    /// The container runtimes.
    pub runtimes: Arc<dyn ContainerRuntimes>,
    /// The live stream of events.
    pub live: Arc<Live>,
    /// The spool.
    pub spool: Arc<dyn Spooled>,
    /// Whether the daemon is ready, and what is wrong with it.
    pub readiness: Readiness,
    /// Writes probes.init.
    pub saver: Arc<dyn Saver>,
    /// The log.
    pub log_level: Arc<dyn LogLevel>,
    /// Where the host is seen.
    pub env: Env,
    /// How long a request body may take (`rest_api_server.body_timeout`).
    pub body_timeout: Duration,
    /// Expositions that may be encoded at the same time: each holds its whole text in memory.
    pub encoders: Arc<Semaphore>,
    /// Who may do what, and what was refused.
    pub access: Arc<Access>,
    /// Expositions that wait to be read by their clients.
    pub sending: Sending,
}

/// As many expositions at once as there are formats that somebody scrapes regularly; others wait their turn.
pub const ENCODERS: usize = 2;

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}
