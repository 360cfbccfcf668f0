// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: the block I/O that each process in scope submits, how long it takes and whether it fails.
 *
 * A bio is whose who submits it: what the kernel writes back later is nobody's here. It is found again at its
 * end by its address, and by the process's start, for a process may have ended meanwhile.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_block.h"

#define PROCESSES 8192
#define NAMES 512

/* Bios on their way. */
#define BIOS 16384

/* A request has no more than its segments. */
#define BIOS_OF_REQUEST 256

#define SMALL 4096

/* A bio on its way. */
struct flight {
	uint64_t since;
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BIOS);
	__type(key, uint64_t); /* address of the bio */
	__type(value, struct flight);
} flights SEC(".maps");

PROC_ENDED(struct proc_block_ended, NAMES)

PROC_PROCESSES(struct proc_block, PROCESSES, 0);

static __noinline int fold(struct proc_block *process)
{
	struct proc_block_ended *ended;

	if (!process)
		return 0;
	ended = proc_ended_of(&process->head);
	if (!ended)
		return 0;
	__sync_fetch_and_add(&ended->bios.small_reads, process->bios.small_reads);
	__sync_fetch_and_add(&ended->bios.small_writes, process->bios.small_writes);
	__sync_fetch_and_add(&ended->bios.large_reads, process->bios.large_reads);
	__sync_fetch_and_add(&ended->bios.large_writes, process->bios.large_writes);
	__sync_fetch_and_add(&ended->bios.errors, process->bios.errors);
	__sync_fetch_and_add(&ended->bios.hangs, process->bios.hangs);
	return 0;
}

PROC_FUNCTIONS(fold)

static __always_inline int submitted(struct bio *bio)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32, size;
	uint64_t id = (uint64_t)bio;
	struct proc_block *process;
	struct flight flight = {.tgid = tgid};

	if (!tgid || !gopher_in_scope(tgid) || !BPF_CORE_READ(task, mm))
		return 0;
	/* A flush moves nothing, and a device that is made of others passes on what was counted above it. */
	size = gopher_bio_is_clone(bio) ? 0 : bio->bi_iter.bi_size;
	process = size ? proc_of(tgid, task) : NULL;
	if (!process)
		return 0;
	if (bio->bi_opf & 1) /* REQ_OP_WRITE and the other operations that change something are odd */
		__sync_fetch_and_add(size > SMALL ? &process->bios.large_writes : &process->bios.small_writes,
				     1);
	else
		__sync_fetch_and_add(size > SMALL ? &process->bios.large_reads : &process->bios.small_reads,
				     1);
	flight.start_ticks = process->head.start_ticks;
	flight.since = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&flights, &id, &flight, BPF_ANY))
		gopher_lose(PROC_BLOCK_LOST_END);
	return 0;
}

/* Until 5.10 the queue comes first. */
SEC("?tp_btf/block_bio_queue")
int BPF_PROG(bio_queued, struct bio *bio)
{
	return submitted(bio);
}

SEC("?tp_btf/block_bio_queue")
int BPF_PROG(bio_queued_in, struct request_queue *queue, struct bio *bio)
{
	return submitted(bio);
}

/* A function of its own and not static: then the verifier looks at it once, and not for each bio of a
 * request.
 */
__noinline int landed(uint64_t id, uint32_t error)
{
	struct flight *flight = bpf_map_lookup_elem(&flights, &id);
	struct proc_block *process;
	uint32_t tgid;

	if (!flight)
		return 0;
	tgid = flight->tgid;
	process = bpf_map_lookup_elem(&processes, &tgid);
	if (process && process->head.start_ticks == flight->start_ticks) {
		proc_add_time(&process->latency, bpf_ktime_get_ns() - flight->since);
		if (error)
			__sync_fetch_and_add(&process->bios.errors, 1);
	}
	bpf_map_delete_elem(&flights, &id);
	return 0;
}

/* Of devices that are made of others. */
SEC("?tp_btf/block_bio_complete")
int BPF_PROG(bio_ended, struct request_queue *queue, struct bio *bio)
{
	uint64_t id = 0;

	/* As a number: the verifier knows it for a pointer, and such a function takes none. */
	bpf_probe_read_kernel(&id, sizeof(id), &ctx[1]);
	landed(id, bio->bi_status);
	return 0;
}

/* Of all others the request is told, and not its bios. */
SEC("?tp_btf/block_rq_complete")
int BPF_PROG(request_ended, struct request *request, int error, unsigned int bytes)
{
	struct bio *bio = BPF_CORE_READ(request, bio);

	for (int i = 0; i < BIOS_OF_REQUEST && bio; i++) {
		unsigned int size = BPF_CORE_READ(bio, bi_iter.bi_size);

		/* The rest comes later. */
		if (size > bytes)
			break;
		bytes -= size;
		landed((uint64_t)bio, error & 0xff);
		bio = BPF_CORE_READ(bio, bi_next);
	}
	return 0;
}

SEC("?tp_btf/sched_process_hang")
int BPF_PROG(hung, struct task_struct *task)
{
	struct proc_block *process;

	if (!gopher_in_scope(task->tgid))
		return 0;
	process = proc_of(task->tgid, task);
	if (process)
		__sync_fetch_and_add(&process->bios.hangs, 1);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
