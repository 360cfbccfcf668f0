//! The counters of network namespaces, from `/proc/<pid>/net/netstat` of a process that lives in each.
//!
//! Opened, read and closed at each reading: an open file would keep the namespace of a container alive that has
//! ended.

use super::bpf::listen_key;
use super::listeners::Place;
use probe_kit::scan::{number, words};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Namespaces that are read at a time; of further ones the overflows are absent, and they are counted.
const MAX_NAMESPACES: usize = 512;

/// More text than any kernel writes there: it is about 4 KiB.
const MAX_TEXT: u64 = 64 * 1024;

/// What a namespace has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Connections that found an accept queue full: ListenOverflows.
    pub(super) accept: u64,
    /// Requests that found a queue of handshakes full: TCPReqQFullDrop.
    pub(super) requests: u64,
}

/// Reads each namespace in which somebody listens, once; returns how many were left out as well.
pub(super) fn read_all(proc: &Path, places: &HashMap<listen_key, Place>) -> (HashMap<u32, Counters>, u64) {
    let mut windows: HashMap<u32, u32> = HashMap::new();
    for (key, place) in places {
        if let Some(tgid) = place.window {
            windows.entry(key.netns).or_insert(tgid);
        }
    }
    let left_out = windows.len().saturating_sub(MAX_NAMESPACES) as u64;
    let read = windows
        .into_iter()
        .take(MAX_NAMESPACES)
        // A window that has just ended is no loss: the next pass finds another.
        .filter_map(|(netns, tgid)| Some((netns, read(&proc.join(tgid.to_string()).join("net/netstat"))?)));
    (read.collect(), left_out)
}

fn read(path: &Path) -> Option<Counters> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut text).ok()?;
    parse(&text)
}

/// Two lines begin with `TcpExt:`, names and numbers; `None` without them.
fn parse(text: &[u8]) -> Option<Counters> {
    let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut counters = (None, None);
    for (name, value) in words(names).zip(words(numbers)) {
        match name {
            b"ListenOverflows" => counters.0 = number(value),
            b"TCPReqQFullDrop" => counters.1 = number(value),
            _ => {}
        }
    }
    Some(Counters { accept: counters.0?, requests: counters.1? })
}

/// What holds of any text: it has an answer.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    parse(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_counters_are_found_by_their_names() {
        let text =
            b"TcpExt: A ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 1 7 8 9\nIpExt: X\nIpExt: 3\n";
        assert_eq!(parse(text), Some(Counters { accept: 7, requests: 9 }));
        for bad in [&b""[..], b"TcpExt: ListenOverflows\n", b"TcpExt: ListenOverflows\nTcpExt: x\n"] {
            assert_eq!(parse(bad), None);
        }
    }

    #[test]
    fn this_kernel_has_them() {
        assert!(read(Path::new("/proc/self/net/netstat")).is_some());
    }
}
