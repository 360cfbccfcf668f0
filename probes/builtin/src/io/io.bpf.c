// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Requests of block devices, by device: how long they take, what they move, which fail; and what happens to
 * the page cache of a device. Everything is added up here, by CPU; only failures are told one by one.
 *
 * A request has its time of birth with it, so it is entered among those under way when the driver gets it and
 * taken out at its end. Devices without requests (device mapper, md, zram …) are observed by their bios.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/hist.bpf.h>
#include <gopher/ring.bpf.h>

#include "io.h"
#include "io_maps.bpf.h"
#include "io_cache.bpf.h"

/* Operations as blk_types.h numbers them, the same on all kernels. */
enum {
	IO_OP_READ = 0,
	IO_OP_FLUSH = 2,
	IO_OP_DISCARD = 3,
	IO_OP_SECURE_ERASE = 5,
	IO_OP_MASK = 0xff,
	IO_OP_PASSTHROUGH = 32, /* from here on: commands of a driver or of user space */
};

/* The kernel's own account of a disk is done like this as well. */
static __always_inline void add_bytes(struct io_counts *counts, uint32_t operation, uint32_t bytes)
{
	if (operation == IO_OP_READ)
		counts->read_bytes += bytes;
	else if ((operation & 1) && operation != IO_OP_DISCARD && operation != IO_OP_SECURE_ERASE)
		counts->write_bytes += bytes;
}

/*
 * A function that the verifier checks by itself: with its branches in each of three stages, older kernels
 * (6.1) run out of patience.
 */
__noinline uint32_t io_bucket(uint64_t took)
{
	return gopher_hist_bucket(bounds, IO_BOUNDS, took);
}

static __always_inline void add_time(struct io_counts *counts, struct io_peak *peak, uint32_t stage,
				     uint64_t took, int sample)
{
	uint32_t bucket = io_bucket(took);

	/* Or the compiler, which sees into the function, would take the check below away. */
	barrier_var(bucket);
	if (bucket > IO_BOUNDS)
		return;
	counts->count[stage][bucket] += 1;
	counts->sum[stage] += took;
	if (took > peak->max[stage])
		peak->max[stage] = took;
	peak->last[stage] = took;
	if (sample) {
		uint64_t before = counts->sampled[stage];
		uint64_t change = took > before ? took - before : before - took;

		if (counts->sampled_at && change > peak->jitter[stage])
			peak->jitter[stage] = change;
		counts->sampled[stage] = took;
	}
}

/* Times of what began at `born`, was handed to the driver at `issued` and ended now; either may be 0. */
static __always_inline void add_times(struct io_counts *counts, uint64_t born, uint64_t issued, uint64_t now)
{
	uint64_t running = period;
	struct io_peak *peak = &counts->peaks[running & 1];
	int sample = now - counts->sampled_at >= sample_ns;

	if (peak->period != running) {
		__builtin_memset(peak, 0, sizeof(*peak));
		peak->period = running;
	}
	/* The kernel may have read its clock once for several requests. */
	if (born && issued && born > issued)
		born = issued;
	peak->last_at = now;
	add_time(counts, peak, IO_REQUEST, now - (born ? born : issued), sample);
	if (born && issued)
		add_time(counts, peak, IO_DRIVER, issued - born, sample);
	else
		peak->last[IO_DRIVER] = IO_NO_STAGE;
	if (issued)
		add_time(counts, peak, IO_DEVICE, now - issued, sample);
	else
		peak->last[IO_DEVICE] = IO_NO_STAGE;
	if (sample)
		counts->sampled_at = now;
}

/*
 * States that are no failures: who asked not to wait is asked to come again. An errno before 5.16, then
 * BLK_STS_AGAIN, whose number is the same everywhere.
 */
#define IO_AGAIN_ERRNO (-11)
#define IO_AGAIN 12

static __always_inline int is_failure(int state)
{
	return state && state != IO_AGAIN && state != IO_AGAIN_ERRNO;
}

/* Once a second a device's failure wakes the reader, the others of that second are read with the next one. */
#define WAKE_NS 1000000000ULL

static __always_inline void on_failure(struct io_counts *counts, const struct io_failure *failure)
{
	struct io_failure *record;
	uint64_t flags = BPF_RB_NO_WAKEUP;

	counts->failed += 1;
	counts->failed_at = failure->at;
	counts->code = failure->code;
	if (!(doing & IO_TELL))
		return;
	record = gopher_ring_reserve(&failures, sizeof(*record));
	if (!record)
		return;
	*record = *failure;
	if (failure->at - counts->woken_at >= WAKE_NS) {
		counts->woken_at = failure->at;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

/* A task changes its name rarely, and asking for it costs as much as all the rest of on_issue. */
#define NAMED_NS 100000000ULL

static __always_inline void note_task(struct io_in_flight *place, uint64_t now)
{
	uint64_t task = bpf_get_current_pid_tgid();

	if (place->task == task && now - place->named_at < NAMED_NS)
		return;
	place->task = task;
	place->named_at = now;
	bpf_get_current_comm(place->comm, sizeof(place->comm));
}

/* The driver gets a request, for the first time or again. */
static __always_inline int on_issue(struct request *rq)
{
	struct io_in_flight *place;
	uint64_t now;

	if ((rq->cmd_flags & IO_OP_MASK) >= IO_OP_PASSTHROUGH)
		return 0;
	now = bpf_ktime_get_ns();
	place = place_for(rq, now);
	if (!place)
		return 0;
	place->request = (uint64_t)rq;
	place->born = rq->start_time_ns;
	place->begun = now;
	if (doing & IO_ERRORS)
		note_task(place, now);
	return 0;
}

/* A part of a request, mostly all of it, has ended. */
static __always_inline int on_completion(struct request *rq, int error, uint32_t bytes)
{
	uint32_t flags = rq->cmd_flags;
	uint32_t operation = flags & IO_OP_MASK;
	struct io_in_flight *begun;
	struct io_counts *counts;
	uint32_t device;
	uint64_t now;

	/* A write with a flush ends once more, of no bytes, when all of it is done. */
	if (operation >= IO_OP_PASSTHROUGH || (!bytes && operation != IO_OP_FLUSH))
		return 0;
	device = gopher_request_device(rq);
	counts = counts_of(device, rq);
	if (counts && (doing & IO_BYTES))
		add_bytes(counts, operation, bytes);
	if (!(doing & (IO_TIMES | IO_ERRORS)))
		return 0;
	begun = in_flight(rq);
	if (begun && rq->start_time_ns > begun->born) {
		/* That was an earlier request at this address. */
		gopher_lose(IO_LOST_END);
		begun->request = 0;
		begun = NULL;
	}
	now = bpf_ktime_get_ns();
	if (counts && is_failure(error) && (doing & IO_ERRORS)) {
		struct io_failure failure = {.at = now, .sector = rq->__sector, .bytes = bytes};

		failure.device = device;
		failure.code = error;
		failure.operation = flags;
		if (begun) {
			failure.tgid = begun->task >> 32;
			__builtin_memcpy(failure.comm, begun->comm, sizeof(failure.comm));
		}
		on_failure(counts, &failure);
	}
	if (bytes < rq->__data_len)
		return 0;
	if (!begun) {
		if (doing & IO_TIMES)
			gopher_lose(IO_LOST_UNSEEN);
		return 0;
	}
	if (counts && (doing & IO_TIMES))
		add_times(counts, rq->start_time_ns, begun->begun, now);
	begun->request = 0;
	return 0;
}

/* A bio is handed to a device; those of devices with requests are seen as requests. */
static __always_inline int on_bio(struct bio *bio)
{
	struct gendisk *disk = gopher_bio_disk(bio);
	uint64_t key = (uint64_t)bio;
	struct io_bio begun = {};

	if (!disk || disk->queue->mq_ops)
		return 0;
	begun.begun = bpf_ktime_get_ns();
	begun.device = gopher_bio_device(bio);
	begun.operation = bio->bi_opf;
	begun.bytes = bio->bi_iter.bi_size;
	begun.sector = bio->bi_iter.bi_sector;
	if (doing & IO_ERRORS) {
		begun.tgid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(begun.comm, sizeof(begun.comm));
	}
	if (bpf_map_update_elem(&bios, &key, &begun, BPF_ANY))
		gopher_lose(IO_LOST_IN_FLIGHT);
	return 0;
}

static __always_inline int on_bio_end(struct bio *bio)
{
	uint64_t key = (uint64_t)bio;
	struct io_bio *begun = bpf_map_lookup_elem(&bios, &key);
	struct io_counts *counts;
	uint64_t now;

	if (!begun)
		return 0;
	now = bpf_ktime_get_ns();
	counts = counts_of_bio(begun->device, bio);
	if (counts) {
		if (doing & IO_BYTES)
			add_bytes(counts, begun->operation & IO_OP_MASK, begun->bytes);
		if (is_failure(bio->bi_status) && (doing & IO_ERRORS)) {
			struct io_failure failure = {.at = now, .code = bio->bi_status};

			failure.device = begun->device;
			failure.sector = begun->sector;
			failure.bytes = begun->bytes;
			failure.operation = begun->operation;
			failure.tgid = begun->tgid;
			__builtin_memcpy(failure.comm, begun->comm, sizeof(failure.comm));
			on_failure(counts, &failure);
		}
		if (doing & IO_TIMES)
			add_times(counts, begun->begun, 0, now);
	}
	bpf_map_delete_elem(&bios, &key);
	return 0;
}

GOPHER_BLOCK_PROGRAMS(issued, "block_rq_issue", struct request *, rq, on_issue(rq))
GOPHER_BLOCK_PROGRAMS(bio_begun, "block_bio_queue", struct bio *, bio, on_bio(bio))

SEC("?tp_btf/block_rq_complete")
int BPF_PROG(completed, struct request *rq, int error, unsigned int bytes)
{
	return on_completion(rq, error, bytes);
}

SEC("?tp_btf/block_bio_complete")
int BPF_PROG(bio_ended, struct request_queue *queue, struct bio *bio)
{
	return on_bio_end(bio);
}

char LICENSE[] SEC("license") = "GPL";
