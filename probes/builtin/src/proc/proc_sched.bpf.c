// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: how long the threads of each process in scope are off the CPU, wait for I/O, and wait for a CPU.
 *
 * One program on the switch of tasks. How long a thread was runnable without a CPU the kernel counts itself
 * (run_delay of /proc/<pid>/schedstat), so nothing is done when it is woken. Everything runs under the lock
 * of a run queue: maps are preallocated, and nothing here may allocate.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_sched.h"

#define PROCESSES 8192

/* Threads that are off the CPU or were seen on it. */
#define THREADS 32768

/* A thread, since it was first switched out. */
struct spell {
	uint64_t since; /* it left the CPU; 0: it is on one */
	uint64_t run_delay; /* that the kernel had counted then */
	uint64_t io_wait; /* it left to wait for I/O */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, THREADS);
	__type(key, uint32_t); /* of a thread */
	__type(value, struct spell);
} spells SEC(".maps");

PROC_PROCESSES(struct proc_sched, PROCESSES, 0);

static __always_inline void unread(struct proc_sched *process)
{
}

PROC_FUNCTIONS(unread)

/* What a thread has waited for the CPU that it leaves now was counted when it got it. */
static __always_inline void waited(struct task_struct *task, uint64_t ns)
{
	struct proc_sched *process = proc_of(task->tgid, task);

	if (process)
		proc_add_time(&process->run_queue, ns);
}

static __always_inline void leaves(struct task_struct *task, uint64_t now)
{
	uint32_t pid = task->pid;
	struct spell *spell = bpf_map_lookup_elem(&spells, &pid), first = {.since = now};
	uint64_t run_delay = gopher_run_delay(task), io_wait = BPF_CORE_READ_BITFIELD(task, in_iowait);

	if (spell) {
		if (run_delay > spell->run_delay)
			waited(task, run_delay - spell->run_delay);
		/* In place, which costs less than an update: nobody else writes to it while its thread is
		 * on a CPU. */
		spell->since = now;
		spell->run_delay = run_delay;
		spell->io_wait = io_wait;
		return;
	}
	first.run_delay = run_delay;
	first.io_wait = io_wait;
	if (bpf_map_update_elem(&spells, &pid, &first, BPF_ANY))
		gopher_lose(PROC_SCHED_LOST_SPELL);
}

static __always_inline void comes(struct task_struct *task, uint64_t now)
{
	uint32_t pid = task->pid, tgid = task->tgid;
	struct spell *spell = bpf_map_lookup_elem(&spells, &pid);
	struct proc_sched *process;

	if (!spell || !spell->since)
		return;
	process = proc_of(tgid, task);
	if (!process)
		return;
	proc_add_time(&process->off_cpu, now - spell->since);
	if (spell->io_wait)
		proc_add_time(&process->io_wait, now - spell->since);
	spell->since = 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	/* Threads of the kernel, which have no memory of their own, are no processes. */
	int out = prev->pid && prev->mm && gopher_in_scope(prev->tgid);
	int in = next->pid && next->mm && gopher_in_scope(next->tgid);
	uint64_t now;

	if (!out && !in)
		return 0;
	now = bpf_ktime_get_ns();
	if (out)
		leaves(prev, now);
	if (in)
		comes(next, now);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	/* It still leaves the CPU for the last time; without its memory it is not looked at then. */
	uint32_t pid = task->pid;

	bpf_map_delete_elem(&spells, &pid);
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
