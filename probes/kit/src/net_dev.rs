//! /proc/net/dev into names and counts. Pure.

use crate::scan::{lines, number, pair, words};

/// The columns of /proc/net/dev that are reported; one that is no number is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// Packets received.
    pub rx_packets: Option<u64>,
    /// Receive errors.
    pub rx_errs: Option<u64>,
    /// Received packets that were dropped.
    pub rx_dropped: Option<u64>,
    /// Bytes sent.
    pub tx_bytes: Option<u64>,
    /// Packets sent.
    pub tx_packets: Option<u64>,
    /// Send errors.
    pub tx_errs: Option<u64>,
    /// Packets to send that were dropped.
    pub tx_dropped: Option<u64>,
}

/// Columns of the sending half begin here; both halves begin with bytes, packets, errs, drop.
const SENT: usize = 8;

/// The devices of `text`. A device's name ends at the colon, which may stand right before its first number;
/// the two lines of column heads have none.
pub fn devices(text: &[u8]) -> impl Iterator<Item = (&[u8], Counts)> {
    lines(text).filter_map(|line| pair(line, b':')).filter(|(name, _)| is_name(name)).map(|(name, rest)| {
        let mut columns = [None; SENT + 4];
        for (slot, word) in columns.iter_mut().zip(words(rest)) {
            *slot = number(word);
        }
        let [rx_bytes, rx_packets, rx_errs, rx_dropped, .., tx_bytes, tx_packets, tx_errs, tx_dropped] =
            columns;
        let counts =
            Counts { rx_bytes, rx_packets, rx_errs, rx_dropped, tx_bytes, tx_packets, tx_errs, tx_dropped };
        (name, counts)
    })
}

/// What the kernel allows as a device's name (at most 15 bytes); the name becomes part of a path.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() < 16
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_right_after_the_colon_is_the_first_column() {
        let text = b"Inter-|   Receive\n face |bytes    packets errs drop fifo\n  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13\n";
        let all: Vec<_> = devices(text).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0, b"eth0");
        assert_eq!((all[0].1.rx_bytes, all[0].1.rx_dropped), (Some(1), Some(4)));
        assert_eq!((all[0].1.tx_bytes, all[0].1.tx_dropped), (Some(9), Some(12)));
    }

    #[test]
    fn a_cut_line_has_what_it_has_and_a_name_that_is_a_path_is_no_device() {
        let text = b"eth0: 7 8\n../../etc: 1 2 3\n..: 1\n: 5\nabcdefghijklmnop: 1\n";
        let all: Vec<_> = devices(text).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].1.rx_packets, all[0].1.tx_bytes), (Some(8), None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_a_name_leave_its_directory(bytes: Vec<u8>, text in "([a-z./]{0,20}:|[ 0-9-]{0,30}|\n){0,30}") {
            for text in [&bytes[..], text.as_bytes()] {
                for (name, _) in devices(text) {
                    prop_assert!(!name.contains(&b'/') && name != b"..");
                }
            }
        }
    }
}
