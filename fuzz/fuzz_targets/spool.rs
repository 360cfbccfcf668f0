//! Segments and cursors of the spool.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("spool", bytes));
