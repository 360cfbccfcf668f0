//! Reading the kernel's text: words and numbers of a line, without allocation and without trust.

/// The lines of `text`, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

/// The words of `line`, separated by blanks or tabs.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b' ' || *b == b'\t').filter(|word| !word.is_empty())
}

/// A decimal number; `None` for anything else, an overflow included.
pub fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal number that may be negative.
pub fn signed(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A hexadecimal number without prefix.
pub fn hex(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok().and_then(|w| u64::from_str_radix(w, 16).ok())
}

/// A decimal fraction.
pub fn float(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// `line` as `key` and the rest after the first `separator`, both trimmed of blanks.
pub fn pair(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|b| *b == separator)?;
    Some((line[..at].trim_ascii(), line[at + 1..].trim_ascii()))
}

/// Kernel text as a label: invalid UTF-8 is replaced, never refused.
pub fn text(word: &[u8]) -> probe_core::Label {
    String::from_utf8_lossy(word).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_refuse_what_is_none() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"-1", b"1x", b"+1"] {
            assert_eq!(number(bad), None, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(signed(b"-45"), Some(-45));
        assert_eq!(hex(b"0000001f"), Some(31));
    }

    #[test]
    fn pairs_and_words_are_trimmed() {
        assert_eq!(pair(b"MemTotal:   24 kB", b':'), Some((&b"MemTotal"[..], &b"24 kB"[..])));
        assert_eq!(words(b"  a \tb ").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
