//! `/proc/<pid>/cgroup` and the paths in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gopherd::fuzz::check("cgroup_paths", bytes));
