//! Numbers as Prometheus reads them. Shortest text that reads back as the same number.

use probe_core::Unit;

/// Appends an integer.
pub(crate) fn integer(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a counter's value in its unit.
#[allow(clippy::cast_precision_loss)] // the fraction of a counter of 104 days is exact to a nanosecond, later to less
pub(crate) fn counter(value: u64, unit: Unit, out: &mut Vec<u8>) {
    match unit.parts() {
        1 => integer(value, out),
        parts => float(value as f64 / parts as f64, out),
    }
}

/// The whole numbers that an f64 holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a finite number: a whole one without a fraction, others in the shortest form (`1e20` for large
/// ones). The store lets no NaN or infinity in.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // within ±2^53 both are exact
pub(crate) fn float(value: f64, out: &mut Vec<u8>) {
    // There and back instead of `trunc`, which is a call into libm on the oldest x86-64.
    let whole = value as i64;
    if whole as f64 == value && value.abs() < EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        float(value, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn whole_numbers_have_no_fraction_and_others_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (3.0, "3"),
            (-7.5, "-7.5"),
            (0.1, "0.1"),
            (1e20, "1e20"),
            (1.5e-7, "1.5e-7"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn a_counter_of_nanoseconds_is_shown_in_seconds() {
        for (value, unit, expected) in [
            (1_500_000_000, Unit::SecondsOfNanoseconds, "1.5"),
            (1, Unit::SecondsOfNanoseconds, "1e-9"),
            (7_000_000_000, Unit::SecondsOfNanoseconds, "7"),
            (1_500_000_000, Unit::Nanoseconds, "1500000000"),
        ] {
            let mut out = Vec::new();
            counter(value, unit, &mut out);
            assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
        }
    }

    proptest! {
        #[test]
        fn every_finite_number_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().expect("a number"), value);
        }
    }
}
