//! Configuration files in both syntaxes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("configuration", bytes));
