//! probes.init: any bytes are lines and faults; saving keeps what it does not replace, and is read back.
#![no_main]

use gopherd::initfile::{parse, render};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines = parse(bytes).lines;
    assert_eq!(render(bytes, &[]), bytes, "saving nothing changes nothing");

    let saved = [("tcp".to_owned(), Some(r#"{"state":"running"}"#.to_owned()))];
    let once = render(bytes, &saved);
    let read: Vec<_> = parse(&once).lines.into_iter().filter(|line| line.feature.eq_ignore_ascii_case("tcp")).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].json, r#"{"state":"running"}"#);
    assert_eq!(render(&once, &saved), once, "saving twice changes nothing");

    let others = |lines: Vec<gopherd::initfile::InitLine>| -> Vec<(String, String)> {
        let kept = lines.into_iter().filter(|line| !line.feature.eq_ignore_ascii_case("tcp"));
        kept.map(|line| (line.feature, line.json)).collect()
    };
    assert_eq!(others(parse(&once).lines), others(lines), "other features stay");
});
