//! Bodies of a PUT at either door: any bytes get an answer, and what was accepted survives its own document.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gopherd::feature::fuzz_compat(bytes);
});
