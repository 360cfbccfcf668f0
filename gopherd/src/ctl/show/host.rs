//! `capabilities` and `ready`: the host, and the daemon as a whole.

use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use crate::ctl::table::{Cell, Column, table};
use gopher_api::{Capabilities, Ready, Support, TrackerState};

pub(in crate::ctl) fn capabilities(look: &Look, on: &Capabilities) -> String {
    let support = |support: &Support| match (&support.reason, support.available) {
        (_, true) => Cell::toned(Tone::Good, "yes"),
        (Some(reason), false) => Cell::toned(Tone::Warn, format!("no: {reason}")),
        (None, false) => Cell::toned(Tone::Warn, "no"),
    };
    let text = |text: &Option<String>| Cell::new(text.as_deref().unwrap_or("none"));
    let list =
        |names: Vec<String>| Cell::new(if names.is_empty() { "none".to_owned() } else { names.join(" ") });
    let runtimes =
        on.container_runtimes.iter().map(|runtime| format!("{} ({})", runtime.name, runtime.socket));
    let mut rows = vec![
        vec![Cell::new("kernel"), Cell::new(&on.kernel_release)],
        vec![Cell::new("architecture"), Cell::new(&on.architecture)],
        vec![Cell::new("kernel types (BTF)"), support(&on.btf)],
        vec![Cell::new("lockdown"), text(&on.lockdown)],
        vec![Cell::new("cgroups"), text(&on.cgroup_version)],
        vec![Cell::new("container runtimes"), list(runtimes.collect())],
    ];
    let tracker = match (on.process_tracker.state, on.process_tracker.missing.join("; ")) {
        (TrackerState::Running, missing) if missing.is_empty() => Cell::toned(Tone::Good, "runs"),
        (TrackerState::Idle, missing) if missing.is_empty() => Cell::new("not needed now"),
        (TrackerState::Running, missing) => Cell::toned(Tone::Warn, format!("runs without {missing}")),
        (TrackerState::Idle, missing) => Cell::toned(Tone::Warn, format!("not needed now; lacks {missing}")),
        (TrackerState::Unavailable, missing) => Cell::toned(Tone::Warn, format!("no: {missing}")),
    };
    rows.push(vec![Cell::new("process tracker"), tracker]);
    rows.extend(
        on.attach_kinds.iter().map(|(name, has)| vec![Cell::new(format!("attach {name}")), support(has)]),
    );
    rows.extend(
        on.tracepoints.iter().map(|(name, has)| vec![Cell::new(format!("tracepoint {name}")), support(has)]),
    );
    let mut out = table(look, &[Column::Text("WHAT"), Column::Text("HERE")], rows);
    // As many lines as they need: none of them may be cut.
    let held = if on.capabilities.is_empty() { "none".to_owned() } else { on.capabilities.join(" ") };
    out += &look.paint(Tone::Head, "\nCapabilities that the daemon holds\n");
    out += &wrapped(look, &held);
    out
}

pub(in crate::ctl) fn ready(look: &Look, ready: &Ready, well: bool) -> String {
    let mut out = if well { look.paint(Tone::Good, "ready") } else { look.paint(Tone::Bad, "not ready") };
    match ready.problems.len() {
        0 => {}
        1 => out += ", with 1 problem",
        n => out += &format!(", with {n} problems"),
    }
    out.push('\n');
    for problem in &ready.problems {
        out += &wrapped(look, &format!("{}: {}", problem.source, problem.detail));
    }
    out
}

/// The text, indented, in lines that fit.
pub(super) fn wrapped(look: &Look, text: &str) -> String {
    indented(look, 2, text)
}

/// The same with so many blanks before each line.
pub(super) fn indented(look: &Look, indent: usize, text: &str) -> String {
    let text = inline(text);
    let width = look.width.map_or(usize::MAX, |width| usize::from(width).saturating_sub(indent).max(10));
    let margin = " ".repeat(indent);
    let (mut out, mut used) = (margin.clone(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            out += "\n";
            out += &margin;
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out += word;
        used += length;
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_between_words_and_not_cut() {
        let look = Look { width: Some(20), ..Look::default() };
        assert_eq!(
            wrapped(&look, "one two three four five"),
            "  one two three four
  five
"
        );
        assert_eq!(wrapped(&Look::default(), "a \x1b b"), "  a \\u001b b\n");
    }

    #[test]
    fn readiness_is_one_line_and_one_for_each_problem() {
        let problem =
            |detail: &str| gopher_api::ReadyProblem { source: "kafka".into(), detail: detail.into() };
        let document = Ready { ready: true, problems: vec![problem("no broker"), problem("x")] };
        let expected = "ready, with 2 problems\n  kafka: no broker\n  kafka: x\n";
        assert_eq!(ready(&Look::default(), &document, true), expected);
        assert_eq!(ready(&Look::default(), &Ready::default(), false), "not ready\n");
    }
}
