// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: the garbage collections of CPython in each process in scope. Attached to each interpreter that such
 * a process has mapped: to the function that collects, or, in one without symbols, to its probes.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wsign-compare" /* not ours */
#include <bpf/usdt.bpf.h>
#pragma clang diagnostic pop

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_pygc.h"

#define PROCESSES 4096

/* Threads that collect at a time. */
#define COLLECTING 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COLLECTING);
	__type(key, uint32_t); /* thread */
	__type(value, uint64_t); /* since when */
} collecting SEC(".maps");

PROC_PROCESSES(struct proc_pygc, PROCESSES, 0);

static __always_inline void unread(struct proc_pygc *process)
{
}

PROC_FUNCTIONS(unread)

static __always_inline int begins(void)
{
	uint64_t thread_group = bpf_get_current_pid_tgid(), now;
	uint32_t thread = (uint32_t)thread_group;

	if (!gopher_in_scope(thread_group >> 32))
		return 0;
	now = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&collecting, &thread, &now, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
	return 0;
}

static __always_inline int ends(void)
{
	uint64_t now = bpf_ktime_get_ns(), thread_group = bpf_get_current_pid_tgid();
	uint32_t thread = (uint32_t)thread_group;
	uint64_t *since = bpf_map_lookup_elem(&collecting, &thread);
	struct proc_pygc *process;

	if (!since)
		return 0;
	process = proc_of(thread_group >> 32, (struct task_struct *)bpf_get_current_task());
	if (process)
		proc_add_time(&process->collection, now - *since);
	bpf_map_delete_elem(&collecting, &thread);
	return 0;
}

SEC("?uprobe")
int collection_begins(void *context)
{
	return begins();
}

SEC("?uretprobe")
int collection_ends(void *context)
{
	return ends();
}

SEC("?usdt")
int collection_begins_usdt(void *context)
{
	return begins();
}

SEC("?usdt")
int collection_ends_usdt(void *context)
{
	return ends();
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
