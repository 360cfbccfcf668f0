//! libbpf's own log: at debug in ours, and the last lines of a failure kept to be told.

use libbpf_rs::{PrintLevel, set_print};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Once;

/// Warnings that are kept of one call: the verifier's log is one of many lines, its end says why.
const KEPT: usize = 12;

thread_local! {
    /// Warnings since the call began, if one is listened to. libbpf logs on the thread that calls it.
    static HEARD: RefCell<Option<VecDeque<String>>> = const { RefCell::new(None) };
}

fn print(level: PrintLevel, text: String) {
    let text = text.trim_end();
    tracing::debug!(target: "libbpf", "{text}");
    if level == PrintLevel::Warn {
        HEARD.with_borrow_mut(|heard| {
            if let Some(lines) = heard {
                for line in text.lines() {
                    if lines.len() == KEPT {
                        lines.pop_front();
                    }
                    lines.push_back(line.to_owned());
                }
            }
        });
    }
}

/// Does `work` and returns what libbpf warned of meanwhile.
pub(super) fn listen<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    static SET: Once = Once::new();
    SET.call_once(|| {
        set_print(Some((PrintLevel::Debug, print)));
    });
    HEARD.set(Some(VecDeque::new()));
    let result = work();
    (result, HEARD.take().unwrap_or_default().into())
}

/// The line among what libbpf warned of that says most: the verifier's complaint, which stands before the sum of
/// what it processed; else what could not be done with the program rather than what followed from it.
pub(super) fn gist(lines: &[String]) -> Option<String> {
    let dull =
        ["failed to load object", "failed to load BPF skeleton", "BEGIN PROG LOAD LOG", "END PROG LOAD LOG"];
    let telling = |line: &&String| !dull.iter().any(|words| line.contains(words));
    let verdict = lines.iter().rposition(|line| line.starts_with("processed "));
    let complaint = verdict.and_then(|at| lines.get(at.checked_sub(1)?)).filter(telling);
    let line = complaint.or_else(|| lines.iter().rev().find(telling))?;
    Some(line.trim_start_matches("libbpf: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_is_the_last_line_that_says_something() {
        let lines = [
            "libbpf: prog 'x': BPF program load failed: -EPERM",
            "libbpf: failed to load object 'a_bpf'",
            "libbpf: failed to load BPF skeleton 'a_bpf': -EPERM",
        ];
        let lines: Vec<_> = lines.map(str::to_owned).into();
        assert_eq!(gist(&lines).as_deref(), Some("prog 'x': BPF program load failed: -EPERM"));
        assert_eq!(gist(&lines[1..]), None);
        let log = [
            "R0 invalid mem access 'map_value_or_null'",
            "processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0",
            "-- END PROG LOAD LOG --",
            "libbpf: prog 'x': failed to load: -EACCES",
        ];
        assert_eq!(gist(&log.map(str::to_owned)).as_deref(), Some(log[0]));
    }

    #[test]
    fn only_the_last_warnings_of_the_listening_thread_are_kept() {
        let (_, lines) = listen(|| {
            for i in 0..KEPT + 3 {
                print(PrintLevel::Warn, format!("{i}\n"));
            }
            print(PrintLevel::Info, "not this".into());
        });
        assert_eq!(lines.len(), KEPT);
        assert_eq!(lines.first().map(String::as_str), Some("3"));
        print(PrintLevel::Warn, "nobody listens".into());
        assert!(listen(|| ()).1.is_empty());
    }
}
