//! The process of the daemon.

fn main() {}
