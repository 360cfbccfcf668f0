//! What the benches of functions have found in this run, for the limits that are about a function.
//!
//! criterion leaves its estimates under target/criterion; `make bench` says when the run began.

use crate::Length;
use crate::report::Report;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const GROUP: &str = "10k series, 10 labels";
const COPY: &str = "copy of the same text, at once";
const TEXTS: [&str; 2] = ["text, 303 rows of 33 columns", "text, 5000 rows of 2 columns"];

/// Adds the rows, or says that the benches of functions were not run.
pub(crate) fn measure(_: Length, report: &mut Report) {
    let Some(began) = began() else {
        report.note("Benches of functions were not part of this run: `make bench` runs both.".to_owned());
        return;
    };
    let copy = nanoseconds(COPY, began);
    for text in TEXTS {
        let ratio = nanoseconds(text, began) / copy;
        report.limited(&format!("plain scrape of 10,000 series over memcpy: {text}"), "×", 4.0, vec![ratio]);
    }
    report.shown("one memcpy of that text", "µs", vec![copy / 1e3]);
}

/// When `make bench` began, in seconds since 1970.
fn began() -> Option<SystemTime> {
    let seconds = std::env::var("BENCH_SINCE").ok()?.parse().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The median that criterion has found since `began`.
fn nanoseconds(bench: &str, began: SystemTime) -> f64 {
    let path = target().join("criterion").join(GROUP).join(bench).join("new/estimates.json");
    let written = std::fs::metadata(&path).and_then(|file| file.modified());
    assert!(written.is_ok_and(|time| time >= began), "{} is not of this run", path.display());
    let text = std::fs::read_to_string(&path).expect("criterion's estimates");
    let estimates: Value = serde_json::from_str(&text).expect("JSON from criterion");
    estimates["median"]["point_estimate"].as_f64().expect("a median")
}

/// Where this bench was built: target/PROFILE/deps.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    own.ancestors().nth(3).map_or_else(|| Path::new("target").to_path_buf(), Path::to_path_buf)
}
