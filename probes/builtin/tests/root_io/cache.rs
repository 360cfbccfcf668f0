//! Page cache counts beside the pages that were written and read.

use crate::harness::{Observer, Rows};
use crate::stage::Loop;
use rustix::fs::{Advice, fadvise};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

const PAGES: u64 = 64;

#[test]
fn root_pages_that_are_loaded_dirtied_and_read_are_counted_by_device() {
    let page = rustix::param::page_size() as u64;
    let disk = Loop::new(2 * PAGES * page);
    let mut observer = Observer::start();
    let file = OpenOptions::new().read(true).write(true).open(format!("/dev/{}", disk.name())).expect("open");
    let value = |rows: &Rows, column| rows.row("io_pagecache", disk.name()).get(column);
    let bytes = vec![7; usize::try_from(PAGES * page).expect("small")];
    #[allow(clippy::cast_precision_loss)] // a small number
    let pages = PAGES as f64;

    file.write_all_at(&bytes, 0).expect("written");
    let written = observer.read();
    assert_eq!(value(&written, "mark_page_dirty"), Some(pages), "{written:#?}");
    assert_eq!(value(&written, "load_page_cache"), Some(pages), "{written:#?}");
    let buffers = value(&written, "mark_buffer_dirty").expect("a tracepoint of every kernel");
    assert!(buffers >= pages, "one buffer or more of each page: {buffers}");

    file.write_all_at(&bytes, 0).expect("written");
    let again = observer.read();
    assert_eq!(value(&again, "mark_page_dirty"), Some(pages), "they were dirty already");
    assert_eq!(value(&again, "load_page_cache"), Some(pages), "and there");

    file.sync_all().expect("synced");
    fadvise(&file, 0, None, Advice::DontNeed).expect("dropped");
    let before = observer.read();
    let mut room = bytes.clone();
    // By the page, and all at once.
    for at in 0..PAGES {
        let part = &mut room[..usize::try_from(page).expect("small")];
        file.read_exact_at(part, at * page).expect("read");
    }
    file.read_exact_at(&mut room, 0).expect("read");
    let read = observer.read();
    assert_eq!(room, bytes);
    let grown = |column| Some(value(&read, column)? - value(&before, column)?);
    // Reading ahead may load what lies behind.
    assert!(grown("load_page_cache") >= Some(pages), "{read:#?}");
    assert_eq!(grown("mark_page_dirty"), Some(0.0));
    match grown("access_pagecache") {
        Some(accessed) => assert_eq!(accessed, 2.0 * pages, "{read:#?}"),
        // Named in the answer, which the harness shows.
        None => assert_eq!(value(&before, "access_pagecache"), None),
    }
    // Behind its end nothing is read.
    assert_eq!(file.read_at(&mut room, 2 * PAGES * page).expect("nothing"), 0);
    assert_eq!(value(&observer.read(), "access_pagecache"), value(&read, "access_pagecache"));
}
