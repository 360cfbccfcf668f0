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

/// The line among what libbpf warned of that says most: what it could not do with the program, not what
/// followed from it.
pub(super) fn gist(lines: &[String]) -> Option<String> {
    let dull =
        ["failed to load object", "failed to load BPF skeleton", "BEGIN PROG LOAD LOG", "END PROG LOAD LOG"];
    let telling = |line: &&String| !dull.iter().any(|words| line.contains(words));
    let line = lines.iter().rev().find(telling)?;
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
