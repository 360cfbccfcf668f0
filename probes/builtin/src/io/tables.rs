//! The tables.

use super::bpf;
use probe_core::table;

/// 10 µs to 10 s, where disks of every kind are: bounds of a stage's distribution, ns.
pub(super) const LATENCY: &[u64; bpf::IO_BOUNDS as usize] = &[
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

table! {
    /// How long requests of a device take.
    pub(super) struct IoLatency = "io_latency", entity "block", sub_probe "io_trace" {
        keys { major, first_minor }
        labels { blk_name, disk_name }
        gauge latency_req_max: Nanoseconds = "Longest request of the last period, from its birth to its end, request.start_time_ns to tracepoint block_rq_complete.";
        gauge latency_req_last: Nanoseconds = "Last request of the last period, like latency_req_max.";
        counter latency_req_sum: Nanoseconds = "All requests together, like latency_req_max.";
        gauge latency_req_jitter: Nanoseconds = "Largest change in the last period from one sample to the next on the same CPU, one sample each sample_period, like latency_req_max.";
        counter count_latency_req: Count = "Requests in latency_req_sum: reads, writes, discards and flushes.";
        gauge latency_driver_max: Nanoseconds = "Longest time in the last period until the driver had a request, request.start_time_ns to tracepoint block_rq_issue; absent of devices without requests.";
        gauge latency_driver_last: Nanoseconds = "Last request of the last period, like latency_driver_max.";
        counter latency_driver_sum: Nanoseconds = "All requests together, like latency_driver_max.";
        gauge latency_driver_jitter: Nanoseconds = "Largest change between samples, like latency_req_jitter, of latency_driver_max.";
        counter count_latency_driver: Count = "Requests in latency_driver_sum: those that the kernel gave a time of birth.";
        gauge latency_device_max: Nanoseconds = "Longest time in the last period from the driver's start to the end, tracepoints block_rq_issue, of a request that came back the last, and block_rq_complete; absent of devices without requests.";
        gauge latency_device_last: Nanoseconds = "Last request of the last period, like latency_device_max.";
        counter latency_device_sum: Nanoseconds = "All requests together, like latency_device_max.";
        gauge latency_device_jitter: Nanoseconds = "Largest change between samples, like latency_req_jitter, of latency_device_max.";
        counter count_latency_device: Count = "Requests in latency_device_sum.";
        histogram(LATENCY) req_latency_ns: Nanoseconds = "Distribution of all requests, like latency_req_max.";
        histogram(LATENCY) driver_latency_ns: Nanoseconds = "Distribution of all requests, like latency_driver_max.";
        histogram(LATENCY) device_latency_ns: Nanoseconds = "Distribution of all requests, like latency_device_max.";
    }
}

table! {
    /// Failed requests of a device.
    pub(super) struct IoErr = "io_err", entity "block", sub_probe "io_err" {
        keys { major, first_minor }
        labels { blk_name, disk_name }
        gauge err_code: None = "Error of the last request that failed as errno numbers it, 5 for EIO, tracepoint block_rq_complete.";
        counter err_count: Count = "Requests that failed, tracepoint block_rq_complete; commands of drivers and of user space are not among them.";
    }
}

table! {
    /// What requests of a device move.
    pub(super) struct IoCount = "io_count", entity "block", sub_probe "io_count" {
        keys { major, first_minor }
        labels { blk_name, disk_name }
        counter read_bytes: Bytes = "Bytes of reads that ended, as /sys/block/*/stat counts them, tracepoint block_rq_complete.";
        counter write_bytes: Bytes = "Bytes of writes that ended, as /sys/block/*/stat counts them, without discards, tracepoint block_rq_complete.";
    }
}

table! {
    /// What happens to the page cache of a device and of the file system on it.
    pub(super) struct IoPagecache = "io_pagecache", entity "block", sub_probe "page_cache" {
        keys { major, first_minor }
        labels { blk_name, disk_name }
        counter access_pagecache: Count = "Pages that reads looked up, tracepoint mm_filemap_get_pages (Linux 6.12); before, calls of folio_mark_accessed, which needs fentry.";
        counter mark_buffer_dirty: Count = "Buffers that became dirty, tracepoint block_dirty_buffer.";
        counter load_page_cache: Count = "Pages that came into the cache, tracepoint mm_filemap_add_to_page_cache.";
        counter mark_page_dirty: Count = "Pages that became dirty, tracepoints writeback_dirty_folio and, before Linux 5.18, writeback_dirty_page.";
    }
}
