//! Records of the kernel's log.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("kernel_log", bytes));
