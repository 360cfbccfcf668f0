//! Files of tokens, and certificates.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("credentials", bytes));
