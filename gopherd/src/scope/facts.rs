//! What selectors look at in one process, read from /proc. Leaves the set of all processes to `table` and
//! what it means to `rules`.

use crate::containers::{Place, Registry};
use probe_core::{Label, ProcKey};
use probe_kit::kept::{open, read_head, read_once, read_piece};
use probe_kit::scan;
use probe_kit::stat::Stat;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// This much of a command line is looked at, in bytes; the reference looks at as much.
pub(crate) const MAX_CMDLINE: usize = 4096;

/// A line of `stat` has less than 1 KiB.
const STAT: usize = 4096;

/// So much of a list of cgroups is looked at: a line for each hierarchy, whose paths nest containers.
const MAX_CGROUPS: usize = 16 << 10;

/// What selectors look at in one process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProcFacts {
    /// Which process it is.
    pub(crate) key: ProcKey,
    /// Its parent's pid.
    pub(crate) ppid: u32,
    /// Its name, at most 15 bytes but for kernel workers; invalid UTF-8 replaced, a line end at its end cut.
    pub(crate) comm: Label,
    /// The first 4,096 bytes of its command line, arguments joined by blanks; empty for a kernel thread;
    /// `None` while no rule needs it.
    pub(crate) cmdline: Option<Box<str>>,
    /// The containers that it is in, the innermost first; `None` while nobody needs them.
    pub(crate) place: Option<Place>,
    /// Where the program's code, stack and arguments begin: other values after an exec. Zero where the
    /// kernel hides them, and for kernel threads.
    pub(super) image: [u64; 3],
    /// Its last thread has ended; only its number is still taken.
    pub(super) ended: bool,
}

impl ProcFacts {
    /// Whether the same process runs another program than it did in `before`. Without addresses to compare
    /// a new name has to do.
    pub(super) fn is_other_program(&self, before: &Self) -> bool {
        self.image != before.image || (self.image == [0; 3] && self.comm != before.comm)
    }
}

/// Reads processes below one /proc.
#[derive(Debug)]
pub(crate) struct Reader {
    root: PathBuf,
    buf: Vec<u8>,
}

impl Reader {
    /// For the /proc at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), buf: Vec::new() }
    }

    /// The /proc that is read.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything but the command line.
    pub(crate) fn stat(&mut self, pid: u32) -> io::Result<ProcFacts> {
        let file = open(&self.root.join(format!("{pid}/stat")))?;
        self.buf.resize(self.buf.len().max(STAT), 0);
        let line = read_piece(file, &mut self.buf)?.and_then(|text| parse(pid, text));
        line.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no stat line"))
    }

    /// The first `limit` bytes of the command line as they are, arguments ended by NUL.
    pub(crate) fn arguments(&mut self, pid: u32, limit: usize) -> io::Result<&[u8]> {
        read_head(&self.root.join(format!("{pid}/cmdline")), limit, &mut self.buf)
    }

    /// The command line as rules see it.
    pub(crate) fn cmdline(&mut self, pid: u32) -> io::Result<Box<str>> {
        Ok(joined(self.arguments(pid, MAX_CMDLINE)?).into())
    }

    /// The containers that the process is in. A kernel without cgroups has none.
    pub(crate) fn place(&mut self, pid: u32, registry: &Registry) -> io::Result<Place> {
        match read_head(&self.root.join(format!("{pid}/cgroup")), MAX_CGROUPS, &mut self.buf) {
            Ok(text) => Ok(registry.place(&String::from_utf8_lossy(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::from([])),
            Err(error) => Err(error),
        }
    }

    /// The process that has `pid` now. `None` for a thread that is no process: its `stat` can be read too.
    pub(crate) fn process(&mut self, pid: u32) -> Option<ProcKey> {
        let status = read_once(&self.root.join(format!("{pid}/status")), &mut self.buf).ok()?;
        let tgid = scan::lines(status).find_map(|line| line.strip_prefix(b"Tgid:"))?;
        if scan::number(tgid.trim_ascii()) != Some(u64::from(pid)) {
            return None;
        }
        self.stat(pid).ok().map(|facts| facts.key)
    }

    /// The daemon's own pid as this /proc numbers it.
    pub(crate) fn own_pid(&self) -> Option<u32> {
        std::fs::read_link(self.root.join("self")).ok()?.to_str()?.parse().ok()
    }
}

/// Arguments joined by blanks, without those at the end: programs that write a title over their arguments
/// leave a tail of NULs.
pub(crate) fn joined(arguments: &[u8]) -> String {
    let mut text = arguments.to_vec();
    text.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
    String::from_utf8_lossy(text.trim_ascii_end()).into_owned()
}

/// Whether `error` says that the process has ended.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Takes the line apart; the numbers are field numbers of proc_pid_stat(5).
fn parse(pid: u32, text: &[u8]) -> Option<ProcFacts> {
    let stat = Stat::parse(text)?;
    let is_zombie = matches!(stat.words().next(), Some(b"Z" | b"X"));
    let mut words = stat.words().map(scan::number);
    let ppid = u32::try_from(words.nth(4 - 3)??).ok()?;
    // A leader that ended before its other threads is a zombie too, of a process that lives.
    let threads = words.nth(20 - 4 - 1)??;
    let start_ticks = words.nth(22 - 20 - 1)??;
    // The kernel shows 1 instead of an address that the reader may not see.
    let start_code = words.nth(26 - 22 - 1).flatten().filter(|at| *at != 1).unwrap_or(0);
    let start_stack = words.nth(28 - 26 - 1).flatten().unwrap_or(0);
    let arg_start = words.nth(48 - 28 - 1).flatten().unwrap_or(0);
    Some(ProcFacts {
        key: ProcKey { tgid: pid, start_ticks },
        ppid,
        comm: shown(scan::text(stat.comm)),
        cmdline: None,
        place: None,
        image: [start_code, start_stack, arg_start],
        ended: is_zombie && threads <= 1,
    })
}

/// A name as it is matched and shown: `echo name > /proc/<pid>/comm` makes the line end a part of it.
pub(super) fn shown(comm: Label) -> Label {
    match comm.strip_suffix('\n') {
        Some(name) => name.into(),
        None => comm,
    }
}

/// What holds of any text of `/proc/<pid>/stat`: who reads the line elsewhere reads the same.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    if let Some(facts) = parse(7, bytes) {
        let field = |number: usize| Stat::parse(bytes)?.words().nth(number - 3).and_then(scan::number);
        assert_eq!((field(4), field(22)), (Some(facts.ppid.into()), Some(facts.key.start_ticks)));
    }
    assert!(!joined(bytes).contains('\0'));
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::FakeHost;

    #[test]
    fn the_fields_are_those_of_the_real_file() {
        let line = b"42 (a) b (c) S 7 42 42 0 -1 4194304 99 0 1 0 0 0 0 0 20 0 1 0 167332 3133440 383 \
            18446744073709551615 94066154074112 94066154093993 140727081370768 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 \
            0 94066154110000 94066154111616 94066602819584 140727081372343 140727081372363 0 0 0\n";
        let facts = parse(42, line).expect("parses");
        assert_eq!(facts.key, ProcKey { tgid: 42, start_ticks: 167_332 });
        assert_eq!((facts.ppid, facts.comm.as_str()), (7, "a) b (c"));
        assert_eq!(facts.image, [94_066_154_074_112, 140_727_081_370_768, 140_727_081_372_343]);
    }

    #[test]
    fn a_process_whose_last_thread_has_ended_is_told_from_a_leader_that_ended_before_its_threads() {
        for (state, threads, ended) in
            [("S", 1, false), ("Z", 1, true), ("Z", 0, true), ("Z", 2, false), ("X", 1, true)]
        {
            let zeros = |n: usize| "0 ".repeat(n);
            let line = format!("7 (x) {state} 1 {}{threads} 0 70 0\n", zeros(15));
            let facts = parse(7, line.as_bytes()).expect("parses");
            assert_eq!((facts.ended, facts.key.start_ticks), (ended, 70), "{state} {threads}");
        }
    }

    #[test]
    fn a_line_that_is_cut_short_or_no_number_is_refused() {
        for bad in ["", "7 (x)", "7 (x) S", "7 (x) S -1 0", "7 (x) S 1 2 3", "7 (x) S 99999999999 0 0"] {
            assert_eq!(parse(7, bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn arguments_are_joined_by_blanks_and_a_tail_of_nuls_goes() {
        assert_eq!(joined(b"nginx: master\0\0\0\0"), "nginx: master");
        assert_eq!(joined(b"a\0\0b\0"), "a  b");
        assert_eq!(joined(b"\xff\xfe\0x\0"), "\u{fffd}\u{fffd} x");
        assert_eq!(joined(b""), "");
    }

    #[test]
    fn a_long_command_line_is_cut() {
        let host = FakeHost::new();
        host.write("proc/7/cmdline", vec![b'x'; 100_000]);
        let mut reader = Reader::new(&host.path("proc"));
        assert_eq!(reader.cmdline(7).expect("read").len(), MAX_CMDLINE);
    }

    #[test]
    fn a_thread_is_no_process() {
        let pid = std::process::id();
        let mut reader = Reader::new(Path::new("/proc"));
        let own = reader.process(pid).expect("this process");
        assert_eq!(own.tgid, pid);
        assert_eq!(reader.own_pid(), Some(pid));
        let other = std::thread::Builder::new()
            .spawn(move || {
                let tid = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).expect("positive");
                (tid, Reader::new(Path::new("/proc")).process(tid))
            })
            .expect("a thread");
        let (tid, found) = other.join().expect("ends");
        assert_ne!(tid, pid);
        assert_eq!(found, None);
    }
}
