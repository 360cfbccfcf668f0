//! Bodies of a PUT or a PATCH at either door.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("compat_body", bytes));
