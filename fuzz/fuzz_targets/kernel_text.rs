//! Texts of /proc, /sys and the cgroups.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("kernel_text", bytes));
