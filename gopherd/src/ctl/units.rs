//! Numbers for people: short, with their unit. Pure.

use bytesize::ByteSize;
use std::time::Duration;

/// What is shown for a number that is not known.
pub(super) const UNKNOWN: &str = "-";

/// `21.3 MiB`.
pub(super) fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

/// Exact below ten thousand, else with three digits that matter: `12.3k`, `4.56M`.
pub(super) fn count(count: u64) -> String {
    if count < 10_000 {
        return count.to_string();
    }
    #[allow(clippy::cast_precision_loss)] // three digits are shown
    short(count as f64)
}

/// Of a second: as [`count`], with one decimal below a hundred.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        r if r < 99.95 => format!("{r:.1}"),
        r if r < 9_999.5 => format!("{r:.0}"),
        r => short(r),
    }
}

fn short(mut value: f64) -> String {
    for suffix in ["", "k", "M", "G", "T"] {
        if value < 999.5 {
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            return format!("{value:.decimals$}{suffix}");
        }
        value /= 1000.0;
    }
    format!("{value:.0}P")
}

/// `3.2%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// Of one core, for nanoseconds in a second.
#[allow(clippy::cast_precision_loss)] // a share for people
pub(super) fn share(ns_per_s: u64) -> f64 {
    ns_per_s as f64 / 1e9
}

/// The two largest units: `3h 12m`.
pub(super) fn age(age: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// The number as text, or [`UNKNOWN`].
pub(super) fn known<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short_and_keep_three_digits() {
        let counts = [0, 9_999, 10_000, 12_345, 999_499, 999_500, 4_560_000, u64::MAX];
        let expected = ["0", "9999", "10.0k", "12.3k", "999k", "1.00M", "4.56M", "18447P"];
        assert_eq!(counts.map(count), expected);
        assert_eq!([0.0, 1.25, 99.94, 99.96, 12_345.0].map(rate), ["0.0", "1.2", "99.9", "100", "12.3k"]);
        assert_eq!(
            (percent(0.0), percent(0.0319), percent(1.5)),
            ("0.0%".into(), "3.2%".into(), "150.0%".into())
        );
        assert_eq!((bytes(0), bytes(22_334_000)), ("0 B".into(), "21.3 MiB".into()));
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        let ages = [0, 59, 3_661, 11_520, 90_061];
        assert_eq!(ages.map(|s| age(Duration::from_secs(s))), ["0s", "59s", "1h 1m", "3h 12m", "1day 1h"]);
    }
}
