// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Programs of the kit's own tests: an event for each exec, a count of execs in scope, an iterator over tasks,
 * sums over open files, and one that no kernel loads.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/hist.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>
#include <gopher/sock.bpf.h>

#include "selftest.h"

/* Events are sent for each of them; out of scope ones are only counted. */
const volatile uint32_t send_events = 1;

/* Small, so that a test can fill it. */
GOPHER_RING(events, 4096);

/* Execs by tgid, in scope. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, uint32_t);
	__type(value, uint64_t);
} execs SEC(".maps");

/* All execs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} totals SEC(".maps");

/* Only for the program that is never loaded: a kind of map that 5.10 lacks. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, uint64_t);
} storage SEC(".maps");

/* TCP sockets of the file iterator with this port at either end, by tuple. */
const volatile uint16_t wanted_port = 0;
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct gopher_tuple);
	__type(value, uint64_t);
} tuples SEC(".maps");

uint32_t number = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct hist_cases);
} hist_cases SEC(".maps");

const volatile uint64_t hist_bounds[3] = {10, 100, 1000};

static __always_inline int on_exec(struct task_struct *task)
{
	uint32_t zero = 0, tgid = BPF_CORE_READ(task, tgid);
	uint64_t one = 1, *count;
	struct exec_event *event;

	count = bpf_map_lookup_elem(&totals, &zero);
	if (count)
		*count += 1;
	if (!gopher_in_scope(tgid))
		return 0;
	count = bpf_map_lookup_elem(&execs, &tgid);
	if (count)
		__sync_fetch_and_add(count, 1);
	else if (bpf_map_update_elem(&execs, &tgid, &one, BPF_NOEXIST))
		gopher_lose(GOPHER_LOST_MAP);
	if (!send_events)
		return 0;
	event = gopher_ring_reserve(&events, sizeof(*event));
	if (!event)
		return 0;
	event->start_ticks = gopher_start_ticks(task);
	event->tgid = tgid;
	event->number = number++;
	BPF_CORE_READ_INTO(&event->comm, task, comm);
	gopher_ring_submit(&events, event, sizeof(*event));
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(exec_typed, struct task_struct *task, pid_t old_pid, struct linux_binprm *binary)
{
	return on_exec(task);
}

SEC("?raw_tp/sched_process_exec")
int BPF_PROG(exec_raw, struct task_struct *task)
{
	return on_exec(task);
}

/* Loaded where the kernel takes it: the tests compare with what it answers. */
SEC("?fentry/begin_new_exec")
int BPF_PROG(exec_entry)
{
	return 0;
}

SEC("?iter/task")
int each_task(struct bpf_iter__task *context)
{
	struct task_record record = {};
	struct task_struct *task = context->task;

	if (!task)
		return 0;
	record.start_ticks = gopher_start_ticks(task);
	record.tgid = task->tgid;
	record.pid = task->pid;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("?iter/task_file")
int each_file(struct bpf_iter__task_file *context)
{
	/* Read once: the verifier knows only the copy that was compared with NULL. */
	struct file *file = context->file;
	struct gopher_tuple tuple;
	uint64_t one = 1;
	struct sock *sk;

	if (!file)
		return 0;
	sk = gopher_file_sock(file);
	if (!sk || gopher_sk_protocol(sk) != IPPROTO_TCP || gopher_sock_tuple(sk, &tuple))
		return 0;
	if (tuple.local_port == wanted_port || tuple.peer_port == wanted_port)
		bpf_map_update_elem(&tuples, &tuple, &one, BPF_ANY);
	return 0;
}

/* Reads without a check: every verifier refuses it. */
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(refused, struct task_struct *task)
{
	uint32_t key = 0xffffffff;
	uint64_t *count = bpf_map_lookup_elem(&totals, &key);

	return *count;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(with_storage, struct task_struct *task)
{
	uint64_t *value = bpf_task_storage_get(&storage, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (value)
		*value = 1;
	return 0;
}

/* Any fork fills in the cases of the histogram test. */
SEC("?tp_btf/sched_process_fork")
int BPF_PROG(histogram)
{
	uint32_t zero = 0;
	struct hist_cases *cases = bpf_map_lookup_elem(&hist_cases, &zero);

	if (!cases)
		return 0;
#pragma unroll
	for (int i = 0; i < HIST_CASES; i++) {
		cases->bucket[i] = gopher_hist_bucket(hist_bounds, 3, cases->value[i]);
		cases->log2[i] = gopher_hist_log2(cases->value[i]);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
