//! Text from outside: how much of it an answer repeats, and which characters names and paths may not have.

/// Longest piece of outside text that an answer or a warning repeats, in characters.
const SHOWN: usize = 64;

/// `text` as an answer may repeat it: cut at 64 characters, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Whether `text` has a character that a shell gives a meaning, a control character, or a hidden or
/// relative path component: the reference's list (section 4.1), which holds for paths, devices and
/// container names.
pub(crate) fn is_unsafe(text: &str) -> bool {
    const FORBIDDEN: &str = "|;&$><()?*'\"`[]{}\\!";
    text.chars().any(|c| c.is_control() || FORBIDDEN.contains(c))
        || text.contains("./")
        || text.contains("/.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(shown("tcp_rtt"), "tcp_rtt");
        assert_eq!(shown("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn shell_characters_and_dotted_path_components_are_unsafe() {
        for text in ["a;b", "$(id)", "`id`", "/opt/../etc", "./x", "a\nb", "a'b", "[", "a\\b", "!"] {
            assert!(is_unsafe(text), "{text}");
        }
        for text in ["/usr/lib64/libssl.so.3", "eth0", "my-app_1.2", "/a b"] {
            assert!(!is_unsafe(text), "{text}");
        }
    }
}
