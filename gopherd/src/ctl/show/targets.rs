//! `targets`: what a scope matches, and why one process is observed or not.

use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use crate::ctl::table::{Cell, Column, table};
use gopher_api::{Target, TargetPage, Verdict};
use std::fmt::Write as _;

pub(in crate::ctl) fn targets(look: &Look, page: &TargetPage) -> String {
    let mut out = String::new();
    if let Some(Verdict { pid, observed, reason }) = &page.verdict {
        let (is, tone) =
            if *observed { ("is observed", Tone::Good) } else { ("is not observed", Tone::Warn) };
        // The daemon's sentences begin with the verdict.
        let reason = reason.split_once("observed: ").map_or(reason.as_str(), |(_, reason)| reason);
        let _ = writeln!(out, "pid {pid} {}: {}", look.paint(tone, is), inline(reason));
        return out;
    }
    let feature = inline(&page.feature);
    if page.whole_host {
        let _ = writeln!(out, "{feature} observes the whole host.");
    } else if page.items.is_empty() {
        let _ = writeln!(
            out,
            "{feature} observes no process now; gopher-ctl targets {feature} --pid PID says why not."
        );
    } else {
        let columns = [Column::Number("PID"), Column::Text("COMM"), Column::Text("SELECTOR")];
        let row = |target: &Target| {
            vec![Cell::new(target.pid.to_string()), Cell::new(&target.comm), Cell::new(&target.selector)]
        };
        out += &table(look, &columns, page.items.iter().map(row).collect());
    }
    if page.more > 0 {
        let _ = writeln!(out, "… and {} more", page.more);
    }
    out
}
