//! What clients of the native door and of the daemon's own pages send and receive, as plain serde types with
//! their OpenAPI schemas. No server, no I/O, and no type of the daemon's inside: the conversion is the
//! daemon's, so that renaming a field there breaks no client.
//!
//! Times are RFC 3339 in UTC. Keys are snake_case with the unit in the name. Lists are `{"items":[…]}`.
#![forbid(unsafe_code)]

mod apply;
mod compat;
mod config;
mod event;
mod host;
mod list;
mod probe;
mod problem;
mod saved;
mod spool;
mod target;

pub use apply::{Applied, ApplyRequest, ApplyResult};
pub use compat::{CompatAnswer, CompatResult};
pub use config::{
    Budget, BudgetLimits, BudgetOff, Cmd, ConfigState, ProbeConfig, ProbePatch, ProcName, Selectors,
};
pub use event::{
    EventAttributes, EventDocument, EventItem, EventLabels, EventMessage, EventPage, EventResource,
    MetadataDocument,
};
pub use host::{
    Capabilities, ContainerRuntime, DaemonStatus, LogLevel, LogLevelDocument, ProcessTracker, Ready,
    ReadyProblem, Support, TrackerState,
};
pub use list::{
    ParamDocument, ParamType, ProbeItem, ProbeList, ScopeDocument, SubProbeItem, TableDocument,
    TriggerDocument,
};
pub use probe::{
    BudgetMeasured, BudgetStatus, BudgetStep, Cost, ProbeDocument, ProbeState, Status, SubProbeCost,
    SubProbeState, SubProbeStatus, Targets,
};
pub use problem::{Fault, Problem};
pub use saved::{SaveRequest, Saved};
pub use spool::{PurgeRequest, Purged, SpoolDocument, SpoolSink};
pub use target::{ContainerTarget, Target, TargetPage, Verdict};
