//! Times and sizes with their units, read and written.
//!
//! Owns the spelling (`"10s"`, `"256MiB"`). Leaves ranges to `value`.

use bytesize::ByteSize;
use std::time::Duration;

/// A time as in `10s`, `500ms`, `1h 30m`.
pub(super) fn parse_time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// The same text that [`parse_time`] reads.
pub(super) fn write_time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// A size as in `1048576`, `64MiB`, `1.5 GB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64())
}

/// The shortest text without a fraction that [`parse_size`] reads back to the same number.
pub(super) fn write_size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_powers_of_two_or_of_ten_as_the_unit_says() {
        for (text, bytes) in [("7", 7), ("64KiB", 65_536), ("1 MB", 1_000_000), ("1.5GiB", 1_610_612_736)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "-1", "MiB", "3 apples", "1e3"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64, millis in 0_u64..1_000_000_000) {
            prop_assert_eq!(parse_size(&write_size(bytes)), Some(bytes));
            let time = Duration::from_millis(millis);
            prop_assert_eq!(parse_time(&write_time(time)), Some(time));
        }
    }
}
