//! The tables. A time that the catalogue names (`ns_read`) is the longest call that ended in the report period; what
//! happened since the entry was made is in the counters beside it.

probe_core::table! {
    /// All system calls of a process.
    pub(super) struct ProcSyscall = "proc_syscall", entity "proc", sub_probe "proc_syscall" {
        keys { tgid }
        labels { }
        counter syscall_failed: Count = "System calls that returned an error; tracepoint sys_exit.";
        counter syscall_count: Count = "System calls that returned; tracepoint sys_exit.";
    }
}

probe_core::table! {
    /// Calls that read, write and mount.
    pub(super) struct ProcSyscallIo = "proc_syscall_io", entity "proc", sub_probe "proc_io" {
        keys { tgid }
        labels { }
        gauge ns_mount: Nanoseconds = "Longest mount() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_umount: Nanoseconds = "Longest umount() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_read: Nanoseconds = "Longest read() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_write: Nanoseconds = "Longest write() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_fsync: Nanoseconds = "Longest fsync() or fdatasync() of the period; tracepoints sys_enter and sys_exit.";
        counter mount_calls: Count = "Calls of mount().";
        counter umount_calls: Count = "Calls of umount().";
        counter read_calls: Count = "Calls of read().";
        counter write_calls: Count = "Calls of write().";
        counter fsync_calls: Count = "Calls of fsync() and fdatasync().";
        counter mount_ns_total: Nanoseconds = "Time in mount().";
        counter umount_ns_total: Nanoseconds = "Time in umount().";
        counter read_ns_total: Nanoseconds = "Time in read().";
        counter write_ns_total: Nanoseconds = "Time in write().";
        counter fsync_ns_total: Nanoseconds = "Time in fsync() and fdatasync().";
    }
}

probe_core::table! {
    /// Calls that send and receive messages.
    pub(super) struct ProcSyscallNet = "proc_syscall_net", entity "proc", sub_probe "proc_net" {
        keys { tgid }
        labels { }
        gauge ns_sendmsg: Nanoseconds = "Longest sendmsg() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_recvmsg: Nanoseconds = "Longest recvmsg() of the period; tracepoints sys_enter and sys_exit.";
        counter sendmsg_calls: Count = "Calls of sendmsg().";
        counter recvmsg_calls: Count = "Calls of recvmsg().";
        counter sendmsg_ns_total: Nanoseconds = "Time in sendmsg().";
        counter recvmsg_ns_total: Nanoseconds = "Time in recvmsg().";
    }
}

probe_core::table! {
    /// Calls that wait.
    pub(super) struct ProcSyscallSched = "proc_syscall_sched", entity "proc", sub_probe "proc_syscall" {
        keys { tgid }
        labels { }
        gauge ns_sched_yield: Nanoseconds = "Longest sched_yield() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_futex: Nanoseconds = "Longest futex() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_epoll_wait: Nanoseconds = "Longest epoll_wait() of the period, which aarch64 has not; tracepoints sys_enter and sys_exit.";
        gauge ns_epoll_pwait: Nanoseconds = "Longest epoll_pwait() or epoll_pwait2() of the period; tracepoints sys_enter and sys_exit.";
        counter sched_yield_calls: Count = "Calls of sched_yield().";
        counter futex_calls: Count = "Calls of futex().";
        counter epoll_wait_calls: Count = "Calls of epoll_wait().";
        counter epoll_pwait_calls: Count = "Calls of epoll_pwait() and epoll_pwait2().";
        counter sched_yield_ns_total: Nanoseconds = "Time in sched_yield().";
        counter futex_ns_total: Nanoseconds = "Time in futex().";
        counter epoll_wait_ns_total: Nanoseconds = "Time in epoll_wait().";
        counter epoll_pwait_ns_total: Nanoseconds = "Time in epoll_pwait() and epoll_pwait2().";
    }
}

probe_core::table! {
    /// Calls that make processes and threads.
    pub(super) struct ProcSyscallFork = "proc_syscall_fork", entity "proc", sub_probe "proc_syscall" {
        keys { tgid }
        labels { }
        gauge ns_fork: Nanoseconds = "Longest fork() of the period, which aarch64 has not; tracepoints sys_enter and sys_exit.";
        gauge ns_vfork: Nanoseconds = "Longest vfork() of the period, which aarch64 has not; tracepoints sys_enter and sys_exit.";
        gauge ns_clone: Nanoseconds = "Longest clone() or clone3() of the period; tracepoints sys_enter and sys_exit.";
        counter fork_calls: Count = "Calls of fork().";
        counter vfork_calls: Count = "Calls of vfork().";
        counter clone_calls: Count = "Calls of clone() and clone3().";
        counter fork_ns_total: Nanoseconds = "Time in fork().";
        counter vfork_ns_total: Nanoseconds = "Time in vfork().";
        counter clone_ns_total: Nanoseconds = "Time in clone() and clone3().";
        counter forks: Count = "Processes that it made; tracepoint sched_process_fork.";
        counter thread_starts: Count = "Threads that it made; tracepoint sched_process_fork.";
    }
}

probe_core::table! {
    /// Calls of ioctl; the labels are those of the longest one of the period.
    pub(super) struct ProcSyscallIoctl = "proc_syscall_ioctl", entity "proc", sub_probe "proc_ioctl" {
        keys { tgid }
        labels { ioctl_fd, ioctl_dir, ioctl_type, ioctl_nr }
        gauge ioctl_size: Bytes = "Size of the argument of the longest ioctl of the period, as its number tells.";
        gauge ns_ioctl: Nanoseconds = "Longest ioctl of the period; tracepoints sys_enter and sys_exit.";
        counter ioctl_calls: Count = "Calls of ioctl().";
        counter ioctl_ns_total: Nanoseconds = "Time in ioctl().";
    }
}

probe_core::table! {
    /// Processes that ended before any report had a row of them, by name.
    pub(super) struct ProcEnded = "proc_ended", entity "proc_ended", sub_probe "proc_syscall" {
        keys { comm }
        labels { }
        counter processes: Count = "Processes of this name that ended within a report period; tracepoint sched_process_exit.";
        counter syscall_count: Count = "System calls that returned to them; tracepoint sys_exit.";
        counter syscall_failed: Count = "System calls of them that returned an error; tracepoint sys_exit.";
        counter forks: Count = "Processes that they made; tracepoint sched_process_fork.";
        counter thread_starts: Count = "Threads that they made; tracepoint sched_process_fork.";
    }
}

probe_core::table! {
    /// Time off the CPU; a spell is from when a thread leaves it to when it is back.
    pub(super) struct ProcCpu = "proc_cpu", entity "proc", sub_probe "proc_offcpu" {
        keys { tgid }
        labels { }
        gauge iowait_ns: Nanoseconds = "Longest spell off the CPU of the period in which a thread waited for I/O; tracepoint sched_switch.";
        gauge offcpu_ns: Nanoseconds = "Longest spell off the CPU of the period, for whatever reason; tracepoint sched_switch.";
        gauge runqueue_ns: Nanoseconds = "Longest wait of a runnable thread for a CPU in the period, told when it leaves that CPU; run_delay of the kernel's accounts.";
        counter offcpu_count: Count = "Spells off the CPU.";
        counter offcpu_ns_total: Nanoseconds = "Time off the CPU, of all threads.";
        counter iowait_count: Count = "Spells in which a thread waited for I/O.";
        counter iowait_ns_total: Nanoseconds = "Time off the CPU waiting for I/O, of all threads.";
        counter runqueue_ns_total: Nanoseconds = "Time that threads were runnable and had no CPU, told when they leave it; as in /proc/<pid>/schedstat.";
    }
}

probe_core::table! {
    /// Block I/O by the process that submits it; what the kernel writes back later is nobody's.
    pub(super) struct ProcIo = "proc_io", entity "proc", sub_probe "proc_io" {
        keys { tgid }
        labels { }
        counter less_4k_io_read: Count = "Reads of at most 4 KiB; tracepoint block_bio_queue.";
        counter less_4k_io_write: Count = "Writes of at most 4 KiB; tracepoint block_bio_queue.";
        counter greater_4k_io_read: Count = "Reads of more than 4 KiB; tracepoint block_bio_queue.";
        counter greater_4k_io_write: Count = "Writes of more than 4 KiB; tracepoint block_bio_queue.";
        gauge bio_latency: Nanoseconds = "Longest time from submission to end of those that ended in the period; tracepoints block_rq_complete and block_bio_complete.";
        counter bio_err_count: Count = "Those that failed; tracepoints block_rq_complete and block_bio_complete.";
        counter hang_count: Count = "Times that the kernel found a thread hanging; tracepoint sched_process_hang.";
        counter bio_count: Count = "Those that ended.";
        counter bio_latency_ns_total: Nanoseconds = "Time from submission to end, of all that ended.";
    }
}

probe_core::table! {
    /// Block I/O of processes that ended before any report had a row of them, by name.
    pub(super) struct ProcEndedIo = "proc_ended_io", entity "proc_ended", sub_probe "proc_io" {
        keys { comm }
        labels { }
        counter less_4k_io_read: Count = "Reads of at most 4 KiB; tracepoint block_bio_queue.";
        counter less_4k_io_write: Count = "Writes of at most 4 KiB; tracepoint block_bio_queue.";
        counter greater_4k_io_read: Count = "Reads of more than 4 KiB; tracepoint block_bio_queue.";
        counter greater_4k_io_write: Count = "Writes of more than 4 KiB; tracepoint block_bio_queue.";
        counter bio_err_count: Count = "Those that failed before their process ended.";
    }
}

probe_core::table! {
    /// Page cache and reclaim, by the process that causes it.
    pub(super) struct ProcPage = "proc_page", entity "proc", sub_probe "proc_pagecache" {
        keys { tgid }
        labels { }
        gauge reclaim_ns: Nanoseconds = "Longest time of the period in which it had to free memory itself; tracepoints mm_vmscan_direct_reclaim_begin and _end.";
        counter access_pagecache: Count = "Times that it marked pages as used; function folio_mark_accessed or mark_page_accessed.";
        counter mark_buffer_dirty: Count = "Buffers of block devices that it made dirty; tracepoint block_dirty_buffer.";
        counter load_page_cache: Count = "Pages that it brought into the page cache; tracepoint mm_filemap_add_to_page_cache.";
        counter mark_page_dirty: Count = "Pages that it made dirty; tracepoint writeback_dirty_folio or writeback_dirty_page.";
        counter reclaim_count: Count = "Times that it had to free memory itself.";
        counter reclaim_ns_total: Nanoseconds = "Time in which it freed memory itself, of all threads.";
    }
}

probe_core::table! {
    /// Garbage collections of a Python process.
    pub(super) struct ProcPygc = "proc_pygc", entity "proc", sub_probe "proc_pygc" {
        keys { tgid }
        labels { }
        counter python_gc: Count = "Garbage collections; uprobes on the function of CPython that collects, or its probes gc__start and gc__done.";
        counter latency_sum: Milliseconds = "Time in garbage collections.";
        gauge latency_max: Milliseconds = "Longest garbage collection of the period.";
    }
}

probe_core::table! {
    /// A name that a process looks up through the C library.
    pub(super) struct ProcDns = "proc_dns", entity "dns", sub_probe "proc_dns" {
        keys { tgid, domain }
        labels { }
        gauge delay_avg: Milliseconds = "Mean time of lookups of the period that found something; uprobes on getaddrinfo, gethostbyname and gethostbyname2.";
        gauge max_delay: Milliseconds = "Longest lookup of the period, whatever came of it.";
        gauge error_ratio: Ratio = "Part of the lookups of the period that failed.";
        counter count: Count = "Lookups.";
        counter error_count: Count = "Lookups that failed.";
    }
}

probe_core::table! {
    /// ext4's own functions.
    pub(super) struct ProcExt4 = "proc_ext4", entity "proc", sub_probe "proc_fs" {
        keys { tgid }
        labels { }
        gauge ns_ext4_read: Nanoseconds = "Longest read of the period; function ext4_file_read_iter.";
        gauge ns_ext4_write: Nanoseconds = "Longest write of the period; function ext4_file_write_iter.";
        gauge ns_ext4_open: Nanoseconds = "Longest open of the period; function ext4_file_open.";
        gauge ns_ext4_flush: Nanoseconds = "Longest sync of the period; function ext4_sync_file.";
    }
}

probe_core::table! {
    /// The overlay file system's own functions; the file systems below it are in them.
    pub(super) struct ProcOverlay = "proc_overlay", entity "proc", sub_probe "proc_fs" {
        keys { tgid }
        labels { }
        gauge ns_overlay_read: Nanoseconds = "Longest read of the period; function ovl_read_iter.";
        gauge ns_overlay_write: Nanoseconds = "Longest write of the period; function ovl_write_iter.";
        gauge ns_overlay_open: Nanoseconds = "Longest open of the period; function ovl_open.";
        gauge ns_overlay_flush: Nanoseconds = "Longest sync of the period; function ovl_fsync.";
    }
}

probe_core::table! {
    /// Functions that tmpfs uses, for its files alone.
    pub(super) struct ProcTmpfs = "proc_tmpfs", entity "proc", sub_probe "proc_fs" {
        keys { tgid }
        labels { }
        gauge ns_tmpfs_read: Nanoseconds = "Longest read of the period; function shmem_file_read_iter.";
        gauge ns_tmpfs_write: Nanoseconds = "Longest write of the period; function shmem_file_write_iter or generic_file_write_iter.";
        gauge ns_tmpfs_flush: Nanoseconds = "Longest sync of the period; function noop_fsync.";
    }
}

probe_core::table! {
    /// System calls by the kind of file system that their descriptor is on: what there is of file systems where the
    /// kernel lets nobody see their functions.
    pub(super) struct ProcFsCalls = "proc_fs_calls", entity "proc_fs", sub_probe "proc_fs" {
        keys { tgid, fs_type }
        labels { }
        gauge ns_read: Nanoseconds = "Longest read() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_write: Nanoseconds = "Longest write() of the period; tracepoints sys_enter and sys_exit.";
        gauge ns_fsync: Nanoseconds = "Longest fsync() or fdatasync() of the period; tracepoints sys_enter and sys_exit.";
        counter read_calls: Count = "Calls of read().";
        counter write_calls: Count = "Calls of write().";
        counter fsync_calls: Count = "Calls of fsync() and fdatasync().";
        counter read_ns_total: Nanoseconds = "Time in read().";
        counter write_ns_total: Nanoseconds = "Time in write().";
        counter fsync_ns_total: Nanoseconds = "Time in fsync() and fdatasync().";
    }
}
