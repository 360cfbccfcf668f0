//! `io` against this kernel, as root: the probe runs in this process, the requests are real ones to block devices that
//! the tests make, and what it says is compared with what was asked for and with the kernel's own account of the
//! device. Nothing is skipped.

mod bios;
mod cache;
mod counts;
mod ends;
mod errors;
mod harness;
mod stage;
