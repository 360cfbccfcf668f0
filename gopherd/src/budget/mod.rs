//! Budgets: what features and the whole daemon may cost, and what happens when they cost more.
//!
//! Owns the decision: `ladder` is the order of the steps, `judge` says when one is taken, `usage` how much of a limit is
//! used, `overseer` puts them together, and `watch` is the task that looks. Leaves carrying a step out to the manager,
//! and the limits that cut off at once to the store (series) and to the events engine (events a second).

mod board;
pub mod costs;
mod judge;
mod ladder;
mod overseer;
mod settings;
mod usage;
mod watch;

pub use board::{Board, Figures};
pub use ladder::{Restraint, Step, Taken, Whose};
pub use settings::{Settings, Values};
pub use watch::{Cost, DaemonCost, watch};
