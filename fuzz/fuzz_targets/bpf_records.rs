//! Records and map entries of our own BPF programs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("bpf_records", bytes));
