//! Pressure stall information, as /proc/pressure and the cgroups' `*.pressure` have it. Pure.

use crate::scan::{float, lines, number, pair, words};

/// One line: how long tasks could not go on for want of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Share of the last 10 s, %.
    pub avg10: Option<f64>,
    /// Share of the last 60 s, %.
    pub avg60: Option<f64>,
    /// Share of the last 300 s, %.
    pub avg300: Option<f64>,
    /// All of it so far, nanoseconds; the kernel tells microseconds.
    pub total_ns: Option<u64>,
}

/// One file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Time in which some task waited.
    pub some: Stall,
    /// Time in which all that could have run waited at once; older kernels do not tell it of the CPU.
    pub full: Stall,
}

/// Takes a file apart; what it does not have is absent.
pub fn parse(text: &[u8]) -> Pressure {
    let mut pressure = Pressure::default();
    for line in lines(text) {
        let mut parts = words(line);
        let stall = match parts.next() {
            Some(b"some") => &mut pressure.some,
            Some(b"full") => &mut pressure.full,
            _ => continue,
        };
        for (name, value) in parts.filter_map(|part| pair(part, b'=')) {
            match name {
                b"avg10" => stall.avg10 = float(value),
                b"avg60" => stall.avg60 = float(value),
                b"avg300" => stall.avg300 = float(value),
                b"total" => stall.total_ns = number(value).and_then(|us| us.checked_mul(1000)),
                _ => {}
            }
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_lines_are_read_and_microseconds_become_nanoseconds() {
        let text =
            b"some avg10=18.73 avg60=19.69 avg300=9.95 total=46234237\nfull avg10=0.00 avg60=1 avg300=x total=7\n";
        let pressure = parse(text);
        let some = Stall {
            avg10: Some(18.73),
            avg60: Some(19.69),
            avg300: Some(9.95),
            total_ns: Some(46_234_237_000),
        };
        assert_eq!(pressure.some, some);
        let full = Stall { avg10: Some(0.0), avg60: Some(1.0), avg300: None, total_ns: Some(7000) };
        assert_eq!(pressure.full, full);
    }

    #[test]
    fn what_is_not_there_is_absent() {
        assert_eq!(parse(b""), Pressure::default());
        assert_eq!(parse(b"some avg10=1.5 tot").some.total_ns, None);
        assert_eq!(parse(b"some total=18446744073709551615\n").some.total_ns, None, "no number of ns");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(bytes: Vec<u8>, text in "(some|full| avg10=| total=|[0-9.]{1,22}|\n){0,20}") {
            let _ = (parse(&bytes), parse(text.as_bytes()));
        }
    }
}
