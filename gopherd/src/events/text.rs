//! The words of an event, pure: a text's places filled in, numbers as people read them, and the local time as
//! `asctime` writes it.

use chrono::TimeZone;
use std::fmt::{Display, Write as _};

/// Longest body, in bytes.
pub(super) const MAX_BODY: usize = 511;

/// Appends `template`, each `{name}` replaced by what `value` writes for it; one that it does not know stays as it is.
pub(super) fn fill(template: &str, out: &mut String, mut value: impl FnMut(&str, &mut String) -> bool) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        if !value(name, out) {
            let _ = write!(out, "{{{name}}}");
        }
        rest = after;
    }
    out.push_str(rest);
}

/// Appends a number with at most two decimals.
pub(super) fn number(value: f64, out: &mut String) {
    if value.fract() == 0.0 {
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, "{value:.0}");
        return;
    }
    let start = out.len();
    let _ = write!(out, "{value:.2}");
    let shown = out.get(start..).unwrap_or_default().trim_end_matches('0').trim_end_matches('.').len();
    out.truncate(start + shown);
}

/// `Sun Aug 21 21:22:25 2022`.
pub(super) fn asctime<Z: TimeZone>(unix_ms: u64, zone: &Z, out: &mut String)
where
    Z::Offset: Display,
{
    let time = i64::try_from(unix_ms).ok().and_then(|ms| zone.timestamp_millis_opt(ms).earliest());
    match time {
        Some(time) => {
            let _ = write!(out, "{}", time.format("%a %b %e %H:%M:%S %Y"));
        }
        None => out.push('-'),
    }
}

/// Cuts `text` to `max` bytes, between characters.
pub(super) fn cut(text: &mut String, max: usize) {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{FixedOffset, Utc};
    use proptest::prelude::*;

    fn filled(template: &str) -> String {
        let mut out = String::new();
        fill(template, &mut out, |name, out| {
            out.push_str(name.to_uppercase().as_str());
            name != "no" && !name.is_empty()
        });
        out
    }

    #[test]
    fn places_are_filled_and_what_is_no_place_stays() {
        assert_eq!(filled("{value} of {disk}."), "VALUE of DISK.");
        assert_eq!(filled("a {b"), "a {b");
        assert_eq!(filled("满 {value} %"), "满 VALUE %");
        assert_eq!(filled("}{"), "}{");
    }

    #[test]
    fn numbers_have_as_many_decimals_as_they_need() {
        for (value, text) in
            [(93.456, "93.46"), (80.0, "80"), (0.5, "0.5"), (-0.0, "-0"), (12.345e6, "12345000")]
        {
            let mut out = String::from("x");
            number(value, &mut out);
            assert_eq!(out, format!("x{text}"));
        }
    }

    #[test]
    fn the_time_is_local_as_asctime_writes_it() {
        let shown = |offset: i32| {
            let mut out = String::new();
            asctime(1_661_088_145_250, &FixedOffset::east_opt(offset).expect("an offset"), &mut out);
            out
        };
        assert_eq!(shown(8 * 3600), "Sun Aug 21 21:22:25 2022");
        assert_eq!(shown(0), "Sun Aug 21 13:22:25 2022");
        let mut early = String::new();
        asctime(0, &Utc, &mut early);
        assert_eq!(early, "Thu Jan  1 00:00:00 1970");
        let mut odd = String::new();
        asctime(u64::MAX, &Utc, &mut odd);
        assert_eq!(odd, "-");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_short_and_the_beginning_of_the_whole(text in ".{0,200}", max in 0usize..100) {
            let mut cut_text = text.clone();
            cut(&mut cut_text, max);
            prop_assert!(cut_text.len() <= max && text.starts_with(&cut_text));
            prop_assert!(text.len() <= max || cut_text.len() + 4 > max);
        }

        #[test]
        fn any_template_is_filled_without_a_panic(template in ".{0,80}") {
            filled(&template);
        }
    }
}
