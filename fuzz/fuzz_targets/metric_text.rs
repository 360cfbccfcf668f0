//! Label values and user label names of any bytes: every text format parses strictly and gives them back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gopherd::expose::fuzz_text(bytes);
});
