//! The text of one look: the daemon in the head, one line a feature. Pure, and never wider than the terminal.

use super::model::{Order, Row, Sample, Totals, rows, totals};
use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use crate::ctl::show::{state, state_cell};
use crate::ctl::table::{Cell, Column, table};
use crate::ctl::units::{self, known};
use gopher_api::{SubProbeCost, Targets};

/// Head and table.
pub(super) fn frame(look: &Look, before: Option<&Sample>, now: &Sample, order: Order) -> String {
    let mut out = head(look, &totals(before, now), order);
    let rows = rows(before, now, order);
    if rows.is_empty() {
        return out + "\nNo feature runs. gopher-ctl probe list shows all of them.\n";
    }
    out.push('\n');
    out + &features(look, &rows, order.sub_probes)
}

fn head(look: &Look, totals: &Totals<'_>, order: Order) -> String {
    let mut what = vec![
        format!("gopherd {}", inline(totals.version)),
        format!("up {}", known(totals.age, units::age)),
        format!("CPU {}", known(totals.cpu, units::percent)),
        known(totals.memory_bytes, units::bytes),
        format!("{} series", units::count(totals.series)),
        format!("{} samples/s", known(totals.samples_per_s, units::rate)),
    ];
    let first = cut(look, &what.join(", "));
    what = totals.states.iter().map(|(of, n)| format!("{n} {}", state(*of).0)).collect();
    what.push(format!("{} lost", units::count(totals.lost)));
    if totals.bad_lines > 0 {
        what.push(format!("{} problems of probes.init", totals.bad_lines));
    }
    let turned = if order.reverse { ", reversed" } else { "" };
    what.push(format!("sorted by {}{turned}", order.by.name()));
    format!("{}\n{}\n", look.paint(Tone::Head, &first), cut(look, &what.join(", ")))
}

/// The line as far as it fits. What is in it is shown as one column a character.
fn cut(look: &Look, line: &str) -> String {
    match look.width {
        Some(width) => line.chars().take(usize::from(width)).collect(),
        None => line.to_owned(),
    }
}

/// A line that says why what follows is old.
pub(super) fn trouble(look: &Look, why: &str) -> String {
    look.paint(Tone::Bad, &cut(look, &inline(why))) + "\n"
}

fn features(look: &Look, rows: &[Row<'_>], sub_probes: bool) -> String {
    let columns = [
        Column::Text("FEATURE"),
        Column::Text("STATE"),
        Column::Number("TARGETS"),
        Column::Number("SERIES"),
        Column::Number("SAMPLES/S"),
        Column::Number("CPU"),
        Column::Number("BPF"),
        Column::Number("MEMORY"),
        Column::Number("LOST"),
    ];
    let lost = |lost: u64| Cell::toned(if lost > 0 { Tone::Warn } else { Tone::Plain }, units::count(lost));
    let row = |row: &Row<'_>| {
        vec![
            Cell::new(row.feature),
            state_cell(row.state),
            Cell::new(targets(row.targets)),
            Cell::new(units::count(row.series)),
            Cell::new(known(row.samples_per_s, units::rate)),
            Cell::new(known(row.cpu, units::percent)),
            Cell::new(known(row.bpf, units::percent)),
            Cell::new(known(row.memory_bytes, units::bytes)),
            lost(row.lost),
        ]
    };
    let mut lines = Vec::new();
    for each in rows {
        lines.push(row(each));
        // One that hands nothing over and costs nothing is switched off.
        let parts =
            each.sub_probes.iter().filter(|sub| sub.series > 0 || sub.cpu_ns_per_s.is_some_and(|ns| ns > 0));
        lines.extend(parts.filter(|_| sub_probes).map(sub_probe));
    }
    table(look, &columns, lines)
}

/// Below its feature's row; what only the feature has is left empty.
fn sub_probe(sub: &SubProbeCost) -> Vec<Cell> {
    let share = |ns: Option<u64>| Cell::new(known(ns.map(units::share), units::percent));
    let none = || Cell::new("");
    vec![
        Cell::new(format!("  {}", sub.name)),
        none(),
        none(),
        Cell::new(units::count(sub.series)),
        none(),
        share(sub.cpu_ns_per_s),
        share(sub.bpf_ns_per_s),
        none(),
        none(),
    ]
}

/// Processes, or processes and containers; nothing is the whole host.
fn targets(targets: Targets) -> String {
    match (targets.processes, targets.containers) {
        (Some(processes), Some(containers)) => {
            format!("{}+{}", units::count(processes), units::count(containers))
        }
        (Some(one), None) | (None, Some(one)) => units::count(one),
        (None, None) => units::UNKNOWN.to_owned(),
    }
}
