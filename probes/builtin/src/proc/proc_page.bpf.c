// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: what each process in scope does with the page cache, and how long it has to free memory itself.
 *
 * Some of the tracepoints are under locks of the cache, so maps are preallocated.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_page.h"

#define PROCESSES 8192

/* Threads that free memory at a time. */
#define RECLAIMING 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RECLAIMING);
	__type(key, uint32_t); /* of a thread */
	__type(value, uint64_t); /* since when */
} reclaiming SEC(".maps");

PROC_PROCESSES(struct proc_page, PROCESSES, 0);

static __always_inline void unread(struct proc_page *process)
{
}

PROC_FUNCTIONS(unread)

/* The running process, if it is in scope and none of the kernel's threads. */
static __always_inline struct proc_page *current_process(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32;

	if (!tgid || !gopher_in_scope(tgid) || !BPF_CORE_READ(task, mm))
		return NULL;
	return proc_of(tgid, task);
}

#define COUNT(field, by)                                           \
	({                                                         \
		struct proc_page *process = current_process();     \
		if (process)                                       \
			__sync_fetch_and_add(&process->field, by); \
		0;                                                 \
	})

SEC("?tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(added, void *page)
{
	uint64_t pages = gopher_folio_pages(page);

	return COUNT(loaded, pages);
}

SEC("?tp_btf/writeback_dirty_folio")
int BPF_PROG(dirtied_folio, void *folio)
{
	uint64_t pages = gopher_folio_pages(folio);

	return COUNT(dirtied, pages);
}

/* Until 5.18. */
SEC("?tp_btf/writeback_dirty_page")
int BPF_PROG(dirtied_page, void *page)
{
	return COUNT(dirtied, 1);
}

SEC("?tp_btf/block_dirty_buffer")
int BPF_PROG(dirtied_buffer, void *buffer)
{
	return COUNT(buffers, 1);
}

/* No tracepoint tells this. */
SEC("?fentry/folio_mark_accessed")
int BPF_PROG(accessed_folio, void *folio)
{
	return COUNT(accessed, 1);
}

SEC("?fentry/mark_page_accessed")
int BPF_PROG(accessed_page, void *page)
{
	return COUNT(accessed, 1);
}

SEC("?kprobe/folio_mark_accessed")
int accessed_folio_kprobe(void *context)
{
	return COUNT(accessed, 1);
}

SEC("?kprobe/mark_page_accessed")
int accessed_page_kprobe(void *context)
{
	return COUNT(accessed, 1);
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(reclaim_begins)
{
	uint64_t thread_group = bpf_get_current_pid_tgid(), now;
	uint32_t thread = (uint32_t)thread_group;

	if (!gopher_in_scope(thread_group >> 32))
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&reclaiming, &thread, &now, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
	return 0;
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_ends)
{
	uint32_t thread = (uint32_t)bpf_get_current_pid_tgid();
	uint64_t *since = bpf_map_lookup_elem(&reclaiming, &thread);
	struct proc_page *process;

	if (!since)
		return 0;
	process = current_process();
	if (process)
		proc_add_time(&process->reclaim, bpf_ktime_get_ns() - *since);
	bpf_map_delete_elem(&reclaiming, &thread);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
