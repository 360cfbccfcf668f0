//! Answers over netlink.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("netlink", bytes));
