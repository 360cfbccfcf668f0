//! The entry of the fuzz target of the metric text, and of a property test: any label values, and any names
//! of user labels, go through the store and come back from every format as they were. Panics when they do
//! not, which is what a fuzzer looks for.

use super::{Format, escape, finish, strict};
use crate::store::{Fragment, Labels, Options, Store};
use probe_core::{Baseline, Batch, Close, Label, ProcKey, Subject, Table};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

probe_core::table! {
    /// One row with a counter and a gauge.
    struct Specimen = "specimen", entity "specimen", sub_probe "" {
        keys { first, second }
        labels { third }
        counter count: Count = "A count.";
        gauge level: Ratio = "A level.";
    }
}

const FEATURE: &str = "specimen";

/// Every subject is called the same.
struct Called(Arc<Fragment>);

impl Labels for Called {
    fn fragment(&self, _: &'static str, _: &'static Table, _: Subject) -> Option<Arc<Fragment>> {
        Some(Arc::clone(&self.0))
    }
}

/// `bytes`, cut at each 0xFF, as the values of a row's labels, its process label, and names and values of
/// custom labels in turn.
///
/// # Panics
/// When a text does not parse strictly, or a label value comes back changed.
#[doc(hidden)]
pub fn fuzz_text(bytes: &[u8]) {
    let mut pieces = bytes.split(|b| *b == 0xFF).map(|piece| String::from_utf8_lossy(piece).into_owned());
    let mut next = || pieces.next().unwrap_or_default();
    let (first, second, third, comm) = (next(), next(), next(), next());
    let mut custom = Vec::new();
    while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
        // The doors refuse names that are taken; here one would stand in for an own label that is empty.
        let taken = ["first", "second", "third", "comm", "machine_id"];
        if escape::label_name(&name).is_none_or(|valid| !taken.contains(&valid.as_str())) {
            custom.push((name, value));
        }
    }
    let store = Store::new(Options { machine_id: "m".into(), ..Options::default() });
    store.open(FEATURE, 1);
    store.set_custom_labels(FEATURE, &custom);
    store.want_periods();
    let called = Called(Arc::new(Fragment::new([("comm", Label::from(&comm))])));
    for count in [1, 3] {
        let mut batch = Batch::new(SystemTime::UNIX_EPOCH + Duration::from_secs(count));
        batch.close = Some(Close { length: Duration::from_secs(1) });
        let row = Specimen {
            first: first.as_str().into(),
            second: second.as_str().into(),
            third: third.as_str().into(),
            count: Some(count),
            level: Some(0.5),
        };
        let about = Subject::Process(ProcKey { tgid: 1, start_ticks: 1 });
        batch.push(about, Baseline::FirstReading, row);
        store.ingest(FEATURE, 1, &batch, &called);
    }
    let own = [("first", &first), ("second", &second), ("third", &third), ("comm", &comm)];
    for format in [Format::Text, Format::OpenMetrics] {
        let mut out = Vec::new();
        store.write_cumulative(format, &mut out);
        finish(format, &mut out);
        let text = String::from_utf8(out).expect("valid UTF-8");
        let parsed = strict::parse(format, &text);
        assert_eq!(parsed.samples().count(), 2, "{text}");
        parsed.samples().for_each(|sample| check(sample, &own));
    }
    let mut out = Vec::new();
    store.write_per_period(&mut out);
    let text = String::from_utf8(out).expect("valid UTF-8");
    strict::parse_period(&text).iter().flatten().for_each(|sample| check(sample, &own));
}

fn check(sample: &strict::Sample, own: &[(&str, &String)]) {
    let names: HashSet<&String> = sample.labels.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), sample.labels.len(), "a label is there twice: {sample:?}");
    for (name, value) in own {
        // An empty value is an absent label.
        assert_eq!(sample.label(name).unwrap_or_default(), value.as_str(), "{sample:?}");
    }
    assert_eq!(sample.label("machine_id"), Some("m"), "{sample:?}");
}

#[cfg(test)]
mod tests {
    use super::fuzz_text;
    use proptest::prelude::{any, prop, proptest};

    proptest! {
        #[test]
        fn any_bytes_make_text_that_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_text(&bytes);
        }
    }
}
