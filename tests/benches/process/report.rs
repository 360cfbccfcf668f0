//! The table: what was measured, what it may be at most, and the verdict; on the screen, as Markdown and as
//! JSON under target/bench.

use crate::measure::Spread;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

struct Row {
    what: String,
    unit: &'static str,
    limit: Option<f64>,
    measured: Spread,
}

impl Row {
    fn verdict(&self) -> &'static str {
        match self.limit {
            None => "",
            Some(limit) if self.measured.median <= limit => "pass",
            Some(_) => "FALLS SHORT",
        }
    }
}

/// What has been measured so far.
pub(crate) struct Report {
    short: bool,
    rows: Vec<Row>,
    notes: Vec<String>,
    failed: Vec<&'static str>,
    load_before: String,
}

impl Report {
    /// Of a short run or of a full one.
    pub(crate) fn new(short: bool) -> Self {
        Self { short, rows: Vec::new(), notes: Vec::new(), failed: Vec::new(), load_before: load() }
    }

    /// A measurement that may be `limit` at most.
    pub(crate) fn limited(&mut self, what: &str, unit: &'static str, limit: f64, measured: Vec<f64>) {
        self.rows.push(Row { what: what.to_owned(), unit, limit: Some(limit), measured: measured.into() });
    }

    /// A measurement that explains another one.
    pub(crate) fn shown(&mut self, what: &str, unit: &'static str, measured: Vec<f64>) {
        self.rows.push(Row { what: what.to_owned(), unit, limit: None, measured: measured.into() });
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// A part of the run ended without its measurements.
    pub(crate) fn failed(&mut self, part: &'static str) {
        self.failed.push(part);
    }

    /// Prints and writes everything.
    #[allow(clippy::print_stdout)] // the table is what the program is for
    pub(crate) fn finish(mut self) -> ExitCode {
        let (before, after) = (std::mem::take(&mut self.load_before), load());
        self.note(format!("{}; load average {before} before and {after} after.", machine()));
        let text = self.text();
        println!("{text}");
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        let written = fs::create_dir_all(&dir)
            .and_then(|()| fs::write(dir.join("report.md"), format!("{text}\n")))
            .and_then(|()| fs::write(dir.join("report.json"), format!("{:#}\n", self.json())));
        match written {
            Ok(()) => println!("written: target/bench/report.md and report.json"),
            Err(error) => eprintln!("the report could not be written to {}: {error}", dir.display()),
        }
        ExitCode::from(u8::from(!self.failed.is_empty()))
    }

    fn text(&self) -> String {
        let head = ["measured", "at most", "median", "least … most", "runs", "of the limit", ""];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|row| {
            let Spread { median, min, max, runs } = row.measured;
            [
                row.what.clone(),
                row.limit.map_or_else(String::new, |limit| format!("{} {}", number(limit), row.unit)),
                format!("{} {}", number(median), row.unit),
                format!("{} … {}", number(min), number(max)),
                runs.to_string(),
                // Of a limit of nothing there is no part.
                row.limit
                    .filter(|limit| *limit > 0.0)
                    .map_or_else(String::new, |limit| format!("{:.0} %", 100.0 * median / limit)),
                row.verdict().to_owned(),
            ]
        }));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("| {cell:<width$} "));
            let _ = writeln!(text, "{}|", cells.collect::<String>());
            if number == 0 {
                let rules = widths.map(|width| format!("|{}", "-".repeat(width + 2)));
                let _ = writeln!(text, "{}|", rules.concat());
            }
        }
        let _ = writeln!(text, "\n{}", self.verdict());
        for note in &self.notes {
            let _ = write!(text, "\n- {note}");
        }
        text
    }

    fn verdict(&self) -> String {
        let limited: Vec<_> = self.rows.iter().filter(|row| row.limit.is_some()).collect();
        let short: Vec<_> =
            limited.iter().filter(|row| row.verdict() != "pass").map(|row| row.what.as_str()).collect();
        let mut text = match short.as_slice() {
            [] => format!("All {} measured limits hold.", limited.len()),
            some => format!("{} of {} FALL SHORT: {}.", some.len(), limited.len(), some.join("; ")),
        };
        if !self.failed.is_empty() {
            let _ = write!(text, " NOT MEASURED: {}.", self.failed.join(", "));
        }
        if self.short {
            text.push_str(" This was the short run: one-off numbers, not for quoting.");
        }
        text
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let Spread { median, min, max, runs } = row.measured;
            json!({
                "what": row.what, "unit": row.unit, "limit": row.limit, "median": median, "min": min,
                "max": max, "runs": runs, "holds": row.limit.map(|limit| median <= limit),
            })
        });
        json!({
            "short": self.short, "rows": rows.collect::<Vec<_>>(), "not_measured": self.failed,
            "notes": self.notes,
        })
    }
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{count} × {}, kernel {}", model.map_or("CPU", |(_, name)| name), kernel.trim_end())
}
