//! `/proc/<pid>/stat` and the arguments of a process.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("process_text", bytes));
