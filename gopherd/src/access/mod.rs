//! Who may do what: the rules of the doors, as pure decisions, and what they are decided with.
//!
//! ```text
//!  peer, certificate, Authorization, Host, Origin ──► decide ──► Principal | Denied
//!                                   ▲ Policy: tokens, client_roles, names of this host
//!  files of keys, certificates, tokens ── credentials ──► Policy and Identity, swapped while connections go on
//! ```
//!
//! Owns who a client is ([`Principal`]), what that allows ([`decide`]), how often a peer may ask ([`rate`]), the
//! certificates that listeners show and accept ([`tls`]), and the line that each accepted change leaves
//! ([`audit`]). Leaves to `http` the reading of requests and every status code.

pub mod audit;
pub mod certificate;
pub mod counts;
mod credentials;
pub mod decide;
pub mod hosts;
mod policy;
mod principal;
pub mod rate;
pub mod roles;
pub mod tls;
pub mod tokens;

pub use counts::{Counts, Listener, Reason};
pub use credentials::{Credentials, CredentialsError, Files, check};
pub use policy::{Access, Policy};
pub use principal::Principal;
