//! The exposition format, read strictly.
//!
//! Owns turning a body into samples and refusing what the format does not allow. The crates that read it
//! skip lines they do not understand; a test needs to fail on them.

use std::collections::{BTreeMap, BTreeSet};

/// One line of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Metric name.
    pub name: String,
    /// Labels in their order.
    pub labels: Vec<(String, String)>,
    /// Value.
    pub value: f64,
    /// Milliseconds since 1970 if the line had a time.
    pub timestamp: Option<i64>,
}

impl Sample {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(key, value)| self.label(key) == Some(*value))
    }
}

/// One exposition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// Every sample, in order.
    pub samples: Vec<Sample>,
    /// Family to its TYPE.
    pub types: BTreeMap<String, String>,
    /// Family to its HELP.
    pub helps: BTreeMap<String, String>,
}

impl Scrape {
    /// Reads `text`; panics on a line that is not in the format, on a series or family that is there twice.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        match read(text) {
            Ok(scrape) => scrape,
            Err(error) => panic!("{error}"),
        }
    }

    /// What the daemon lost, and some of what it shows of the host: for a test that did not find what it looked for.
    pub fn brief(&self) -> String {
        let lost = self.all("gopherd_lost_total").filter(|sample| sample.value > 0.0);
        let host = self.samples.iter().filter(|sample| {
            !sample.name.starts_with("gopherd_")
                && sample.label("le").is_none()
                && sample.label("quantile").is_none()
        });
        let line = |sample: &Sample| format!("\n  {} {:?} {}", sample.name, sample.labels, sample.value);
        let [lost, host] = [lost.map(line).collect::<String>(), host.take(100).map(line).collect()];
        format!("lost:{lost}\nshown:{host}")
    }

    /// The samples of one name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The value of the one series with this name and these labels among its labels.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.all(name).filter(|sample| sample.has(labels));
        let first = found.next()?;
        if let Some(second) = found.next() {
            panic!("{name} {labels:?} fits two series: {first:?} and {second:?}");
        }
        Some(first.value)
    }

    /// As [`Scrape::value`], and the series must be there.
    #[track_caller]
    pub fn must(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let Some(value) = self.value(name, labels) else {
            let near: Vec<_> = self.all(name).take(5).collect();
            panic!("no {name} {labels:?}; with this name there is {near:?}");
        };
        value
    }

    /// Names that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> BTreeSet<&str> {
        self.samples
            .iter()
            .map(|sample| sample.name.as_str())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    /// The samples whose names begin with `prefix`, in order.
    pub fn under(&self, prefix: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name.starts_with(prefix)).collect()
    }

    /// The family of a sample: its name, without a histogram's endings where TYPE says so.
    pub fn family<'a>(&self, name: &'a str) -> &'a str {
        ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|ending| name.strip_suffix(ending))
            .find(|family| {
                matches!(self.types.get(*family).map(String::as_str), Some("histogram" | "summary"))
            })
            .unwrap_or(name)
    }
}

fn read(text: &str) -> Result<Scrape, String> {
    let mut scrape = Scrape::default();
    let mut seen = BTreeSet::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("line {}: {what}: {line}", number + 1);
        if line.trim().is_empty() || line == "# EOF" {
            continue;
        }
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, family) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let rest = words.next().unwrap_or("").to_owned();
            let table = match kind {
                "HELP" => &mut scrape.helps,
                "TYPE" => &mut scrape.types,
                _ => return Err(wrong("neither HELP nor TYPE")),
            };
            if table.insert(family.to_owned(), rest).is_some() {
                return Err(wrong("said twice"));
            }
            continue;
        }
        let sample = sample(line).ok_or_else(|| wrong("no sample"))?;
        let mut series = sample.labels.clone();
        series.sort();
        if series.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(wrong("a label twice"));
        }
        if sample.timestamp.is_none() && !seen.insert((sample.name.clone(), series)) {
            return Err(wrong("this series was there already"));
        }
        scrape.samples.push(sample);
    }
    Ok(scrape)
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let valid = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    if !valid(name) || !labels.iter().all(|(key, _)| valid(key)) {
        return None;
    }
    let mut words = rest.strip_prefix(' ')?.split(' ');
    let value = match words.next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number => number.parse().ok()?,
    };
    let timestamp = words.next().map(|time| time.parse().ok()).map_or(Some(None), |time| time.map(Some))?;
    if words.next().is_some() {
        return None;
    }
    Some(Sample { name: name.to_owned(), labels, value, timestamp })
}

/// Name and value of each label.
type Labels = Vec<(String, String)>;

/// Reads `key="value",…}`; returns the labels and what follows the brace.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut found = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    same @ ('\\' | '"') => same,
                    _ => return None,
                }),
                (_, letter) => value.push(letter),
            }
        };
        found.push((key.to_owned(), value));
        rest = after.get(end + 1..)?;
        rest = match rest.strip_prefix(',') {
            Some(more) => more,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_values_and_times_are_read() {
        let scrape = Scrape::parse(
            "# HELP a_b what it is\n# TYPE a_b counter\na_b{x=\"1\",y=\"q\\\"\\\\\\n}\"} 3 1700\nc 1.5e3\nd +Inf\n",
        );
        assert_eq!(scrape.types["a_b"], "counter");
        assert_eq!(scrape.helps["a_b"], "what it is");
        assert_eq!(scrape.samples[0].label("y"), Some("q\"\\\n}"));
        assert_eq!(scrape.samples[0].timestamp, Some(1700));
        assert_eq!(scrape.value("c", &[]), Some(1500.0));
        assert_eq!(scrape.value("d", &[]), Some(f64::INFINITY));
    }

    #[test]
    fn what_the_format_does_not_allow_is_refused() {
        for text in [
            "a 1",
            "a  1\n",
            "a\n",
            "a{ 1\n",
            "a{x=1} 1\n",
            "a{x=\"1\"}1\n",
            "a{x=\"\\q\"} 1\n",
            "a{1x=\"1\"} 1\n",
            "a{x=\"1\",x=\"2\"} 1\n",
            "a 1 2 3\n",
            "a one\n",
            "a 1\na 2\n",
            "# TYPE a counter\n# TYPE a gauge\n",
            "# WHAT a b\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_histogram_is_one_family() {
        let scrape =
            Scrape::parse("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\ng_sum 1\n");
        assert_eq!(scrape.family("h_bucket"), "h");
        assert_eq!(scrape.family("g_sum"), "g_sum");
    }
}
