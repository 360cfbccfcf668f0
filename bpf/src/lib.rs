//! What BPF programs of several probes share, and how they are compiled.
//!
//! No BPF program ships yet: `baseinfo` needs none. The headers, the `vmlinux.h` of each architecture, the
//! process tracker and the build helper that turns each `*.bpf.c` into a skeleton come with the first probe
//! that has one.
#![forbid(unsafe_code)]
