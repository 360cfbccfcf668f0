//! Text from a runtime made safe to keep and to show. A runtime relays what whoever made the container wrote, so
//! all of it is hostile: cut to size, valid UTF-8, without control characters. Pure.

use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Most bytes of one value, as of a label in the contract.
const MAX_TEXT: usize = 1024;

/// Most labels of one pod that are kept; Kubernetes' own tools write about a dozen.
const MAX_LABELS: usize = 64;

/// Most bytes of a label's key: what Kubernetes allows (a prefix of 253, a slash, a name of 63).
const MAX_KEY: usize = 317;

/// `bytes` as a value: at most 1,024 bytes of text without control characters; `None` if nothing is left.
pub(super) fn text(bytes: impl AsRef<[u8]>) -> Option<SmolStr> {
    let bytes = bytes.as_ref();
    // Cleaning never makes a byte more than three longer, so only so much needs a look.
    let text = String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes));
    let whole = text.len() <= MAX_TEXT && !text.contains(char::is_control);
    let clean: SmolStr = if whole {
        SmolStr::new(&text)
    } else {
        let mut left = MAX_TEXT;
        let fits = |c: &char| left.checked_sub(c.len_utf8()).map(|rest| left = rest).is_some();
        text.chars().filter(|c| !c.is_control()).take_while(fits).collect()
    };
    (!clean.is_empty()).then_some(clean)
}

/// Labels as they are kept: the first 64 by name whose keys have a length that Kubernetes allows. A value that is
/// empty is a value.
pub(super) fn labels<'a>(all: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> BTreeMap<SmolStr, SmolStr> {
    let mut kept = BTreeMap::new();
    for (key, value) in all.filter(|(key, _)| key.len() <= MAX_KEY) {
        let Some(key) = text(key) else { continue };
        kept.insert(key, text(value).unwrap_or_default());
        if kept.len() > MAX_LABELS {
            kept.pop_last();
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_fine_stays_as_it_is() {
        assert_eq!(text("docker.io/library/nginx:1.25").as_deref(), Some("docker.io/library/nginx:1.25"));
        assert_eq!(text("漢字 \"x\"").as_deref(), Some("漢字 \"x\""));
        assert_eq!(text(""), None);
    }

    #[test]
    fn control_characters_go_and_bytes_that_are_no_text_are_marked() {
        assert_eq!(text("a\nb\u{1b}[31mc\0\u{85}").as_deref(), Some("ab[31mc"));
        assert_eq!(text(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text("\n\t"), None);
    }

    #[test]
    fn labels_are_the_first_by_name_whatever_their_order() {
        let all: Vec<(String, String)> =
            (0..500).rev().map(|n| (format!("k{n:03}"), n.to_string())).collect();
        let kept = labels(all.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())));
        assert_eq!(kept.len(), 64);
        assert_eq!(kept.last_key_value().map(|(k, _)| k.as_str()), Some("k063"));
        assert_eq!(labels([(&b"k"[..], &b""[..])].into_iter()).get("k").map(SmolStr::as_str), Some(""));
        let long = "k".repeat(400);
        assert!(labels([(long.as_bytes(), &b"v"[..])].into_iter()).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_become_short_text_that_can_be_shown(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            if let Some(clean) = text(&bytes) {
                prop_assert!(clean.len() <= MAX_TEXT && !clean.contains(char::is_control) && !clean.is_empty());
                prop_assert_eq!(text(&clean), Some(clean));
            }
        }
    }
}
