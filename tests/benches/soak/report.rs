//! Slopes and verdicts: on the screen, as Markdown and as JSON under target/bench.

use crate::load::FEATURES;
use crate::sample::{ROWS, Sample};
use gopher_e2e::slope::{Slope, slope};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// First caches and tables take what they need: at this load up to twenty minutes, of a short run half.
const WARM_UP: Duration = Duration::from_secs(20 * 60);

/// All samples.
pub(crate) struct Report {
    wanted: Duration,
    samples: Vec<(Duration, Sample)>,
    ended: Option<String>,
}

impl Report {
    /// Of a run that was to take so long.
    pub(crate) fn new(wanted: Duration) -> Self {
        Self { wanted, samples: Vec::new(), ended: None }
    }

    /// Adds a sample.
    pub(crate) fn add(&mut self, at: Duration, sample: Sample) {
        self.samples.push((at, sample));
    }

    /// It could not go on.
    pub(crate) fn ended_early(&mut self, why: String) {
        self.ended = Some(why);
    }

    /// Says what was found. Fails if something grows, if the daemon ended, or if there is too little to tell.
    pub(crate) fn done(self, load: &str, losses: &str) -> ExitCode {
        let last = self.samples.last().map_or(Duration::ZERO, |(at, _)| *at);
        let warm = WARM_UP.min(last / 2);
        let settled: Vec<_> = self.samples.iter().filter(|(at, _)| *at >= warm).collect();
        let mut text = String::from("# Soak\n\n");
        let _ = writeln!(
            text,
            "{} s of {} wanted, {} samples, the first {} s left out as warm-up: {} in the slopes.\n\nLoad: {load}.\n",
            last.as_secs(),
            self.wanted.as_secs(),
            self.samples.len(),
            warm.as_secs(),
            settled.len()
        );
        text += "| what | first | last | an hour more | 95 % interval | allowed | |\n|---|---|---|---|---|---|---|\n";
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        for (index, (name, unit, allowed)) in ROWS.into_iter().enumerate() {
            let values: Vec<(f64, f64)> = settled
                .iter()
                .filter_map(|(at, sample)| Some((at.as_secs_f64() / 3600.0, *sample.0.get(index)?)))
                .collect();
            let found = slope(&level(&values));
            let verdict = verdict(found, allowed);
            if verdict != "pass" {
                bad.push(name);
            }
            let ends = (values.first().map(|value| value.1), values.last().map(|value| value.1));
            let _ = writeln!(text, "{}", row(name, unit, ends, found, allowed, verdict));
            rows.push(json!({
                "what": name, "unit": unit, "first": ends.0, "last": ends.1, "allowed_per_hour": allowed,
                "per_hour": found.map(|s| s.median), "low": found.map(|s| s.low), "high": found.map(|s| s.high),
                "verdict": verdict, "samples": values,
            }));
        }
        let _ = writeln!(text, "\nLost and counted meanwhile: {losses}.");
        if let Some(why) = &self.ended {
            let _ = writeln!(text, "\n{why}.");
        }
        println!("{text}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        let document = json!({"seconds": last.as_secs(), "load": load, "rows": rows, "ended": self.ended, "losses": losses});
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("soak.md"), &text).expect("the report is written");
        std::fs::write(folder.join("soak.json"), format!("{document:#}\n")).expect("the report is written");
        println!("written: target/bench/soak.md and soak.json");
        if bad.is_empty() && self.ended.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Takes out what depends on the round: another feature was started anew in each, and what a probe has loaded it keeps until
/// it ends. Each value loses the median of the rounds like its own.
fn level(values: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let median = |round: usize| {
        let mut alike: Vec<f64> =
            values.iter().skip(round).step_by(FEATURES.len()).map(|(_, value)| *value).collect();
        alike.sort_by(f64::total_cmp);
        alike.get(alike.len() / 2).copied().unwrap_or(0.0)
    };
    let medians: Vec<f64> = (0..FEATURES.len()).map(median).collect();
    let values = values.iter().zip(medians.iter().cycle());
    values.map(|((at, value), median)| (*at, value - median)).collect()
}

fn verdict(found: Option<Slope>, allowed: f64) -> &'static str {
    match found {
        None => "too few samples",
        // It may be standing still.
        Some(slope) if slope.low <= 0.0 || slope.median <= allowed => "pass",
        Some(_) => "GROWS",
    }
}

fn row(
    name: &str,
    unit: &str,
    (first, last): (Option<f64>, Option<f64>),
    found: Option<Slope>,
    allowed: f64,
    verdict: &str,
) -> String {
    let value =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} {unit}"));
    let interval = found.map_or_else(|| "-".to_owned(), |s| format!("{:.3} … {:.3}", s.low, s.high));
    let median = found.map_or_else(|| "-".to_owned(), |s| format!("{:.3} {unit}", s.median));
    format!("| {name} | {} | {} | {median} | {interval} | {allowed} | {verdict} |", value(first), value(last))
}
