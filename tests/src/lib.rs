//! The harness of the end-to-end tests: the built daemon as a process, HTTP to it, the text it exposes.
//!
//! Owns starting and ending processes, free ports, folders, waiting, and the readers of what comes back.
//! What is right is said by the test files beside this folder, against the project's contract. Everything
//! here panics with the reason when it fails, since only tests call it; a failing test prints the daemon's log.
#![forbid(unsafe_code)]

pub mod bpf;
pub mod bracket;
pub mod cgroup;
pub mod cri;
pub mod ctl;
pub mod daemon;
pub mod disk;
pub mod http;
pub mod kafka;
pub mod lossy;
pub mod mutate;
pub mod pki;
pub mod process;
pub mod runtimes;
pub mod scrape;
pub mod service;
pub mod slope;
pub mod stream;
pub mod terminal;
pub mod tries;
pub mod wait;

pub use daemon::{Daemon, Setup};
pub use disk::SmallDisk;
pub use http::{Client, Response};
pub use scrape::{Sample, Scrape};
pub use terminal::Terminal;
pub use tries::tries;
pub use wait::{eventually, within};
