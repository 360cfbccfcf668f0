//! Messages of containerd, of the Kubernetes runtime interface and of Docker.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("runtimes", bytes));
