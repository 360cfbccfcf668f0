//! What the reader makes of good, reset, wrapped and hostile counters, and of this host's.

use super::*;
use probe_kit::testing::{FakeHost, SeenRow, seen};
use proptest::prelude::{any, proptest};
use std::time::SystemTime;

const SECOND: Duration = Duration::from_secs(1);

fn read(disk: &mut Disk, now: Instant) -> (Vec<SeenRow>, Vec<(&'static str, u64)>) {
    let mut batch = Batch::new(SystemTime::now());
    disk.read_at(now, &mut batch);
    (seen(&batch), batch.skipped().to_vec())
}

/// Reads `texts` one after another, ten seconds apart, and returns what the last one gave.
fn after(texts: &[&str]) -> (Vec<SeenRow>, Vec<(&'static str, u64)>) {
    let host = FakeHost::new();
    let mut disk = Disk::new(&host.env());
    let start = Instant::now();
    let mut last = (Vec::new(), Vec::new());
    for (i, text) in (0..).zip(texts) {
        host.write("proc/diskstats", text);
        last = read(&mut disk, start + 10 * SECOND * i);
    }
    last
}

#[test]
fn every_gauge_is_over_the_real_time_between_two_readings() {
    let (rows, skipped) = after(&[
        "254 0 vda 100 1 1000 50 200 2 4000 90 0 1000 3000\n7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n",
        "254 0 vda 120 1 1400 150 240 2 4800 290 3 6000 23000 9 9 9 9 9 9\n7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n",
    ]);
    assert_eq!((rows.len(), skipped.len()), (2, 0));
    let value = |name| rows[0].get(name);
    assert_eq!(rows[0].label("disk_name"), Some("vda"));
    assert_eq!((value("rspeed"), value("wspeed")), (Some(2.0), Some(4.0)));
    assert_eq!((value("rspeed_kB"), value("wspeed_kB")), (Some(20.0), Some(40.0)));
    assert_eq!((value("r_await"), value("w_await")), (Some(5.0), Some(5.0)));
    assert_eq!((value("rareq"), value("wareq")), (Some(10.0), Some(10.0)));
    assert_eq!((value("aqu"), value("util")), (Some(2.0), Some(50.0)));
    assert_eq!(rows[1].label("disk_name"), Some("loop0"), "an idle loop device has a row too");
    assert_eq!((rows[1].get("util"), rows[1].get("r_await")), (Some(0.0), None));
}

#[test]
fn the_first_reading_of_a_device_gives_no_row() {
    assert!(after(&["254 0 vda 1 1 1 1 1 1 1 1 0 1 1\n"]).0.is_empty());
    let (rows, _) = after(&[
        "254 0 vda 1 1 1 1 1 1 1 1 0 1 1\n",
        "254 0 vda 1 1 1 1 1 1 1 1 0 1 1\n8 0 sda 9 9 9 9 9 9 9 9 0 9 9\n",
    ]);
    assert_eq!(rows.len(), 1);
}

#[test]
fn times_that_wrap_at_32_bits_go_on() {
    let (rows, _) = after(&[
        "254 0 vda 10 0 0 4294967290 10 0 0 0 0 4294966296 4294967295\n",
        "254 0 vda 12 0 0 4 10 0 0 0 0 4000 9999\n",
    ]);
    assert_eq!(rows[0].get("r_await"), Some(5.0));
    assert_eq!((rows[0].get("util"), rows[0].get("aqu")), (Some(50.0), Some(1.0)));
}

#[test]
fn a_device_made_anew_gives_no_wrong_value_and_is_counted() {
    let old = "254 0 vda 100 0 800 50 200 0 1600 90 0 100 140\n";
    for anew in [
        "254 0 vda 3 0 24 1 300 0 2400 99 0 200 200\n",
        "254 1 vda 900 0 9000 90 900 0 9000 99 0 900 900\n",
        "254 0 vda 900 0 9000 3 900 0 9000 99 0 900 900\n",
    ] {
        let (rows, skipped) = after(&[old, anew]);
        assert!(rows.is_empty(), "{anew}");
        assert_eq!(skipped, [("disk_reset", 1)], "{anew}");
        assert_eq!(after(&[old, anew, anew]).0[0].get("rspeed"), Some(0.0), "the next reading goes on");
    }
}

#[test]
fn a_vanished_device_has_no_row_and_a_damaged_line_is_counted() {
    let (rows, skipped) = after(&[
        "254 0 vda 1 1 1 1 1 1 1 1 0 1 1\n8 0 sda 1 1 1 1 1 1 1 1 0 1 1\n",
        "254 0 vda 1 1 1 1 1 1 1 1 0 1 1\n8 0 sda 1 1\nrubbish\n",
    ]);
    assert_eq!(rows.len(), 1);
    assert_eq!(skipped, [("disk_line", 2)]);
}

#[test]
fn utilisation_never_passes_100() {
    let (rows, _) = after(&["254 0 vda 1 1 1 1 1 1 1 1 0 0 1\n", "254 0 vda 1 1 1 1 1 1 1 1 0 10020 1\n"]);
    assert_eq!(rows[0].get("util"), Some(100.0));
}

#[test]
fn a_file_that_is_not_there_is_a_missing_requirement_and_later_a_counted_loss() {
    let host = FakeHost::new();
    let mut disk = Disk::new(&host.env());
    assert_eq!(disk.missing().len(), 1);
    let (rows, skipped) = read(&mut disk, Instant::now());
    assert_eq!((rows.len(), skipped), (0, vec![("disk_unreadable", 1)]));
}

#[test]
fn this_hosts_devices_have_values_between_the_kernels_own() {
    let kernel = || -> HashMap<Label, Counts> {
        let text = std::fs::read("/proc/diskstats").expect("diskstats");
        scan::lines(&text).filter_map(parse).map(|(name, counts)| (scan::text(name), counts)).collect()
    };
    let mut disk = Disk::new(&Env::default());
    assert!(disk.missing().is_empty());
    let start = Instant::now();
    let before = kernel();
    read(&mut disk, start);
    FakeHost::new().write("some-io", vec![0u8; 1 << 16]);
    let (rows, _) = read(&mut disk, start + SECOND);
    let after = kernel();
    assert!(!rows.is_empty());
    for row in &rows {
        let name = row.label("disk_name").expect("a key");
        // A device may have come or gone meanwhile; what stayed must agree.
        let (Some(first), Some(last)) = (before.get(name), after.get(name)) else { continue };
        #[allow(clippy::cast_precision_loss)]
        let most = last.writes.saturating_sub(first.writes) as f64;
        assert!(row.get("wspeed").is_some_and(|v| (0.0..=most).contains(&v)), "{row:?}");
        assert!(row.get("util").is_some_and(|v| (0.0..=100.0).contains(&v)), "{row:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_give_a_negative_or_infinite_value(
        texts in proptest::collection::vec(any::<Vec<u8>>(), 2),
        numbers in proptest::collection::vec(any::<[u64; 13]>(), 2),
    ) {
        let host = FakeHost::new();
        let mut disk = Disk::new(&host.env());
        let start = Instant::now();
        for (i, (text, n)) in (0..).zip(texts.iter().zip(&numbers)) {
            let words: Vec<String> = n.iter().map(u64::to_string).collect();
            let mut line = format!("254 0 vda {}\n", words[2..].join(" ")).into_bytes();
            line.extend_from_slice(text);
            host.write("proc/diskstats", line);
            for row in read(&mut disk, start + SECOND * i).0 {
                for (column, _) in &row.values {
                    assert!(row.get(column).is_some_and(|v| v.is_finite() && v >= 0.0), "{row:?}");
                }
            }
        }
    }
}
