//! The tables of `container`. Names that gala-gopher forwarded from cAdvisor keep their meaning there; a `_total` is
//! what the kernel has counted since the cgroup was made.

use probe_core::table;

table! {
    /// CPU time.
    pub(crate) struct Cpu = "container_cpu", entity "container", sub_probe "cpu" {
        keys { container_id }
        labels { }
        counter cpu_usage_seconds_total: SecondsOfNanoseconds = "CPU time of all CPUs, cpu.stat (v1: cpuacct.usage).";
        counter cpu_user_seconds_total: SecondsOfNanoseconds = "CPU time in user mode, cpu.stat (v1: cpuacct.usage_user).";
        counter cpu_system_seconds_total: SecondsOfNanoseconds = "CPU time in the kernel, cpu.stat (v1: cpuacct.usage_sys).";
        counter cpu_cfs_throttled_seconds_total: SecondsOfNanoseconds = "Time in which the container might not run because its quota was used up, cpu.stat.";
        counter cpu_cfs_periods_total: Count = "Periods of the CPU quota that have ended, cpu.stat.";
        counter cpu_cfs_throttled_periods_total: Count = "Periods in which the quota was used up, cpu.stat.";
    }
}

table! {
    /// Memory.
    pub(crate) struct Memory = "container_memory", entity "container", sub_probe "memory" {
        keys { container_id }
        labels { }
        gauge memory_cache: Bytes = "Page cache, memory.stat file (v1: total_cache).";
        gauge memory_mapped_file: Bytes = "Files mapped into memory, memory.stat file_mapped (v1: total_mapped_file).";
        gauge memory_rss: Bytes = "Anonymous memory, memory.stat anon (v1: total_rss).";
        gauge memory_usage_bytes: Bytes = "All memory that is charged to the container, memory.current (v1: memory.usage_in_bytes).";
        gauge memory_working_set_bytes: Bytes = "Usage less inactive page cache: what cannot be taken back without harm.";
        gauge memory_limit_bytes: Bytes = "The limit, memory.max (v1: memory.limit_in_bytes); absent without one.";
    }
}

table! {
    /// OOM kills.
    pub(crate) struct Oom = "container_oom", entity "container", sub_probe "memory" {
        keys { container_id }
        labels { }
        counter oom_events_total: Count = "Processes that were killed for want of memory, memory.events oom_kill (v1: memory.oom_control, of the container's own cgroup).";
    }
}

table! {
    /// What the memory controller did.
    pub(crate) struct MemoryEvents = "container_memory_events", entity "container", sub_probe "memory" {
        keys { container_id }
        labels { }
        counter memory_events_low_total: Count = "Times memory was reclaimed although usage was below memory.low, memory.events.";
        counter memory_events_high_total: Count = "Times the container was throttled because usage was above memory.high, memory.events.";
        counter memory_events_max_total: Count = "Times usage was about to go over the limit, memory.events (v1: memory.failcnt).";
        counter memory_events_oom_total: Count = "Times an allocation failed at the limit, memory.events.";
        counter memory_events_oom_group_kill_total: Count = "Times the container was killed as a whole, memory.events; since Linux 5.17.";
    }
}

table! {
    /// File systems and block I/O.
    pub(crate) struct Fs = "container_fs", entity "container", sub_probe "fs" {
        keys { container_id }
        labels { }
        gauge fs_inodes_free: Count = "Free inodes of the file system that the container's root directory is on, statfs; asked once a minute.";
        gauge fs_inodes_total: Count = "Inodes of that file system, statfs; absent where it has no fixed number.";
        counter fs_read_seconds_total: SecondsOfNanoseconds = "Time that reads took, v1 blkio.io_service_time or blkio.bfq.io_service_time; only those schedulers count it.";
        counter fs_write_seconds_total: SecondsOfNanoseconds = "Time that writes took, likewise.";
        counter fs_reads_bytes_total: Bytes = "Bytes read from block devices, io.stat (v1: blkio.throttle.io_service_bytes); of stacked devices the lowest count.";
        counter fs_writes_bytes_total: Bytes = "Bytes written to block devices, likewise.";
        counter fs_reads_total: Count = "Reads from block devices, io.stat (v1: blkio.throttle.io_serviced).";
        counter fs_writes_total: Count = "Writes to block devices, likewise.";
    }
}

table! {
    /// Network devices.
    pub(crate) struct Network = "container_network", entity "container", sub_probe "network" {
        keys { container_id }
        labels { }
        counter network_receive_bytes_total: Bytes = "Bytes received by all devices but lo of the container's network namespace, /proc/<pid>/net/dev; absent with the host's namespace, and the same for all containers of a pod.";
        counter network_receive_errors_total: Count = "Receive errors, likewise.";
        counter network_receive_packets_dropped_total: Count = "Received packets that were dropped, likewise.";
        counter network_transmit_bytes_total: Bytes = "Bytes sent, likewise.";
        counter network_transmit_errors_total: Count = "Send errors, likewise.";
        counter network_transmit_packets_dropped_total: Count = "Packets to send that were dropped, likewise.";
    }
}

table! {
    /// When it began.
    pub(crate) struct Start = "container_start", entity "container", sub_probe "process" {
        keys { container_id }
        labels { }
        gauge start_time_seconds: Seconds = "When the container's oldest process began, Unix time, /proc/<pid>/stat.";
    }
}

table! {
    /// Processes and what they have open.
    pub(crate) struct Files = "container_file", entity "container", sub_probe "process" {
        keys { container_id }
        labels { }
        gauge file_descriptors: Count = "Open descriptors of all processes, cgroup.procs and /proc/<pid>/fd.";
        gauge processes: Count = "Processes, cgroup.procs of the container's cgroup and those below it.";
    }
}

table! {
    /// Pressure.
    pub(crate) struct Psi = "container_psi", entity "container", sub_probe "psi" {
        keys { container_id }
        labels { }
        counter pressure_cpu_waiting_seconds_total: SecondsOfNanoseconds = "Time in which some task waited for a CPU, cpu.pressure some.";
        counter pressure_cpu_stalled_seconds_total: SecondsOfNanoseconds = "Time in which all tasks waited for a CPU, cpu.pressure full; since Linux 5.13.";
        gauge pressure_cpu_waiting_avg10: Percent = "Share of the last 10 s in which some task waited for a CPU, cpu.pressure.";
        counter pressure_memory_waiting_seconds_total: SecondsOfNanoseconds = "Time in which some task waited for memory, memory.pressure some.";
        counter pressure_memory_stalled_seconds_total: SecondsOfNanoseconds = "Time in which all tasks waited for memory, memory.pressure full.";
        gauge pressure_memory_waiting_avg10: Percent = "Share of the last 10 s in which some task waited for memory, memory.pressure.";
        counter pressure_io_waiting_seconds_total: SecondsOfNanoseconds = "Time in which some task waited for I/O, io.pressure some.";
        counter pressure_io_stalled_seconds_total: SecondsOfNanoseconds = "Time in which all tasks waited for I/O, io.pressure full.";
        gauge pressure_io_waiting_avg10: Percent = "Share of the last 10 s in which some task waited for I/O, io.pressure.";
    }
}
