//! Configuration files in both syntaxes: any bytes are a configuration or a list of faults.
#![no_main]

use gopherd::config::{SourceFile, Sources, load};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for name in ["/etc/gala-gopher/gala-gopher.conf", "/etc/gopherd/gopherd.toml"] {
        let file = SourceFile { path: name.into(), bytes: bytes.to_vec() };
        if let Err(rejected) = load(&Sources { file: Some(file), ..Sources::default() }) {
            assert!(!rejected.faults.is_empty(), "refused without a reason");
        }
    }
});
