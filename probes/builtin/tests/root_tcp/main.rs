//! `tcp` against this kernel, as root: the probe runs in this process, the connections are real ones over the
//! loopback device, and what it says is compared with what went over them. Nothing is skipped.

mod counts;
mod delay;
mod ends;
mod harness;
mod namespaces;
mod scope;
mod sharing;
