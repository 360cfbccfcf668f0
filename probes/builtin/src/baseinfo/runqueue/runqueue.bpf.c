// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `runqueue`: how long tasks could have run and did not, by the cgroup that has their shares of the CPUs.
 *
 * These programs run at every wake-up and every switch of the host, with a run queue locked. So nothing here
 * allocates: since when a task waits lies in storage that it got when it was made (or, of those that were
 * there before, from an iterator), the maps are made whole at load, and each CPU counts for itself.
 * Interrupts are off, hence plain additions.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/cgroup.bpf.h>
#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>

#include "runqueue.h"

#define TASK_RUNNING 0

/* What a task's storage has instead of a time once it has begun to run, or sleeps; 0 at first. */
#define SINCE_RUN 1

/* Since when a task can run and does not, in ns of CLOCK_MONOTONIC. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, uint64_t);
} since SEC(".maps");

/* The same for kernels without it, by pid: there is an entry while a task waits. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RUNQUEUE_WAITING);
	__type(key, uint32_t);
	__type(value, uint64_t);
} since_by_pid SEC(".maps");

/* By the id of the cgroup; an entry is made after that in `cgroups` and removed after it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, RUNQUEUE_CGROUPS);
	__type(key, uint64_t);
	__type(value, struct runqueue_waits);
} waits SEC(".maps");

/* By size, because skeletons have no arrays of more than 32. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RUNQUEUE_CGROUPS);
	__type(key, uint64_t);
	__uint(value_size, sizeof(struct runqueue_cgroup));
} cgroups SEC(".maps");

/* What a new entry of `cgroups` begins with; too large for the stack, and never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__uint(value_size, sizeof(struct runqueue_cgroup));
} blank SEC(".maps");

/* The bounds of the histogram in ns, those of the table. */
const volatile uint64_t wait_bounds[RUNQUEUE_BOUNDS] = {};

/* No more cgroups fit in: nobody tries until the probe has made room. */
uint32_t full = 0;

/* When these programs were attached: what was written before that is of another time. */
uint64_t attached_at = 0;

/* The cgroup that has the task's shares: of the cpu controller, or of v2 where the kernel has none. */
static __always_inline struct kernfs_node *share_cgroup(struct task_struct *task)
{
	struct css_set *set = task->cgroups;
	int64_t offset = gopher_css_offset(cpu_cgrp_id);
	struct cgroup_subsys_state *css;

	if (offset < 0)
		return set->dfl_cgrp->kn;
	css = *(struct cgroup_subsys_state **)((void *)set + offset);
	return css->cgroup->kn;
}

/* Makes the entries of a cgroup that has none, if there is room. */
static __always_inline struct runqueue_waits *enter(struct kernfs_node *node, uint64_t id)
{
	struct runqueue_waits none = {}, *entry;
	struct runqueue_cgroup *cgroup;
	uint32_t only = 0;
	void *empty = bpf_map_lookup_elem(&blank, &only);

	if (full || !empty)
		return NULL;
	/* Another CPU may do the same now. */
	bpf_map_update_elem(&cgroups, &id, empty, BPF_NOEXIST);
	cgroup = bpf_map_lookup_elem(&cgroups, &id);
	if (cgroup) {
		gopher_cgroup_path(cgroup->path, node);
		bpf_map_update_elem(&waits, &id, &none, BPF_NOEXIST);
	}
	entry = bpf_map_lookup_elem(&waits, &id);
	if (!entry)
		full = 1;
	return entry;
}

/*
 * The bucket of a time, by arithmetic: after a dozen branches, which gopher_hist_bucket has, the verifier
 * of 5.10 goes through all that follows for each combination of them, and gives up.
 */
static __always_inline uint32_t bucket_of(uint64_t waited)
{
	uint32_t bucket = 0;

#pragma unroll
	for (int i = 0; i < RUNQUEUE_BOUNDS; i++)
		bucket += (wait_bounds[i] - waited) >> 63;
	return bucket;
}

static __always_inline void count(struct task_struct *task, uint64_t waited)
{
	struct kernfs_node *node = share_cgroup(task);
	uint64_t id = node->id;
	struct runqueue_waits *entry = bpf_map_lookup_elem(&waits, &id);
	uint32_t bucket = bucket_of(waited);

	if (!entry)
		entry = enter(node, id);
	if (!entry || bucket >= RUNQUEUE_BUCKETS) {
		gopher_lose(GOPHER_LOST_MAP);
		return;
	}
	entry->sum += waited;
	entry->count[bucket] += 1;
}

/* Whether a task that has just left its CPU could go on: it was preempted, or gave way. */
static __always_inline int can_run(bool preempted, struct task_struct *task)
{
	return preempted || gopher_task_state(task) == TASK_RUNNING;
}

/* With storage. */

static __always_inline int woken_at(struct task_struct *task)
{
	uint64_t *at = bpf_task_storage_get(&since, task, NULL, 0);

	/* One that was preempted on its way to sleep waits already. */
	if (at && *at < attached_at)
		*at = bpf_ktime_get_ns();
	return 0;
}

SEC("?tp_btf/sched_wakeup")
int BPF_PROG(woken, struct task_struct *task)
{
	return woken_at(task);
}

SEC("?tp_btf/sched_wakeup_new")
int BPF_PROG(born, struct task_struct *task)
{
	return woken_at(task);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switched, bool preempted, struct task_struct *prev, struct task_struct *next)
{
	uint64_t now = bpf_ktime_get_ns(), begun, *at;

	/* A wake-up of a task that was running still is no beginning: what it left is overwritten. */
	if (prev->pid) {
		at = bpf_task_storage_get(&since, prev, NULL, 0);
		if (at)
			*at = can_run(preempted, prev) ? now : SINCE_RUN;
	}
	if (!next->pid)
		return 0;
	at = bpf_task_storage_get(&since, next, NULL, 0);
	begun = at ? *at : SINCE_RUN;
	if (begun == SINCE_RUN)
		gopher_lose(RUNQUEUE_LOST_BEGIN);
	else if (begun >= attached_at)
		count(next, now - begun);
	if (at)
		*at = SINCE_RUN;
	return 0;
}

/* Before the new task is woken, and where memory may be taken; of sched_process_fork, threads of io_uring are
 * not told. */
SEC("?tp_btf/task_newtask")
int BPF_PROG(made, struct task_struct *task)
{
	bpf_task_storage_get(&since, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

/* The tasks that are there. */
SEC("?iter/task")
int known_tasks(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;

	if (task)
		bpf_task_storage_get(&since, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

/* With the hash. */

static __always_inline void wait_by_pid(uint32_t pid, uint64_t now)
{
	if (bpf_map_update_elem(&since_by_pid, &pid, &now, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
}

static __always_inline int woken_pid(struct task_struct *task)
{
	uint32_t pid = task->pid;
	uint64_t *at = bpf_map_lookup_elem(&since_by_pid, &pid);

	if (!at || *at < attached_at)
		wait_by_pid(pid, bpf_ktime_get_ns());
	return 0;
}

SEC("?tp_btf/sched_wakeup")
int BPF_PROG(woken_by_pid, struct task_struct *task)
{
	return woken_pid(task);
}

SEC("?tp_btf/sched_wakeup_new")
int BPF_PROG(born_by_pid, struct task_struct *task)
{
	return woken_pid(task);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switched_by_pid, bool preempted, struct task_struct *prev, struct task_struct *next)
{
	uint64_t now = bpf_ktime_get_ns(), *at;
	uint32_t pid = prev->pid;

	if (pid) {
		if (can_run(preempted, prev))
			wait_by_pid(pid, now);
		else
			bpf_map_delete_elem(&since_by_pid, &pid);
	}
	pid = next->pid;
	at = pid ? bpf_map_lookup_elem(&since_by_pid, &pid) : NULL;
	if (at) {
		if (*at >= attached_at)
			count(next, now - *at);
		bpf_map_delete_elem(&since_by_pid, &pid);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
