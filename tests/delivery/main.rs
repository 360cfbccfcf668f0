//! Delivery to real receivers: a Kafka broker that is stopped, hangs and refuses, a web server with TLS, a full disk, and
//! a process that is killed. Everything is counted by sequence number: sent, delivered, twice, lost.
//!
//! What delivers is the daemon's own code in a process of its own (`driver`), which takes messages by the thousand; what
//! the daemon itself does with its channels is in `daemon`.

mod alike;
mod clock;
mod control;
mod daemon;
mod driver;
mod expiry;
mod faults;
mod kafka;
mod server;
mod tally;
mod webhook;
