//! Scrapes, batches, starts and stops at the same time.

use super::{Driver, FEATURE, Known, flow};
use crate::expose::Format;
use crate::expose::strict;
use probe_core::{Baseline::Zero, Batch, Close, Subject::Host};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

#[test]
fn every_scrape_shows_whole_rows_whatever_happens_meanwhile() {
    let (driver, done) = (Driver::new(), AtomicBool::new(false));
    let store = &driver.store;
    std::thread::scope(|scope| {
        for format in [Format::Text, Format::OpenMetrics] {
            let done = &done;
            scope.spawn(move || {
                let (mut out, mut rows) = (Vec::new(), 0);
                while !done.load(Relaxed) || rows == 0 {
                    out.clear();
                    store.write_cumulative(format, &mut out);
                    crate::expose::finish(format, &mut out);
                    let parsed = strict::parse(format, std::str::from_utf8(&out).expect("UTF-8"));
                    for sample in parsed.samples().filter(|s| s.name == "gala_gopher_flow_packets") {
                        let peer = sample.label("peer").expect("a peer");
                        let bytes = parsed.value("gala_gopher_flow_bytes_total", &[("peer", peer)]);
                        assert_eq!(bytes, Some(sample.value), "both counters of a row are of one batch");
                        rows += 1;
                    }
                    let mut period = Vec::new();
                    store.write_per_period(&mut period);
                    strict::parse_period(std::str::from_utf8(&period).expect("UTF-8"));
                }
            });
        }
        for run in 1..40 {
            store.open(FEATURE, run);
            for count in 0..10 {
                let mut batch = Batch::new(SystemTime::now());
                (count % 3..8).for_each(|peer| batch.push(Host, Zero, flow(&peer.to_string(), run * count)));
                batch.close = (count % 2 == 0).then_some(Close { length: Duration::from_secs(1) });
                store.ingest(FEATURE, run, &batch, &Known::default());
                store.set_custom_labels(FEATURE, &[("n".into(), count.to_string())]);
            }
            if run < 39 {
                store.retire(FEATURE);
            }
        }
        done.store(true, Relaxed);
    });
}
