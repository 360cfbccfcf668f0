//! What failed, in words: codes of the block layer as errno, operations by name, and the event of one failure. Pure.

use super::bpf::io_failure;
use super::devices::{Place, major_minor};
use super::triggers::REQUEST_FAILED;
use probe_core::{Label, Occurrence, Subject};
use rustix::io::Errno;
use std::io;
use std::time::SystemTime;

/// How this kernel numbers the states of block requests that came after 5.10: one fewer since zones are not locked
/// any more (6.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// With BLK_STS_ZONE_RESOURCE.
    Older,
    /// Without it.
    Newer,
}

/// The errno of a code: an errno below zero (before 5.16) or a blk_status_t, which the kernel translates the same
/// way in blk_status_to_errno.
pub(super) fn errno(code: i32, numbering: Numbering) -> i32 {
    if code < 0 {
        return code.saturating_neg();
    }
    let after_13 = match numbering {
        Numbering::Older => code - 1,
        Numbering::Newer => code,
    };
    let errno = match code {
        1 => Errno::OPNOTSUPP,
        2 => Errno::TIMEDOUT,
        3 => Errno::NOSPC,
        4 => Errno::NOLINK,
        5 => Errno::REMOTEIO,
        6 => Errno::BADE,
        7 => Errno::NODATA,
        8 => Errno::ILSEQ,
        9 => Errno::NOMEM,
        11 => Errno::REMCHG,
        12 => Errno::AGAIN,
        13 => Errno::BUSY,
        19 => Errno::INVAL,
        _ => match after_13 {
            14 => Errno::TOOMANYREFS,
            15 => Errno::OVERFLOW,
            16 => Errno::NODEV,
            17 => Errno::TIME,
            _ => Errno::IO,
        },
    };
    errno.raw_os_error()
}

/// The kernel's text for an errno, without the number.
fn text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn operation(flags: u32) -> Label {
    match flags & 0xff {
        0 => "read".into(),
        1 => "write".into(),
        2 => "flush".into(),
        3 => "discard".into(),
        5 => "secure erase".into(),
        9 => "write zeroes".into(),
        other => format!("operation {other}").into(),
    }
}

fn comm(failure: &io_failure) -> Label {
    let end = failure.comm.iter().position(|byte| *byte == 0).unwrap_or(failure.comm.len());
    match &failure.comm[..end] {
        [] => "an unknown process".into(),
        name => String::from_utf8_lossy(name).into(),
    }
}

/// The event of a failure of the device at `place`.
pub(super) fn occurrence(
    failure: &io_failure,
    place: &Place,
    numbering: Numbering,
    at: SystemTime,
) -> Occurrence {
    let errno = errno(failure.code, numbering);
    let (major, minor) = major_minor(failure.device);
    let number = |number: u64| Label::from(number.to_string());
    Occurrence {
        trigger: REQUEST_FAILED,
        subject: Subject::Host,
        labels: vec![number(major.into()), number(minor.into()), place.name.clone(), place.disk.clone()],
        args: vec![
            ("op", operation(failure.operation)),
            ("size", number(failure.bytes.into())),
            ("sector", number(failure.sector)),
            ("comm", comm(failure)),
            ("pid", number(failure.tgid.into())),
            ("error", text(errno).into()),
            ("code", errno.to_string().into()),
        ],
        at,
    }
}

/// What holds of any record: under either numbering it is told with texts that can be shown.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let failure: io_failure = probe_kit::fuzz::record(bytes);
    for numbering in [Numbering::Older, Numbering::Newer] {
        let told = occurrence(&failure, &Place::unknown(failure.device), numbering, SystemTime::UNIX_EPOCH);
        assert!(told.args.iter().all(|(_, text)| !text.is_empty() && !text.contains('\0')), "{told:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_kernel_become_the_errno_that_the_kernel_means() {
        use Numbering::{Newer, Older};
        for (code, numbering, expected) in [
            (-5, Older, Errno::IO.raw_os_error()),
            (-28, Newer, Errno::NOSPC.raw_os_error()),
            (10, Older, Errno::IO.raw_os_error()),
            (3, Newer, Errno::NOSPC.raw_os_error()),
            (2, Newer, Errno::TIMEDOUT.raw_os_error()),
            (17, Older, Errno::NODEV.raw_os_error()),
            (16, Newer, Errno::NODEV.raw_os_error()),
            (18, Older, Errno::TIME.raw_os_error()),
            (17, Newer, Errno::TIME.raw_os_error()),
            (16, Older, Errno::OVERFLOW.raw_os_error()),
            (14, Newer, Errno::TOOMANYREFS.raw_os_error()),
            (14, Older, Errno::IO.raw_os_error()),
            (19, Newer, Errno::INVAL.raw_os_error()),
            (200, Newer, Errno::IO.raw_os_error()),
            (i32::MIN, Older, i32::MAX),
        ] {
            assert_eq!(errno(code, numbering), expected, "{code} {numbering:?}");
        }
    }

    #[test]
    fn a_failure_says_what_was_done_where_by_whom_and_what_came_of_it() {
        let mut failure = io_failure { device: 7 << 20 | 3, code: 10, bytes: 4096, ..io_failure::default() };
        (failure.sector, failure.operation, failure.tgid) = (2048, 1 | 1 << 11, 4711);
        failure.comm[..3].copy_from_slice(b"d\xffd");
        let told = occurrence(&failure, &Place::disk("loop3"), Numbering::Newer, SystemTime::UNIX_EPOCH);
        assert_eq!(told.labels, ["7", "3", "loop3", "loop3"]);
        let args: Vec<_> = told.args.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let expected = [
            ("op", "write"),
            ("size", "4096"),
            ("sector", "2048"),
            ("comm", "d\u{fffd}d"),
            ("pid", "4711"),
            ("error", "Input/output error"),
            ("code", "5"),
        ];
        assert_eq!(args, expected);
        let nobody = occurrence(&io_failure::default(), &Place::disk("x"), Numbering::Newer, told.at);
        assert!(nobody.args.contains(&("comm", "an unknown process".into())));
    }

    #[test]
    fn every_place_of_the_text_has_a_value() {
        let told =
            occurrence(&io_failure::default(), &Place::disk("x"), Numbering::Newer, SystemTime::UNIX_EPOCH);
        let table = told.trigger.table;
        for text in [told.trigger.text.en, told.trigger.text.zh] {
            for place in text.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                let label = table.keys.iter().chain(table.labels).any(|name| *name == place);
                assert!(label || told.args.iter().any(|(name, _)| *name == place), "{place}");
            }
        }
    }
}
