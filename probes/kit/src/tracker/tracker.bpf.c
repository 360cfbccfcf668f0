// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Processes as they begin, execute, take another name, move and end. Threads are no processes: a fork counts
 * if it makes a group leader, a name if the leader has it, an end if it is the last thread's.
 *
 * Whoever waits for the ring is woken by what can bring a process into a scope: an exec, a name, a move, the
 * fork of a process that is in some scope. The other forks and the ends wait for the next of these, or for
 * the reader's own look.
 *
 * What can be concluded of its scope without the reader is concluded here, before it is told.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/early.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "tracker.h"

GOPHER_RING(events, 1024 * 1024);

/* What was seen, by enum tracker_kind: told and lost together. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACKER_KINDS);
	__type(key, uint32_t);
	__type(value, uint64_t);
} seen SEC(".maps");

static __always_inline void count(uint32_t kind)
{
	uint64_t *sum = bpf_map_lookup_elem(&seen, &kind);

	if (sum)
		*sum += 1;
}

/* A record of `kind` about the process of `task`; NULL, and counted as lost, if there is no room. */
static __always_inline struct tracker_event *about(const struct task_struct *task, uint32_t tgid,
						   uint32_t kind)
{
	struct tracker_event *event;

	count(kind);
	event = gopher_ring_reserve(&events, sizeof(*event));
	if (!event)
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->tgid = tgid;
	event->start_ticks = gopher_start_ticks(task);
	return event;
}

static __always_inline void tell(struct tracker_event *event, int urgent)
{
	if (urgent)
		bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	else
		gopher_ring_submit(&events, event, sizeof(*event));
}

static __always_inline void tell_early(struct tracker_event *event, const struct gopher_conclusion *early)
{
	event->early = early->features;
	event->early_since = early->since;
}

/* What holds of a process that has the name `comm` from now on, if `kept` of what held before still does. */
static __always_inline void conclude(const struct gopher_rules *rules, const struct task_struct *task,
				     uint64_t kept, const uint8_t comm[16], struct gopher_conclusion *early)
{
	uint32_t tgid = task->tgid;
	uint64_t features = (gopher_early_of(tgid) & kept) | gopher_named(comm);

	if (tgid == rules->own || (uint32_t)BPF_CORE_READ(task, real_parent, tgid) == rules->own)
		features = 0;
	gopher_conclude(tgid, features, TRACKER_LOST_EARLY, early);
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	const struct gopher_rules *rules = gopher_any_rules();
	struct gopher_conclusion early = {};
	struct tracker_event *event;
	struct mm_struct *mm;
	uint8_t comm[16] = {};

	/* By address: a string of the kernel may have leftovers behind its NUL. */
	BPF_CORE_READ_STR_INTO(&comm, task, comm);
	if (rules)
		conclude(rules, task, rules->by_place, comm, &early);
	event = about(task, task->tgid, TRACKER_EXEC);
	if (!event)
		return 0;
	tell_early(event, &early);
	event->ppid = BPF_CORE_READ(task, real_parent, tgid);
	__builtin_memcpy(event->comm, comm, sizeof(comm));
	mm = BPF_CORE_READ(task, mm);
	event->start_code = BPF_CORE_READ(mm, start_code);
	event->start_stack = BPF_CORE_READ(mm, start_stack);
	event->arg_start = BPF_CORE_READ(mm, arg_start);
	tell(event, 1);
	return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	const struct gopher_rules *rules = gopher_any_rules();
	struct gopher_conclusion early = {};
	struct tracker_event *event;
	uint8_t comm[16] = {}, forker_comm[16] = {};
	uint32_t forker, ppid;
	int moved;

	count(TRACKER_ALL_FORKS);
	if (child->pid != child->tgid)
		return 0;
	forker = parent->tgid;
	ppid = BPF_CORE_READ(child, real_parent, tgid);
	moved = BPF_CORE_READ(child, cgroups) != BPF_CORE_READ(parent, cgroups);
	BPF_CORE_READ_STR_INTO(&comm, child, comm);
	if (rules) {
		uint64_t features = 0;

		BPF_CORE_READ_STR_INTO(&forker_comm, parent, group_leader, comm);
		if (ppid != rules->own)
			features = gopher_of_child(rules, forker, forker_comm, comm, moved);
		gopher_conclude(child->tgid, features, TRACKER_LOST_EARLY, &early);
	}
	event = about(child, child->tgid, TRACKER_FORK);
	if (!event)
		return 0;
	tell_early(event, &early);
	event->forker = forker;
	event->ppid = ppid;
	event->moved = moved;
	__builtin_memcpy(event->comm, comm, sizeof(comm));
	tell(event, bpf_map_lookup_elem(&gopher_scope, &forker) != NULL);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct tracker_event *event;

	/* Threads that live; the one that ends is not among them any more. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	event = about(task, task->tgid, TRACKER_EXIT);
	if (event)
		tell(event, 0);
	return 0;
}

SEC("?tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *comm)
{
	const struct gopher_rules *rules = gopher_any_rules();
	struct gopher_conclusion early = {};
	struct tracker_event *event;
	uint8_t name[16] = {};

	/* The name of an exec comes with the exec. */
	if (task->pid != task->tgid || gopher_in_execve(task))
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), comm);
	if (rules)
		conclude(rules, task, rules->by_place, name, &early);
	event = about(task, task->tgid, TRACKER_COMM);
	if (!event)
		return 0;
	tell_early(event, &early);
	__builtin_memcpy(event->comm, name, sizeof(name));
	tell(event, 1);
	return 0;
}

SEC("?tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *to, const char *path, struct task_struct *task)
{
	const struct gopher_rules *rules = gopher_any_rules();
	struct gopher_conclusion early = {};
	struct tracker_event *event;
	uint8_t name[16] = {};

	/* A single thread can be moved too, which moves no process. */
	if (task->pid != task->tgid)
		return 0;
	if (rules) {
		BPF_CORE_READ_STR_INTO(&name, task, comm);
		conclude(rules, task, rules->by_name, name, &early);
	}
	event = about(task, task->tgid, TRACKER_CGROUP);
	if (!event)
		return 0;
	tell_early(event, &early);
	tell(event, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
