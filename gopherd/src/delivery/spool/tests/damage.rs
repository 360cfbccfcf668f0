//! Files that were cut or written over: what is whole is delivered, the rest counted.

use super::*;
use std::os::unix::fs::FileExt as _;

#[test]
fn a_torn_tail_is_cut_and_the_rest_is_delivered() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = open(folder.path(), &[kafka()]);
    append(&spool, 1..=3, to_kafka(), 100);
    drop(spool);
    let path = segments(folder.path()).pop().expect("one");
    let file = OpenOptions::new().write(true).open(&path).expect("opened");
    let length = file.metadata().expect("there").len();
    file.set_len(length - 1).expect("cut");
    let first = kafka();
    let spool = open(folder.path(), std::slice::from_ref(&first));
    append(&spool, 3..=4, to_kafka(), 100);
    assert_eq!(drain(&mut spool.reader("kafka").expect("known")), [1, 2, 3, 4]);
    assert_eq!(first.account.lost(Loss::Damaged), 0);
}

#[test]
fn damage_in_the_middle_is_stepped_over_and_counted() {
    for whole_rest in [false, true] {
        let folder = tempfile::tempdir().expect("folder");
        let first = kafka();
        let spool = open(folder.path(), std::slice::from_ref(&first));
        let mut reader = spool.reader("kafka").expect("known");
        append(&spool, 1..=200, to_kafka(), 1000);
        let path = segments(folder.path()).swap_remove(1);
        let file = OpenOptions::new().write(true).open(&path).expect("opened");
        // In a document, or over the length of some record.
        let junk: &[u8] = if whole_rest { &[0xff; 3000] } else { b"#" };
        file.write_all_at(junk, 5000).expect("written");
        let seen = drain(&mut reader);
        let lost = first.account.lost(Loss::Damaged);
        assert_eq!(seen.len() as u64 + lost, 200);
        assert_eq!(*seen.last().expect("some"), 200);
        assert!(if whole_rest { lost > 10 } else { lost == 1 }, "{lost}");
    }
}

#[test]
fn a_length_that_leads_beyond_its_segment_takes_no_record_of_the_next_ones_with_it() {
    let folder = tempfile::tempdir().expect("folder");
    let first = kafka();
    let spool = open(folder.path(), std::slice::from_ref(&first));
    append(&spool, 1..=200, to_kafka(), 1000);
    let paths = segments(folder.path());
    assert!(paths.len() > 3, "{paths:?}");
    let file = OpenOptions::new().write(true).open(&paths[1]).expect("opened");
    // Of the segment's first record; longer than all segments behind it, and no longer than a record may be.
    file.write_all_at(&1_000_000_u32.to_le_bytes(), segment::HEAD as u64).expect("written");
    let seen = drain(&mut spool.reader("kafka").expect("known"));
    let per_segment = seen.iter().zip(1..).take_while(|(seen, seq)| **seen == *seq).count();
    let behind: Vec<u64> = (2 * per_segment as u64 + 1..=200).collect();
    assert_eq!(seen[per_segment..], behind, "the second segment is lost, and no other");
    assert_eq!(first.account.lost(Loss::Damaged), per_segment as u64);
}

#[test]
fn damage_in_the_youngest_segment_is_found_at_the_start() {
    let folder = tempfile::tempdir().expect("folder");
    drop({
        let spool = open(folder.path(), &[kafka()]);
        append(&spool, 1..=20, to_kafka(), 1000);
        spool
    });
    let path = segments(folder.path()).pop().expect("one");
    OpenOptions::new().write(true).open(&path).expect("opened").write_all_at(b"#", 5000).expect("written");
    let own = Arc::<Account>::default();
    let first = kafka();
    let spool = Spool::open(options(folder.path()), Arc::clone(&own), std::slice::from_ref(&first));
    let spool = spool.expect("opened");
    append(&spool, 21..=22, to_kafka(), 1000);
    let seen = drain(&mut spool.reader("kafka").expect("known"));
    assert_eq!((seen.len(), seen.last()), (21, Some(&22)));
    assert_eq!((own.lost(Loss::Damaged), first.account.lost(Loss::Damaged)), (1, 0));
}
