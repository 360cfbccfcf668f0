//! What holds of the kit's parsers for any bytes, and how a target chooses among parsers. Panics when something does
//! not hold, which is what a fuzzer looks for.

use crate::{cgroup, conntrack, net_dev, netlink, pressure, scan, stat, tracker};
use std::path::{Component, Path};

/// What holds of one parser for any bytes.
pub type Check = fn(&[u8]);

/// Texts of the kernel.
pub const TEXTS: &[Check] = &[words, stat_line, pressure_file, devices, memberships];

/// Answers over netlink.
pub const NETLINK: &[Check] = &[netlink::any_bytes, conntrack::any_bytes];

/// Records of our own programs.
pub const RECORDS: &[Check] = &[tracker::event::any_bytes];

/// Does one of `checks` with what follows the first byte, which says which one: `a` the first, `b` the second.
pub fn choose(bytes: &[u8], checks: &[&[Check]]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let all: Vec<_> = checks.iter().copied().flatten().collect();
    let wanted = usize::from(first.wrapping_sub(b'a')).checked_rem(all.len());
    if let Some(check) = wanted.and_then(|wanted| all.get(wanted)) {
        check(rest);
    }
}

/// A record that begins with `bytes`; what is missing is zeros.
///
/// # Panics
/// Never: it has as many bytes as it takes.
#[allow(clippy::expect_used)]
pub fn record<T: zerocopy::FromBytes>(bytes: &[u8]) -> T {
    let mut whole = vec![0; size_of::<T>()];
    whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    T::read_from_bytes(&whole).expect("a whole record")
}

/// Numbers are what the standard library reads.
fn words(text: &[u8]) {
    for word in scan::lines(text).flat_map(scan::words) {
        // The kernel writes no plus.
        let plain = std::str::from_utf8(word).ok().filter(|word| !word.starts_with('+'));
        assert_eq!(scan::number(word), plain.and_then(|word| word.parse().ok()));
        assert!(scan::float(word).is_none_or(f64::is_finite));
        let _ = (scan::signed(word), scan::hex(word), scan::text(word));
        if let Some((key, value)) = scan::pair(word, b':') {
            assert!(key.len() + value.len() < word.len());
        }
    }
}

/// A line that is written again is read as the same.
fn stat_line(text: &[u8]) {
    let Some(read) = stat::Stat::parse(text) else { return };
    let words: Vec<_> = read.words().collect();
    let line = [b"1 (", read.comm, b") ", &words.join(&b' ')].concat();
    let again = stat::Stat::parse(&line);
    assert!(again.is_some_and(|again| again.comm == read.comm && again.words().eq(words)));
}

/// Shares are numbers.
fn pressure_file(text: &[u8]) {
    let pressure::Pressure { some, full } = pressure::parse(text);
    let shares = [some.avg10, some.avg60, some.avg300, full.avg10, full.avg60, full.avg300];
    assert!(shares.into_iter().flatten().all(f64::is_finite));
}

/// A name is one of a directory.
fn devices(text: &[u8]) {
    for (name, _) in net_dev::devices(text) {
        assert!((1..16).contains(&name.len()) && !name.contains(&b'/') && !name.contains(&0), "{name:?}");
    }
}

/// A path leads nowhere but down.
fn memberships(text: &[u8]) {
    for line in cgroup::memberships(text) {
        assert!(line.path.starts_with(b"/"));
        let Some(directory) = cgroup::directory(Path::new("/root"), line.path) else { continue };
        assert!(directory.starts_with("/root"));
        assert!(!directory.components().any(|part| part == Component::ParentDir), "{}", directory.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for check in TEXTS.iter().chain(NETLINK).chain(RECORDS) {
                check(&bytes);
            }
        }
    }

    #[test]
    fn the_first_byte_chooses() {
        fn fails(_: &[u8]) {
            panic!("chosen");
        }
        let choose = |bytes: &[u8]| choose(bytes, &[&[words], &[fails]]);
        choose(b"a1");
        choose(b"c1");
        choose(b"");
        assert!(std::panic::catch_unwind(|| choose(b"b")).is_err());
    }
}
