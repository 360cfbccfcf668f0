/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One ring of events for an object, and the counters of what it lost.
 *
 * A record that finds the ring full is counted and gone. The reader is woken when the ring becomes a quarter
 * full and not again until it has drained it: a wake for each record costs an interrupt each, up to 2 us
 * instead of 0.2. Below a quarter nobody is woken, so the reader drains the ring at each of its ticks as
 * well; that also heals a crossing which two CPUs made at once and neither saw.
 */
#ifndef GOPHER_RING_BPF_H
#define GOPHER_RING_BPF_H

#include <bpf/bpf_helpers.h>
#include <gopher/abi.h>

/* Declares the object's ring: a power of two of at least 4096 bytes. Rust may enlarge it before the load. */
#define GOPHER_RING(name, bytes)                    \
	struct {                                    \
		__uint(type, BPF_MAP_TYPE_RINGBUF); \
		__uint(max_entries, bytes);         \
	} name SEC(".maps")

/* What was lost, per CPU, by enum gopher_lost_reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GOPHER_LOST_SLOTS);
	__type(key, uint32_t);
	__type(value, uint64_t);
} gopher_lost SEC(".maps");

static __always_inline void gopher_lose(uint32_t reason)
{
	uint64_t *count = bpf_map_lookup_elem(&gopher_lost, &reason);

	if (count)
		*count += 1;
}

/* Room for a record of `size` bytes (a constant), or NULL; then it is counted as lost. */
static __always_inline void *gopher_ring_reserve(void *ring, uint64_t size)
{
	void *record = bpf_ringbuf_reserve(ring, size, 0);

	if (!record)
		gopher_lose(GOPHER_LOST_RING);
	return record;
}

/* Hands over a record of `size` bytes that gopher_ring_reserve gave. */
static __always_inline void gopher_ring_submit(void *ring, void *record, uint64_t size)
{
	/* As the kernel lays it out: a header of eight bytes, rounded up to eight. */
	uint64_t step = (size + 8 + 7) & ~7ULL;
	uint64_t waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	uint64_t quarter = bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 4;
	int crossing = waiting >= quarter && waiting < quarter + 2 * step;

	bpf_ringbuf_submit(record, crossing ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif /* GOPHER_RING_BPF_H */
