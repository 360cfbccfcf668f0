/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Histograms counted in the kernel, with the bounds of the table's column or by powers of two. Atomic, so
 * that one series may be counted on several CPUs; the sum and a count are two adds, so a reader may see one
 * before the other.
 */
#ifndef GOPHER_HIST_BPF_H
#define GOPHER_HIST_BPF_H

#include <bpf/bpf_helpers.h>
#include <gopher/abi.h>

/*
 * The bucket of `value` among `n` ascending upper bounds, which are inclusive as Prometheus defines `le`: the
 * first bound that is not below it, or `n`. `bounds` is a constant array of the object and `n` a constant of
 * at most GOPHER_HIST_SLOTS - 1, so the loop is unrolled.
 */
static __always_inline uint32_t gopher_hist_bucket(const volatile uint64_t *bounds, uint32_t n,
						   uint64_t value)
{
	uint32_t slot = 0;

#pragma unroll
	for (uint32_t i = 0; i < n; i++)
		slot += value > bounds[i];
	return slot;
}

/* The bucket of `value` for the bounds 1, 2, 4, 8, …: the first power of two that is not below it. */
static __always_inline uint32_t gopher_hist_log2(uint64_t value)
{
	uint32_t slot = 0;
	uint64_t rest = value ? value - 1 : 0;

	/* A binary search for the highest bit: BPF has no instruction for it before v4. */
	if (rest >> 32)
		slot += 32, rest >>= 32;
	if (rest >> 16)
		slot += 16, rest >>= 16;
	if (rest >> 8)
		slot += 8, rest >>= 8;
	if (rest >> 4)
		slot += 4, rest >>= 4;
	if (rest >> 2)
		slot += 2, rest >>= 2;
	if (rest >> 1)
		slot += 1, rest >>= 1;
	return slot + (uint32_t)rest;
}

/* Counts `value` in bucket `slot`; what lies above the last bucket is counted in it. */
static __always_inline void gopher_hist_add(struct gopher_hist *hist, uint32_t slot, uint64_t value)
{
	if (slot >= GOPHER_HIST_SLOTS)
		slot = GOPHER_HIST_SLOTS - 1;
	__sync_fetch_and_add(&hist->count[slot], 1);
	__sync_fetch_and_add(&hist->sum, value);
}

#endif /* GOPHER_HIST_BPF_H */
