//! Label values and user label names in every text format.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("metric_text", bytes));
