//! A strict reader of both text formats, for tests: what it takes, Prometheus takes, and it refuses what
//! Prometheus forgives.

use crate::expose::Format;
use std::collections::{BTreeMap, HashSet};

/// A sample: name, labels in order, value and, in the per-period view, time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) time: Option<u64>,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A family: type and samples.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) families: BTreeMap<String, (String, Vec<Sample>)>,
}

impl Parsed {
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|(_, samples)| samples)
    }

    /// The one sample of this name and these labels.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self
            .samples()
            .filter(|sample| sample.name == name && labels.iter().all(|(n, v)| sample.label(n) == Some(*v)));
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "more than one {name} {labels:?}");
        value
    }

    #[cfg(test)]
    pub(crate) fn kind(&self, family: &str) -> Option<&str> {
        self.families.get(family).map(|(kind, _)| kind.as_str())
    }
}

/// Reads a cumulative body; panics with the line that breaks a rule.
pub(crate) fn parse(format: Format, text: &str) -> Parsed {
    let body = match format {
        Format::Text => text,
        Format::OpenMetrics => text.strip_suffix("# EOF\n").expect("ends in # EOF"),
    };
    assert!(body.is_empty() || body.ends_with('\n'), "the last line is ended");
    let (mut parsed, mut seen, mut current) = (Parsed::default(), HashSet::new(), String::new());
    for line in body.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty());
            assert!(!parsed.families.contains_key(name), "{name} is announced twice or not in one piece");
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "TYPE follows HELP of the same family");
            parsed.families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
        } else {
            let sample = sample(line);
            assert!(sample.time.is_none(), "no timestamps: {line}");
            let (kind, samples) = parsed.families.get_mut(&current).expect("announced");
            let suffix = sample.name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} in {current}"));
            let suffixes: &[&str] = match (kind.as_str(), format) {
                ("histogram", _) => &["_bucket", "_sum", "_count"],
                ("counter", Format::OpenMetrics) => &["_total"],
                ("counter" | "gauge", _) | ("unknown", Format::OpenMetrics) => &[""],
                (other, _) => panic!("type {other}"),
            };
            assert!(suffixes.contains(&suffix), "{line} in a {kind}");
            assert!(seen.insert(format!("{}{:?}", sample.name, sample.labels)), "twice: {line}");
            samples.push(sample);
        }
    }
    parsed.families.values().filter(|(kind, _)| kind == "histogram").for_each(|(_, s)| check_histogram(s));
    assert!(parsed.families.values().all(|(_, samples)| !samples.is_empty()), "no family without samples");
    parsed
}

/// Buckets of one label set ascend and end in `+Inf`, which is the count.
fn check_histogram(samples: &[Sample]) {
    let mut last: Option<(f64, f64)> = None;
    for sample in samples {
        if sample.name.ends_with("_bucket") {
            let le = sample.label("le").expect("le").replace("+Inf", "inf").parse().expect("a bound");
            if let Some((bound, count)) = last.filter(|(bound, _)| bound.is_finite()) {
                assert!(le > bound && sample.value >= count, "{sample:?}");
            }
            last = Some((le, sample.value));
        } else if sample.name.ends_with("_count") {
            assert_eq!(last, Some((f64::INFINITY, sample.value)), "{sample:?}");
        }
    }
}

/// Reads the per-period text: blocks of samples with times, each ended by an empty line.
pub(crate) fn parse_period(text: &str) -> Vec<Vec<Sample>> {
    let blocks: Vec<_> = text.split_terminator("\n\n").collect();
    assert!(text.is_empty() || text.ends_with("\n\n"), "the last block is ended");
    let block = |block: &str| -> Vec<Sample> { block.split('\n').map(sample).collect() };
    let blocks: Vec<Vec<Sample>> = blocks.into_iter().map(block).collect();
    assert!(blocks.iter().flatten().all(|sample| sample.time.is_some()), "each sample has its time");
    blocks
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sample(line: &str) -> Sample {
    let at = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line:?}"));
    let (name, mut rest) = line.split_at(at);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            rest = if labels.is_empty() { rest } else { rest.strip_prefix(',').expect("a comma") };
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(is_name(label), "{line}");
            let (value, after) = unescape(after);
            assert!(labels.iter().all(|(n, _)| n != label), "{label} twice: {line}");
            labels.push((label.to_owned(), value));
            rest = after;
        }
        rest = rest.strip_prefix('}').expect("a brace");
    }
    let mut words = rest.strip_prefix(' ').expect("one blank").split(' ');
    let value = words.next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("value: {line}"));
    assert!(f64::is_finite(value), "{line}");
    let time = words.next().map(|time| time.parse().expect("a time"));
    assert_eq!(words.next(), None, "{line}");
    Sample { name: name.to_owned(), labels, value, time }
}

/// A label value up to its closing quote, and what comes after that.
fn unescape(text: &str) -> (String, &str) {
    let (mut value, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return (value, chars.as_str()),
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some(c @ ('"' | '\\')) => c,
                other => panic!("escape {other:?}"),
            }),
            c => value.push(c),
        }
    }
}
