// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `oom`, `hung_task` and `reclaim`: what the kernel did to a task, and how long tasks waited for memory.
 *
 * Who a task is and where it is charged is read here and now: a killed process may be gone before user space
 * can look. All of this is rare, so a record wakes the reader at once.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/cgroup.bpf.h>
#include <gopher/core_fixes.bpf.h>
#include <gopher/hist.bpf.h>
#include <gopher/ring.bpf.h>

#include "trouble.h"

#define SIGKILL 9
#define PF_KTHREAD 0x00200000

/* Of enum mm_counters, which is no type that is known by name. */
#define FILE_PAGES 0
#define ANON_PAGES 1
#define SHMEM_PAGES 3

/* Some forty events. */
GOPHER_RING(events, 64 * 1024);

/* Whom the running task has just sent SIGKILL; only for kernels whose mark_victim tells no more than a pid.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, uint32_t);
	__type(value, uint64_t);
} killed SEC(".maps");

struct stall_key {
	uint32_t pid;
	uint32_t stall;
};

/* Since when a task waits. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct stall_key);
	__type(value, uint64_t);
} begun SEC(".maps");

/* struct trouble_stalls by the id of the memory cgroup. By size, because skeletons have no arrays of more
 * than 32. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TROUBLE_CGROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint64_t);
	__uint(value_size, sizeof(struct trouble_stalls));
} stalls SEC(".maps");

/* The bounds of the histograms in ns, those of the table. */
const volatile uint64_t stall_bounds[TROUBLE_BOUNDS] = {};

/* What a new entry begins with; too large for the stack, and never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__uint(value_size, sizeof(struct trouble_stalls));
} blank SEC(".maps");

/* The cgroup that memory of the task is charged to; NULL where the kernel has no memory controller. */
static __always_inline struct cgroup_subsys_state *memory_css(const struct task_struct *task)
{
	struct cgroup_subsys_state *css = NULL;
	const void *set = BPF_CORE_READ(task, cgroups);
	int64_t offset = gopher_css_offset(memory_cgrp_id);

	if (!set || offset < 0)
		return NULL;
	bpf_probe_read_kernel(&css, sizeof(css), set + offset);
	return css;
}

/* Its directory; of the v2 hierarchy where the kernel has no memory controller. */
static __always_inline struct kernfs_node *directory(const struct task_struct *task,
						     const struct cgroup_subsys_state *css)
{
	if (css)
		return BPF_CORE_READ(css, cgroup, kn);
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
}

static __always_inline void write_side(struct trouble_side *side, const struct task_struct *task)
{
	const struct cgroup_subsys_state *css = memory_css(task);
	const struct mm_struct *mm = BPF_CORE_READ(task, mm);

	side->zero = 0;
	side->start_ticks = gopher_start_ticks(task);
	side->pid = BPF_CORE_READ(task, pid);
	side->tgid = BPF_CORE_READ(task, tgid);
	side->oom_score_adj = BPF_CORE_READ(task, signal, oom_score_adj);
	bpf_probe_read_kernel_str(side->comm, sizeof(side->comm), BPF_CORE_READ(task, group_leader, comm));
	side->anon_pages = mm ? gopher_mm_pages(mm, ANON_PAGES) : 0;
	side->file_pages = mm ? gopher_mm_pages(mm, FILE_PAGES) : 0;
	side->shmem_pages = mm ? gopher_mm_pages(mm, SHMEM_PAGES) : 0;
	side->cgroup_pages = 0;
	side->cgroup_max_pages = 0;
	if (css) {
		const struct mem_cgroup *memcg =
			(const void *)css - bpf_core_field_offset(struct mem_cgroup, css);

		side->cgroup_pages = BPF_CORE_READ(memcg, memory.usage.counter);
		side->cgroup_max_pages = BPF_CORE_READ(memcg, memory.max);
	}
	gopher_cgroup_path(side->path, directory(task, css));
}

/* A task of which the pid is all that is known. */
static __always_inline void write_pid(struct trouble_side *side, uint32_t pid)
{
	side->start_ticks = 0;
	side->anon_pages = 0;
	side->file_pages = 0;
	side->shmem_pages = 0;
	side->cgroup_pages = 0;
	side->cgroup_max_pages = 0;
	side->pid = pid;
	side->tgid = 0;
	side->oom_score_adj = 0;
	side->zero = 0;
	side->comm[0] = 0;
	side->path[0][0] = 0;
}

static __always_inline struct trouble_event *begin(uint32_t kind)
{
	struct trouble_event *event = gopher_ring_reserve(&events, sizeof(*event));

	if (event) {
		event->at = bpf_ktime_get_ns();
		event->kind = kind;
		event->zero = 0;
	}
	return event;
}

/* The running task wanted memory when `victim` was chosen. */
static __always_inline int tell_victim(const struct task_struct *victim, uint32_t pid)
{
	struct task_struct *current = (struct task_struct *)bpf_get_current_task();
	struct trouble_event *event = begin(TROUBLE_OOM);

	if (!event)
		return 0;
	if (victim)
		write_side(&event->victim, victim);
	else
		write_pid(&event->victim, pid);
	write_side(&event->trigger, current);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(victim_marked, struct task_struct *victim)
{
	return tell_victim(victim, 0);
}

SEC("?tp_btf/signal_generate")
int BPF_PROG(victim_signalled, int sig, struct kernel_siginfo *info, struct task_struct *task)
{
	uint32_t sender = bpf_get_current_pid_tgid();
	uint64_t victim = (uint64_t)task;

	if (sig == SIGKILL)
		bpf_map_update_elem(&killed, &sender, &victim, BPF_ANY);
	return 0;
}

/* Before 6.10: the signal goes out right before this, from the same task. */
SEC("?tp_btf/mark_victim")
int BPF_PROG(victim_marked_by_pid, int pid)
{
	uint32_t sender = bpf_get_current_pid_tgid();
	uint64_t *found = bpf_map_lookup_elem(&killed, &sender);
	struct task_struct *victim = found ? (struct task_struct *)*found : NULL;

	if (!victim || BPF_CORE_READ(victim, pid) != pid)
		victim = (uint32_t)pid == sender ? (struct task_struct *)bpf_get_current_task() : NULL;
	return tell_victim(victim, pid);
}

SEC("?tp_btf/sched_process_hang")
int BPF_PROG(task_hangs, struct task_struct *task)
{
	struct trouble_event *event = begin(TROUBLE_HANG);

	if (!event)
		return 0;
	write_side(&event->victim, task);
	write_pid(&event->trigger, 0);
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline int stall_begins(uint32_t stall)
{
	struct stall_key key = {.pid = bpf_get_current_pid_tgid(), .stall = stall};
	const struct task_struct *current = (const void *)bpf_get_current_task();
	uint64_t now = bpf_ktime_get_ns();

	/* Threads of the kernel tidy up so that nobody has to wait. */
	if (BPF_CORE_READ(current, flags) & PF_KTHREAD)
		return 0;
	if (bpf_map_update_elem(&begun, &key, &now, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
	return 0;
}

static __always_inline int stall_ends(uint32_t stall)
{
	struct stall_key key = {.pid = bpf_get_current_pid_tgid(), .stall = stall};
	const struct task_struct *current = (const void *)bpf_get_current_task();
	uint64_t *since = bpf_map_lookup_elem(&begun, &key);
	struct trouble_stalls *entry, *empty;
	struct kernfs_node *node;
	uint32_t only = 0;
	uint64_t id, waited;

	if (!since)
		return 0;
	waited = bpf_ktime_get_ns() - *since;
	bpf_map_delete_elem(&begun, &key);
	node = directory(current, memory_css(current));
	id = BPF_CORE_READ(node, id);
	entry = bpf_map_lookup_elem(&stalls, &id);
	if (!entry) {
		empty = bpf_map_lookup_elem(&blank, &only);
		if (empty)
			bpf_map_update_elem(&stalls, &id, empty, BPF_NOEXIST);
		entry = bpf_map_lookup_elem(&stalls, &id);
		if (!entry) {
			gopher_lose(GOPHER_LOST_MAP);
			return 0;
		}
		gopher_cgroup_path(entry->path, node);
	}
	gopher_hist_add(&entry->hist[stall], gopher_hist_bucket(stall_bounds, TROUBLE_BOUNDS, waited),
			waited);
	return 0;
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(reclaim_begins)
{
	return stall_begins(TROUBLE_DIRECT);
}

SEC("?tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(reclaim_ends)
{
	return stall_ends(TROUBLE_DIRECT);
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(limit_begins)
{
	return stall_begins(TROUBLE_MEMCG);
}

SEC("?tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(limit_ends)
{
	return stall_ends(TROUBLE_MEMCG);
}

SEC("?tp_btf/mm_compaction_begin")
int BPF_PROG(compaction_begins)
{
	return stall_begins(TROUBLE_COMPACTION);
}

SEC("?tp_btf/mm_compaction_end")
int BPF_PROG(compaction_ends)
{
	return stall_ends(TROUBLE_COMPACTION);
}

char LICENSE[] SEC("license") = "GPL";
