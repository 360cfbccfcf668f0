//! What probes share at run time: the link to the daemon, readers of /proc and /sys, test harnesses.
//!
//! Owns the system calls that more than one probe needs. Leaves the meaning of what was read to the probes,
//! and knows neither HTTP nor Prometheus nor the configuration file.
// The files that need it say why.
#![deny(unsafe_code)]

// As which the types that are made of C headers know this crate.
extern crate self as probe_kit;

pub mod alarm;
pub mod bpf;
pub mod c_heap;
pub mod cgroup;
pub mod charge;
pub mod clock;
pub mod conntrack;
pub mod fault;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
pub mod kept;
pub mod kernel;
pub mod link;
pub mod net_dev;
pub mod netlink;
pub mod own_pages;
pub mod pressure;
pub mod privilege;
pub mod process;
pub mod rehearsal;
pub mod scan;
pub mod stat;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tracker;
