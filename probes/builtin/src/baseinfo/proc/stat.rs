//! The texts of `/proc/<pid>`: `stat`, `io` and `limits`, each to the numbers that the table needs.

use probe_kit::scan;

/// What is used of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) ppid: u32,
    pub(super) pgid: u32,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    /// Clock ticks in user mode, those in a guest included.
    pub(super) user: u64,
    pub(super) system: u64,
    pub(super) children_user: u64,
    pub(super) children_system: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
    pub(super) cpu: u64,
    pub(super) guest: u64,
}

/// Reads `stat`. The name in parentheses may hold blanks and parentheses itself, so the fields are counted
/// from the last `)`. Field numbers as in proc_pid_stat(5).
pub(super) fn parse(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|b| *b == b')')?;
    let mut words = scan::words(text.get(end + 1..)?.trim_ascii_end());
    let mut stat = Stat::default();
    let _state = words.next()?;
    stat.ppid = next(&mut words)?; // 4
    stat.pgid = next(&mut words)?;
    // 6 to 9: session, tty, its group, flags
    stat.minor_faults = scan::number(words.nth(4)?)?; // 10
    stat.major_faults = scan::number(words.nth(1)?)?; // 12
    stat.user = scan::number(words.nth(1)?)?; // 14
    stat.system = scan::number(words.next()?)?;
    stat.children_user = scan::number(words.next()?)?;
    stat.children_system = scan::number(words.next()?)?;
    stat.priority = scan::signed(words.next()?)?; // 18
    stat.nice = scan::signed(words.next()?)?;
    stat.threads = scan::number(words.next()?)?; // 20
    stat.start_ticks = scan::number(words.nth(1)?)?; // 22
    stat.virtual_bytes = scan::number(words.next()?)?;
    stat.resident_pages = scan::number(words.next()?)?; // 24
    stat.cpu = scan::number(words.nth(14)?)?; // 39
    stat.guest = scan::number(words.nth(3)?)?; // 43
    Some(stat)
}

fn next<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Option<u32> {
    u32::try_from(scan::number(words.next()?)?).ok()
}

/// What is used of `/proc/<pid>/io`; all cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Io {
    pub(super) rchar: Option<u64>,
    pub(super) wchar: Option<u64>,
    pub(super) syscr: Option<u64>,
    pub(super) syscw: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) write_bytes: Option<u64>,
    pub(super) cancelled_write_bytes: Option<u64>,
}

impl Io {
    /// Reads `io`; a line that is not there leaves its number absent.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut io = Self::default();
        for (key, value) in scan::lines(text).filter_map(|line| scan::pair(line, b':')) {
            let field = match key {
                b"rchar" => &mut io.rchar,
                b"wchar" => &mut io.wchar,
                b"syscr" => &mut io.syscr,
                b"syscw" => &mut io.syscw,
                b"read_bytes" => &mut io.read_bytes,
                b"write_bytes" => &mut io.write_bytes,
                b"cancelled_write_bytes" => &mut io.cancelled_write_bytes,
                _ => continue,
            };
            *field = scan::number(value);
        }
        io
    }
}

/// The soft limit of open files in `limits`; `None` also if there is no limit.
pub(super) fn open_files_limit(text: &[u8]) -> Option<u64> {
    let rest = scan::lines(text).find_map(|line| line.strip_prefix(b"Max open files"))?;
    scan::number(scan::words(rest).next()?)
}

/// What holds of any text: who reads it through the kit reads the same.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    if let (Some(stat), Some(kit)) = (parse(bytes), probe_kit::stat::Stat::parse(bytes)) {
        let field = |number: usize| kit.words().nth(number - 3).and_then(scan::number);
        assert_eq!((field(4), field(22)), (Some(stat.ppid.into()), Some(stat.start_ticks)));
    }
    let _ = (Io::parse(bytes), open_files_limit(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    /// A line as the kernel writes it, with `name` as the process's name; numbered fields hold their number.
    fn line(name: &str) -> String {
        let fields: Vec<String> = (4..=52).map(|n: u32| n.to_string()).collect();
        format!("77 ({name}) S {}\n", fields.join(" "))
    }

    #[test]
    fn every_field_is_taken_from_its_place_whatever_the_name_is() {
        for name in ["cat", "a b", ") S 1 2", "((", ""] {
            let stat = parse(line(name).as_bytes()).expect("a stat");
            assert_eq!((stat.ppid, stat.pgid), (4, 5), "{name}");
            assert_eq!((stat.minor_faults, stat.major_faults), (10, 12));
            assert_eq!((stat.user, stat.system, stat.children_user, stat.children_system), (14, 15, 16, 17));
            assert_eq!((stat.priority, stat.nice, stat.threads, stat.start_ticks), (18, 19, 20, 22));
            assert_eq!((stat.virtual_bytes, stat.resident_pages, stat.cpu, stat.guest), (23, 24, 39, 43));
        }
    }

    #[test]
    fn priority_and_nice_may_be_negative() {
        let text = line("rt").replace(" 18 19 ", " -51 -20 ");
        let stat = parse(text.as_bytes()).expect("a stat");
        assert_eq!((stat.priority, stat.nice), (-51, -20));
    }

    #[test]
    fn io_and_limits_are_read_and_what_is_missing_is_absent() {
        let io = Io::parse(b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: x\n");
        assert_eq!((io.rchar, io.wchar, io.syscr, io.syscw), (Some(1), Some(2), Some(3), Some(4)));
        assert_eq!((io.read_bytes, io.write_bytes, io.cancelled_write_bytes), (Some(5), None, None));
        let limits = b"Limit   Soft Limit  Hard Limit  Units\nMax open files      1024     524288    files\n";
        assert_eq!(open_files_limit(limits), Some(1024));
        assert_eq!(open_files_limit(b"Max open files  unlimited  unlimited files\n"), None);
        assert_eq!(open_files_limit(b""), None);
    }

    #[test]
    fn the_running_kernels_texts_are_read() {
        let text = std::fs::read("/proc/self/stat").expect("stat");
        let stat = parse(&text).expect("a stat");
        assert!(stat.ppid > 0 && stat.start_ticks > 0 && stat.threads > 0 && stat.resident_pages > 0);
        let io = Io::parse(&std::fs::read("/proc/self/io").expect("io"));
        assert!(io.rchar > Some(0) && io.cancelled_write_bytes.is_some());
        assert!(open_files_limit(&std::fs::read("/proc/self/limits").expect("limits")) > Some(0));
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text: Vec<u8>, cut in any::<usize>()) {
            let _ = (parse(&text), Io::parse(&text), open_files_limit(&text));
            let good = line("x");
            let _ = parse(&good.as_bytes()[..cut % good.len()]);
        }
    }
}
