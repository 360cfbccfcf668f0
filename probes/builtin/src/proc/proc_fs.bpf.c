// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: how long ext4, overlayfs and tmpfs take for what each process in scope asks of them. By their own
 * functions, which takes trampolines or breakpoints; not every kernel lets anybody have those.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_fs.h"

#define PROCESSES 8192

/* Operations under way. */
#define UNDER_WAY 8192

#define TMPFS_MAGIC 0x01021994

/* An overlay calls the file system below it in the same thread. */
struct inside {
	uint32_t thread;
	uint32_t op;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, UNDER_WAY);
	__type(key, struct inside);
	__type(value, uint64_t); /* since when */
} under_way SEC(".maps");

PROC_PROCESSES(struct proc_fs, PROCESSES, 0);

static __always_inline void unread(struct proc_fs *process)
{
}

PROC_FUNCTIONS(unread)

static __always_inline int begins(uint32_t op)
{
	uint64_t thread_group = bpf_get_current_pid_tgid(), now;
	struct inside inside = {.thread = (uint32_t)thread_group, .op = op};

	if (!gopher_in_scope(thread_group >> 32))
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&under_way, &inside, &now, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
	return 0;
}

static __always_inline int ends(uint32_t op)
{
	uint64_t now = bpf_ktime_get_ns(), thread_group = bpf_get_current_pid_tgid();
	struct inside inside = {.thread = (uint32_t)thread_group, .op = op};
	uint64_t *since = bpf_map_lookup_elem(&under_way, &inside);
	struct proc_fs *process;

	if (!since)
		return 0;
	process = proc_of(thread_group >> 32, (struct task_struct *)bpf_get_current_task());
	if (process)
		proc_add_time(&process->of[op], now - *since);
	bpf_map_delete_elem(&under_way, &inside);
	return 0;
}

static __always_inline int is_tmpfs(const struct file *file)
{
	return BPF_CORE_READ(file, f_inode, i_sb, s_magic) == TMPFS_MAGIC;
}

#define OF_ANY(argument) 1
/* Functions that other file systems use too. */
#define OF_TMPFS_IO(argument) is_tmpfs(BPF_CORE_READ((const struct kiocb *)(argument), ki_filp))
#define OF_TMPFS_FILE(argument) is_tmpfs((const struct file *)(argument))

/* One function: by a trampoline, or by a breakpoint. */
#define OPERATION(name, function, op, is_meant)              \
	SEC("?fentry/" function)                             \
	int BPF_PROG(name##_begins, void *argument)          \
	{                                                    \
		return is_meant(argument) ? begins(op) : 0;  \
	}                                                    \
	SEC("?fexit/" function)                              \
	int BPF_PROG(name##_ends)                            \
	{                                                    \
		return ends(op);                             \
	}                                                    \
	SEC("?kprobe/" function)                             \
	int BPF_KPROBE(name##_begins_kprobe, void *argument) \
	{                                                    \
		return is_meant(argument) ? begins(op) : 0;  \
	}                                                    \
	SEC("?kretprobe/" function)                          \
	int BPF_KRETPROBE(name##_ends_kprobe)                \
	{                                                    \
		return ends(op);                             \
	}

OPERATION(ext4_read, "ext4_file_read_iter", PROC_FS_EXT4_READ, OF_ANY)
OPERATION(ext4_write, "ext4_file_write_iter", PROC_FS_EXT4_WRITE, OF_ANY)
OPERATION(ext4_open, "ext4_file_open", PROC_FS_EXT4_OPEN, OF_ANY)
OPERATION(ext4_flush, "ext4_sync_file", PROC_FS_EXT4_FLUSH, OF_ANY)
OPERATION(overlay_read, "ovl_read_iter", PROC_FS_OVERLAY_READ, OF_ANY)
OPERATION(overlay_write, "ovl_write_iter", PROC_FS_OVERLAY_WRITE, OF_ANY)
OPERATION(overlay_open, "ovl_open", PROC_FS_OVERLAY_OPEN, OF_ANY)
OPERATION(overlay_flush, "ovl_fsync", PROC_FS_OVERLAY_FLUSH, OF_ANY)
OPERATION(tmpfs_read, "shmem_file_read_iter", PROC_FS_TMPFS_READ, OF_ANY)
/* Its own from 6.6 on. */
OPERATION(tmpfs_write, "shmem_file_write_iter", PROC_FS_TMPFS_WRITE, OF_ANY)
OPERATION(generic_write, "generic_file_write_iter", PROC_FS_TMPFS_WRITE, OF_TMPFS_IO)
OPERATION(tmpfs_flush, "noop_fsync", PROC_FS_TMPFS_FLUSH, OF_TMPFS_FILE)

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
