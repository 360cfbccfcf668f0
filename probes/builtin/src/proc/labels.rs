//! Label texts of what the kernel counted.

use probe_core::{Label, SmolStr};

/// A number in decimal.
pub(super) fn number(value: impl itoa::Integer) -> Label {
    SmolStr::new(itoa::Buffer::new().format(value))
}

/// Text up to its NUL. A process chooses its name, and whoever asks chooses a domain, so it may be anything.
pub(super) fn text(bytes: &[u8]) -> Label {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    SmolStr::new(String::from_utf8_lossy(&bytes[..end]))
}

/// The name that ended processes share; an empty one is of those that had no room for theirs.
pub(super) fn name_or_other(name: Label) -> Label {
    if name.is_empty() { Label::new_static("other") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_nul_and_need_not_be_text() {
        for (bytes, expected) in [
            (&b"nginx\0junk"[..], "nginx"),
            (b"", ""),
            (b"\0", ""),
            (b"a\"b\nc\\", "a\"b\nc\\"),
            (b"caf\xc3", "caf\u{fffd}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"0123456789abcdef", "0123456789abcdef"),
        ] {
            assert_eq!(text(bytes), expected);
        }
    }
}
