//! The programs against this kernel, as root: what does each job, and what is said of those that nothing does.

use super::super::{CACHE, COUNT, ERR, TRACE};
use super::*;
use probe_kit::kernel::kernel;

#[test]
fn root_every_job_is_done_or_what_it_needs_is_named() {
    let mut storage = Storage::new();
    let mut source = Source::load(&mut storage, kernel()).expect("it loads (as root)");
    let wanted = [TRACE, ERR, COUNT, CACHE].into_iter().collect();
    let outcome = source.apply(&wanted, true).expect("attached");
    for verdict in source.verdicts() {
        eprintln!("VERDICT io/{verdict}");
        assert!(!verdict.ends_with("loaded"), "attached, or missing: {verdict}");
    }
    // Every kernel has what requests and the cache are seen by; what is absent is named with the field.
    assert!(outcome.sub_probes.iter().all(|sub| sub.missing.is_empty()), "{outcome:?}");
    for sentence in outcome.missing() {
        assert!(sentence.contains("access_pagecache: "), "{sentence}");
    }
}
