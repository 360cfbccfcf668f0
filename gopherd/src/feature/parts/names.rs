//! The forms of ids and names in selectors, and of label names: pure checks, no place in a document.

use regex::{Regex, RegexBuilder};

/// Longest expression in bytes; the contract's number.
pub(super) const MAX_PATTERN: usize = 1024;

/// Memory that the compiled expressions of one feature may take, in bytes, shared evenly among them.
const ALL_PATTERNS: usize = 64 << 20;

/// Most that one of few expressions may take: enough for `\w` with repetitions, which is large in Unicode.
const ONE_PATTERN: usize = 1 << 20;

/// Labels that the pipeline adds by itself (metric catalogue 1.2), and the bucket bound.
const AUTOMATIC_LABELS: &[&str] = &[
    "comm",
    "cmdline",
    "start_time",
    "container_id",
    "container_name",
    "container_image",
    "pod_id",
    "pod",
    "pod_namespace",
    "machine_id",
    "tgid",
    "le",
    "hostname",
];

/// One of `count` expressions of a feature. The error is one line.
pub(super) fn expression(pattern: &str, count: usize) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("longer than {MAX_PATTERN} bytes"));
    }
    let size = (ALL_PATTERNS / count.max(1)).min(ONE_PATTERN);
    RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(size).build().map_err(|error| match error {
        // Several lines with the expression and a caret; the last one says what is wrong.
        regex::Error::Syntax(text) => {
            let line = text.lines().last().unwrap_or_default();
            format!("not a regular expression: {}", line.trim_start_matches("error: "))
        }
        _ => "too large a regular expression".to_owned(),
    })
}

/// A pod uid in the dashed form, from either form.
pub(super) fn pod_id(text: &str) -> Option<String> {
    let hex: String = match text.len() {
        36 => {
            let dashes = text.char_indices().filter(|(_, c)| *c == '-').map(|(i, _)| i);
            if !dashes.eq([8, 13, 18, 23]) {
                return None;
            }
            text.replace('-', "")
        }
        32 => text.to_owned(),
        _ => return None,
    };
    if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let hex = hex.to_ascii_lowercase();
    let part = |range| hex.get(range).unwrap_or_default();
    Some([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}

/// The first 12 digits of a container id.
pub(super) fn container_id(text: &str) -> Option<String> {
    let valid = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| text.chars().take(12).collect::<String>().to_ascii_lowercase())
}

/// Why `name` cannot be the name of a label that is added to rows with the labels `taken`.
pub(super) fn label_name_fault<'t>(
    name: &str,
    mut taken: impl Iterator<Item = &'t str>,
) -> Option<&'static str> {
    let mut chars = name.chars();
    let formed = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !formed {
        Some("is no label name: letters, digits and _ are, not beginning with a digit")
    } else if name.starts_with("__") {
        Some("is no label name: two leading underscores are reserved")
    } else if AUTOMATIC_LABELS.contains(&name) || taken.any(|other| other == name) {
        Some("is a label that the metrics have already")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_pod_uid_become_the_dashed_one() {
        let dashed = "0de8c1f4-4c2f-4f0c-9d2b-1a2b3c4d5e6f";
        assert_eq!(pod_id(dashed).as_deref(), Some(dashed));
        assert_eq!(pod_id("0DE8C1F44C2F4F0C9D2B1A2B3C4D5E6F").as_deref(), Some(dashed));
        for text in ["", "0de8c1f4", "0de8c1f44-c2f-4f0c-9d2b-1a2b3c4d5e6f", &"g".repeat(32), &"é".repeat(18)]
        {
            assert_eq!(pod_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_container_id_is_its_first_twelve_digits() {
        assert_eq!(container_id(&"Ab12".repeat(16)).as_deref(), Some("ab12ab12ab12"));
        assert_eq!(container_id("abc").as_deref(), Some("abc"));
        for text in [String::new(), "a".repeat(65), "xyz".into(), "é".into()] {
            assert_eq!(container_id(&text), None, "{text}");
        }
    }

    #[test]
    fn an_expression_is_bounded_and_its_fault_is_one_line() {
        assert!(expression("^nginx$", 2000).is_ok());
        assert!(expression(r"java.*-Xmx\d+g \w+", 1).is_ok());
        assert_eq!(expression("[", 1).unwrap_err(), "not a regular expression: unclosed character class");
        assert_eq!(expression(&"a".repeat(1025), 1).unwrap_err(), "longer than 1024 bytes");
        assert_eq!(expression("(a{1000}){1000}", 1).unwrap_err(), "too large a regular expression");
        assert!(expression(&"(".repeat(1024), 1).unwrap_err().lines().count() == 1);
    }

    #[test]
    fn a_label_name_is_well_formed_and_free() {
        let fault = |name| label_name_fault(name, ["client_ip"].into_iter());
        for name in ["a", "_a", "App_1"] {
            assert_eq!(fault(name), None, "{name}");
        }
        for name in ["", "1a", "a-b", "ä", "1 bad-name"] {
            assert!(fault(name).is_some_and(|text| text.contains("letters")), "{name}");
        }
        assert!(fault("__name__").is_some_and(|text| text.contains("underscores")));
        for name in ["client_ip", "machine_id", "le"] {
            assert!(fault(name).is_some_and(|text| text.contains("already")), "{name}");
        }
    }
}
