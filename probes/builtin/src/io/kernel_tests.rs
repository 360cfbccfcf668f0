//! The programs against this kernel, as root: what does each job, and what is said of those that nothing does.

use super::super::{CACHE, COUNT, ERR, TRACE};
use super::*;
use libbpf_rs::MapInfo;
use probe_kit::kernel::kernel;
use std::os::fd::AsFd as _;

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

#[test]
fn there_is_room_for_fewer_devices_where_there_are_many_cpus() {
    let device = size_of::<io_counts>() + size_of::<io_pages>();
    assert_eq!([0, 1, 70, 128, 565, 8192].map(room), [512, 512, 512, 282, 64, 64]);
    assert!([1, 128, 512].iter().all(|cpus| room(*cpus) as usize * cpus * device <= ROOM));
}

/// A program that needs memory for the counts of a device may get none, and then its first requests are not counted.
#[test]
fn root_the_counts_of_devices_are_made_before_a_program_needs_them() {
    let mut storage = Storage::new();
    let source = Source::load(&mut storage, kernel()).expect("it loads (as root)");
    for name in ["devices", "names", "pages"] {
        let map = source.object.map(name).expect("a map");
        let info = MapInfo::new(map.as_fd()).expect("what the kernel knows of it").info;
        assert_eq!(info.map_flags & libbpf_rs::libbpf_sys::BPF_F_NO_PREALLOC, 0, "{name}");
        assert_eq!(info.max_entries, room(num_possible_cpus().expect("some")), "{name}");
    }
}
