//! The kernel's text about CPUs into [`CpuNow`]s: /proc/stat says which CPUs there are, the other files
//! add to those. Pure; rows and columns that make no sense are passed over.

use super::times::Times;
use probe_kit::scan::{float, hex, lines, number, pair, words};

/// What the files say about one CPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CpuNow {
    /// Its number.
    pub(super) id: u32,
    /// Its times.
    pub(super) times: Times,
    /// In the order of [`SOFTIRQS`].
    pub(super) softirqs: [Option<u64>; 4],
    pub(super) backlog_drops: Option<u64>,
    pub(super) rps_count: Option<u64>,
    pub(super) mhz: Option<f64>,
}

/// The softirq rows that are reported.
const SOFTIRQS: [&[u8]; 4] = [b"RCU", b"TIMER", b"SCHED", b"NET_RX"];

/// Numbers of CPUs are below this, the kernel's own limit on any architecture; it bounds what is remembered.
const MAX_CPUS: u32 = 8192;

fn cpu_number(word: &[u8]) -> Option<u32> {
    number(word).and_then(|n| u32::try_from(n).ok()).filter(|id| *id < MAX_CPUS)
}

fn find(cpus: &mut [CpuNow], id: u32) -> Option<&mut CpuNow> {
    let at = cpus.binary_search_by_key(&id, |cpu| cpu.id).ok()?;
    cpus.get_mut(at)
}

fn times<'a>(words: impl Iterator<Item = &'a [u8]>) -> Times {
    let mut times = Times::default();
    for (slot, word) in times.0.iter_mut().zip(words) {
        *slot = number(word);
    }
    times
}

/// /proc/stat: the online CPUs into `cpus`, sorted by number; the result is the whole machine's line.
pub(super) fn stat(text: &[u8], cpus: &mut Vec<CpuNow>) -> Option<Times> {
    let mut total = None;
    for line in lines(text) {
        // The cpu lines come first; what follows can be long (one number an interrupt).
        let Some(rest) = line.strip_prefix(b"cpu") else { break };
        let mut words = words(rest);
        if rest.first() == Some(&b' ') {
            total = Some(times(words));
        } else if let Some(id) = words.next().and_then(cpu_number) {
            cpus.push(CpuNow { id, times: times(words), ..CpuNow::default() });
        }
    }
    cpus.sort_by_key(|cpu| cpu.id);
    cpus.dedup_by_key(|cpu| cpu.id);
    total
}

/// /proc/softirqs: its head names the CPU of each column, offline ones included.
pub(super) fn softirqs(text: &[u8], cpus: &mut [CpuNow]) {
    let mut lines = lines(text);
    let columns: Vec<Option<u32>> = lines
        .next()
        .map(|head| words(head).map(|word| word.strip_prefix(b"CPU").and_then(cpu_number)).collect())
        .unwrap_or_default();
    for line in lines {
        let Some((name, counts)) = pair(line, b':') else { continue };
        let Some(row) = SOFTIRQS.iter().position(|known| *known == name) else { continue };
        for (id, word) in columns.iter().zip(words(counts)) {
            if let Some(cpu) = id.and_then(|id| find(cpus, id)) {
                cpu.softirqs[row] = number(word);
            }
        }
    }
}

/// Column of /proc/net/softnet_stat that names the row's CPU, in kernels that print it.
const SOFTNET_CPU: usize = 12;

/// /proc/net/softnet_stat: one row an online CPU, in hexadecimal. Older kernels do not say which CPU a row
/// is; there the rows are taken in the order of the online CPUs, if there are as many of them.
pub(super) fn softnet(text: &[u8], cpus: &mut [CpuNow]) {
    let as_many = lines(text).count() == cpus.len();
    for (row, line) in lines(text).enumerate() {
        let mut columns = [None; SOFTNET_CPU + 1];
        for (slot, word) in columns.iter_mut().zip(words(line)) {
            *slot = hex(word);
        }
        let cpu = match columns[SOFTNET_CPU] {
            Some(id) => u32::try_from(id).ok().and_then(|id| find(cpus, id)),
            None if as_many => cpus.get_mut(row),
            None => None,
        };
        if let Some(cpu) = cpu {
            cpu.backlog_drops = columns[1];
            cpu.rps_count = columns[9];
        }
    }
}

/// /proc/cpuinfo: `cpu MHz` belongs to the `processor` above it.
pub(super) fn cpuinfo(text: &[u8], cpus: &mut [CpuNow]) {
    let mut id = None;
    for line in lines(text) {
        // Only these two of some 27 lines a CPU are split; the flags line alone has two thousand bytes.
        if line.starts_with(b"processor") {
            id = pair(line, b':').and_then(|(_, value)| cpu_number(value));
        } else if line.starts_with(b"cpu MHz") {
            let mhz = pair(line, b':').and_then(|(_, value)| float(value));
            if let Some(cpu) = id.and_then(|id| find(cpus, id)) {
                cpu.mhz = mhz.filter(|mhz| *mhz > 0.0);
            }
        }
    }
}

/// What holds of any text; the files are separated by NUL, in the order in which they are read here.
#[cfg(any(test, feature = "testing"))]
pub(in super::super) fn any_bytes(bytes: &[u8]) {
    let mut files = bytes.split(|byte| *byte == 0);
    let mut next = || files.next().unwrap_or_default();
    let mut cpus = Vec::new();
    stat(next(), &mut cpus);
    softirqs(next(), &mut cpus);
    softnet(next(), &mut cpus);
    cpuinfo(next(), &mut cpus);
    assert!(cpus.windows(2).all(|pair| pair[0].id < pair[1].id), "a CPU is there twice");
    assert!(cpus.iter().all(|cpu| cpu.id < MAX_CPUS && cpu.mhz.is_none_or(|mhz| mhz > 0.0)));
}
