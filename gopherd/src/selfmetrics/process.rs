//! What `/proc/self` says: the `process_*` families, under the names that Prometheus' clients share.

use super::{gauge, raise_seconds, register};
use prometheus::{Counter, IntGauge, Registry, Result};

/// What this process uses; a number is absent when the kernel does not tell it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system CPU time of all threads.
    pub cpu_ns: Option<u64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
}

/// What this process uses now.
pub fn usage() -> Usage {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let ns = |time: rustix::time::Timespec| {
        let seconds = u64::try_from(time.tv_sec).ok()?.checked_mul(1_000_000_000)?;
        seconds.checked_add(u64::try_from(time.tv_nsec).ok()?)
    };
    let resident = procfs::process::Process::myself().and_then(|process| process.statm());
    let bytes = |pages: u64| pages.saturating_mul(procfs::page_size());
    Usage { cpu_ns: ns(cpu), resident_bytes: resident.ok().map(|statm| bytes(statm.resident)) }
}

/// What the kernel says about this process.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu: Counter,
    resident: IntGauge,
    virtual_memory: IntGauge,
    fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start: IntGauge,
}

impl ProcessMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        let cpu = Counter::new("process_cpu_seconds_total", "User and system CPU time spent.");
        Ok(Self {
            cpu: register(registry, cpu)?,
            resident: gauge("process_resident_memory_bytes", "Resident memory.")?,
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory.")?,
            fds: gauge("process_open_fds", "Open file descriptors.")?,
            max_fds: gauge("process_max_fds", "Most file descriptors that may be open.")?,
            threads: gauge("process_threads", "Threads.")?,
            start: gauge("process_start_time_seconds", "Start of the process, Unix time.")?,
        })
    }

    /// Brings all up to date. What cannot be read stays as it was.
    pub(super) fn read(&self) {
        if let Err(error) = self.try_read() {
            tracing::debug!(%error, "/proc/self cannot be read");
        }
    }

    #[allow(clippy::cast_precision_loss)] // ticks of one process
    fn try_read(&self) -> procfs::ProcResult<()> {
        let process = procfs::process::Process::myself()?;
        let (stat, ticks) = (process.stat()?, procfs::ticks_per_second());
        raise_seconds(&self.cpu, (stat.utime + stat.stime) as f64 / ticks as f64);
        self.resident.set(gauge(stat.rss.saturating_mul(procfs::page_size())));
        self.virtual_memory.set(gauge(stat.vsize));
        self.threads.set(stat.num_threads);
        self.start.set(gauge(procfs::boot_time_secs()? + stat.starttime / ticks.max(1)));
        self.fds.set(gauge(process.fd_count()?));
        if let procfs::process::LimitValue::Value(max) = process.limits()?.max_open_files.soft_limit {
            self.max_fds.set(gauge(max));
        }
        Ok(())
    }
}
