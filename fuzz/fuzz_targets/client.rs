//! What a daemon answers to `gopher-ctl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("client", bytes));
