//! `mem`: the kernel's account of the host's memory, and its directory entry cache.
//!
//! Owns both tables and reads /proc/meminfo and /proc/sys/fs/dentry-state. A line that this kernel does not
//! print is absent, never 0.

use super::Reader;
use probe_core::{Batch, Env, Row, Tick, table};
use probe_kit::kept::KeptFile;
use probe_kit::scan::{lines, number, pair, signed, words};

table! {
    /// The host's memory.
    pub(crate) struct MemRow = "system_meminfo", entity "mem", sub_probe "mem" {
        keys { infos }
        labels { }
        gauge total_kB: Kibibytes = "Memory that the kernel manages, /proc/meminfo MemTotal.";
        gauge free_kB: Kibibytes = "Memory that is not used at all, MemFree.";
        gauge available_kB: Kibibytes = "Memory that could be had without swapping, MemAvailable.";
        gauge util: Percent = "Share of MemTotal that is neither MemFree nor Buffers nor Cached.";
        gauge buffers_kB: Kibibytes = "Memory of block device buffers, Buffers.";
        gauge cache_kB: Kibibytes = "Memory of the page cache, Cached.";
        gauge active_kB: Kibibytes = "Pages used recently, Active.";
        gauge inactive_kB: Kibibytes = "Pages that are taken back first, Inactive.";
        gauge swap_total_kB: Kibibytes = "Size of all swap areas, SwapTotal.";
        gauge swap_free_kB: Kibibytes = "Unused swap, SwapFree.";
        gauge swap_util: Percent = "Used share of the swap, 0 on a host without swap.";
        gauge slab_kB: Kibibytes = "Memory of kernel objects, Slab.";
        gauge SReclaimable_kB: Kibibytes = "Kernel objects that can be taken back, SReclaimable.";
        gauge Unreclaim_kB: Kibibytes = "Kernel objects that cannot be taken back, SUnreclaim.";
        gauge page_kB: Kibibytes = "Memory of page tables, PageTables.";
        gauge vmalloc_kB: Kibibytes = "Memory allocated with vmalloc, VmallocUsed; /proc/vmallocinfo is not summed up, for its mappings of device memory are none and reading it is costly.";
        gauge stack_kB: Kibibytes = "Memory of kernel stacks, KernelStack.";
        gauge active_anon_kB: Kibibytes = "Anonymous pages used recently, Active(anon).";
        gauge inactive_anon_kB: Kibibytes = "Anonymous pages that are swapped out first, Inactive(anon).";
        gauge active_file_kB: Kibibytes = "File pages used recently, Active(file).";
        gauge inactive_file_kB: Kibibytes = "File pages that are dropped first, Inactive(file).";
        gauge mlocked: Kibibytes = "Memory that processes have locked, Mlocked.";
        gauge big_page_kB: Kibibytes = "Size of the pool of huge pages, HugePages_Total times Hugepagesize.";
        gauge shmem_kB: Kibibytes = "Shared memory and tmpfs, Shmem.";
    }
}

table! {
    /// The directory entry cache.
    pub(crate) struct DentryRow = "system_dentry", entity "mem", sub_probe "mem" {
        keys { infos }
        labels { }
        gauge dentry: Count = "Directory entries in the cache, /proc/sys/fs/dentry-state column 1.";
        gauge unused_dentry: Count = "Cached directory entries that nothing uses, column 2.";
        gauge age_limit: Seconds = "Age after which entries are taken back when memory is short, column 3.";
    }
}

/// The reader of `mem`.
pub(crate) struct Mem {
    meminfo: KeptFile,
    dentry: KeptFile,
    buf: Vec<u8>,
}

impl Mem {
    /// Reads through `env`.
    pub(crate) fn boxed(env: &Env) -> Box<dyn Reader> {
        Box::new(Self {
            meminfo: KeptFile::new(env.proc.join("meminfo")),
            dentry: KeptFile::new(env.proc.join("sys/fs/dentry-state")),
            buf: Vec::new(),
        })
    }
}

impl Reader for Mem {
    fn missing(&mut self) -> Vec<String> {
        super::unreadable(&mut self.meminfo, &mut self.buf)
    }

    fn read(&mut self, _: Tick, out: &mut Batch) {
        match self.meminfo.read(&mut self.buf) {
            Ok(text) => meminfo(text).host(out),
            Err(_) => out.skip("unreadable", 1),
        }
        match self.dentry.read(&mut self.buf) {
            Ok(text) => dentry_state(text).host(out),
            Err(_) => out.skip("unreadable", 1),
        }
    }

    fn memory(&self) -> u64 {
        self.buf.capacity() as u64
    }
}

#[allow(clippy::cast_precision_loss)] // memory sizes in kB are far below 2^52
fn meminfo(text: &[u8]) -> MemRow {
    let mut row = MemRow { infos: "/proc/meminfo".into(), ..MemRow::default() };
    let (mut huge_pages, mut huge_page_kb) = (None, None);
    for line in lines(text) {
        let Some((key, rest)) = pair(line, b':') else { continue };
        let value = words(rest).next().and_then(number).map(|v| v as f64);
        let slot = match key {
            b"MemTotal" => &mut row.total_kB,
            b"MemFree" => &mut row.free_kB,
            b"MemAvailable" => &mut row.available_kB,
            b"Buffers" => &mut row.buffers_kB,
            b"Cached" => &mut row.cache_kB,
            b"Active" => &mut row.active_kB,
            b"Inactive" => &mut row.inactive_kB,
            b"SwapTotal" => &mut row.swap_total_kB,
            b"SwapFree" => &mut row.swap_free_kB,
            b"Slab" => &mut row.slab_kB,
            b"SReclaimable" => &mut row.SReclaimable_kB,
            b"SUnreclaim" => &mut row.Unreclaim_kB,
            b"PageTables" => &mut row.page_kB,
            b"VmallocUsed" => &mut row.vmalloc_kB,
            b"KernelStack" => &mut row.stack_kB,
            b"Active(anon)" => &mut row.active_anon_kB,
            b"Inactive(anon)" => &mut row.inactive_anon_kB,
            b"Active(file)" => &mut row.active_file_kB,
            b"Inactive(file)" => &mut row.inactive_file_kB,
            b"Mlocked" => &mut row.mlocked,
            b"Shmem" => &mut row.shmem_kB,
            b"HugePages_Total" => &mut huge_pages,
            b"Hugepagesize" => &mut huge_page_kb,
            _ => continue,
        };
        *slot = value;
    }
    row.big_page_kB = huge_pages.zip(huge_page_kb).map(|(pages, size)| pages * size);
    row.util = used_share(row.total_kB, &[row.free_kB, row.buffers_kB, row.cache_kB]);
    row.swap_util = match row.swap_total_kB {
        Some(0.0) => Some(0.0),
        total => used_share(total, &[row.swap_free_kB]),
    };
    row
}

/// Percent of `total` that is none of `unused`; `None` if one of them is not known. The kernel sums its
/// per-CPU counts without a lock, so the parts may come out larger than the whole by a little.
fn used_share(total: Option<f64>, unused: &[Option<f64>]) -> Option<f64> {
    let total = total.filter(|total| *total > 0.0)?;
    let unused = unused.iter().try_fold(0.0, |sum, part| Some(sum + (*part)?))?;
    Some(((total - unused) / total * 100.0).clamp(0.0, 100.0))
}

#[allow(clippy::cast_precision_loss)] // counts of directory entries are far below 2^52
fn dentry_state(text: &[u8]) -> DentryRow {
    let mut columns = words(text.trim_ascii()).map(|word| signed(word).map(|v| v as f64));
    let mut next = || columns.next().flatten();
    DentryRow { infos: "fs.dentry-state".into(), dentry: next(), unused_dentry: next(), age_limit: next() }
}

/// What holds of any text: shares are percent.
#[cfg(any(test, feature = "testing"))]
pub(super) fn any_bytes(bytes: &[u8]) {
    let row = meminfo(bytes);
    let shares = [row.util, row.swap_util];
    assert!(shares.into_iter().flatten().all(|share| (0.0..=100.0).contains(&share)), "{shares:?}");
    dentry_state(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe_kit::testing::{FakeHost, SeenRow, seen};
    use proptest::prelude::*;
    use std::time::SystemTime;

    fn read(env: &Env) -> Batch {
        let mut out = Batch::new(SystemTime::now());
        Mem::boxed(env).read(Tick { index: 0, elapsed: None, missed: 0 }, &mut out);
        out
    }

    fn row<'a>(rows: &'a [SeenRow], table: &str) -> &'a SeenRow {
        rows.iter().find(|row| row.table == table).expect("the row")
    }

    #[test]
    fn levels_and_shares_are_those_of_the_text() {
        let host = FakeHost::new();
        host.write(
            "proc/meminfo",
            "MemTotal:       1000 kB\nMemFree:         200 kB\nBuffers:          50 kB\nCached:          250 kB\n\
             SwapTotal:       400 kB\nSwapFree:        100 kB\nActive(anon):     77 kB\nMlocked: 5 kB\n\
             VmallocUsed:     12 kB\nHugePages_Total:   3\nHugepagesize:    2048 kB\nSlab: 8 kB",
        );
        host.write("proc/sys/fs/dentry-state", "53245\t-2\t45\t0\t7\t0\n");
        let rows = seen(&read(&host.env()));
        let mem = row(&rows, "system_meminfo");
        assert_eq!(mem.label("infos"), Some("/proc/meminfo"));
        assert_eq!(mem.get("util"), Some(50.0));
        assert_eq!(mem.get("swap_util"), Some(75.0));
        assert_eq!(mem.get("active_anon_kB"), Some(77.0));
        assert_eq!(mem.get("big_page_kB"), Some(6144.0));
        assert_eq!(mem.get("vmalloc_kB"), Some(12.0));
        assert_eq!(mem.get("active_kB"), None, "a line that is not there is absent");
        let dentry = row(&rows, "system_dentry");
        assert_eq!(dentry.label("infos"), Some("fs.dentry-state"));
        assert_eq!(
            ["dentry", "unused_dentry", "age_limit"].map(|c| dentry.get(c)),
            [Some(53245.0), Some(-2.0), Some(45.0)]
        );
    }

    #[test]
    fn a_host_without_swap_uses_none_of_it() {
        let row = meminfo(b"SwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!((row.swap_util, row.util), (Some(0.0), None));
    }

    #[test]
    fn missing_files_are_counted_and_the_start_names_them() {
        let host = FakeHost::new();
        assert_eq!(read(&host.env()).skipped(), [("unreadable", 2)]);
        let missing = Mem::boxed(&host.env()).missing();
        assert!(missing[0].contains("proc/meminfo"), "{missing:?}");
    }

    #[test]
    fn this_hosts_total_is_the_kernels_and_its_free_memory_lies_between_two_readings() {
        let field = |name: &[u8]| {
            let text = std::fs::read("/proc/meminfo").expect("meminfo");
            let line = lines(&text).find_map(|line| pair(line, b':').filter(|(key, _)| *key == name));
            let (_, rest) = line.expect("the line");
            words(rest).next().and_then(number).expect("a number") as f64
        };
        let rows = seen(&read(&Env::default()));
        let mem = row(&rows, "system_meminfo");
        assert_eq!(mem.get("total_kB"), Some(field(b"MemTotal")));
        assert_eq!(mem.get("swap_total_kB"), Some(field(b"SwapTotal")));
        let util = mem.get("util").expect("present");
        assert!((0.0..=100.0).contains(&util), "{util}");
        assert!(row(&rows, "system_dentry").get("dentry").is_some_and(|n| n > 0.0));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(bytes: Vec<u8>, text in "(MemTotal|SwapTotal|Cached|:|[0-9 -]{0,20}|kB|\n){0,40}") {
            for text in [&bytes[..], text.as_bytes()] {
                let row = meminfo(text);
                prop_assert!(row.util.is_none_or(|share| (0.0..=100.0).contains(&share)));
                let _ = dentry_state(text);
            }
        }
    }
}
