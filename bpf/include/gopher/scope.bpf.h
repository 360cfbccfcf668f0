/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which processes a feature observes: one hash of processes for all features, filled by the daemon, with a
 * bit for each feature. The daemon gives the same two maps to every object, so they must keep these names and
 * shapes; cgroups are turned into processes in user space, hence one lookup here and no walk.
 */
#ifndef GOPHER_SCOPE_BPF_H
#define GOPHER_SCOPE_BPF_H

#include <bpf/bpf_helpers.h>
#include <gopher/abi.h>

/* tgid to the features that list it. Not preallocated: most hosts use few of them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GOPHER_SCOPE_PROCESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint32_t);
	__type(value, uint64_t);
} gopher_scope SEC(".maps");

/* enum gopher_scope_mode of each feature. An array, whose lookup the kernel inlines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GOPHER_SCOPE_SLOTS);
	__type(key, uint32_t);
	__type(value, uint32_t);
} gopher_modes SEC(".maps");

/* The feature's bit in gopher_scope and its index in gopher_modes; set before the load. */
const volatile uint32_t gopher_scope_slot = 0;

/* Whether the feature observes the process. About 30 ns when it has a list, 1 ns when it has none. */
static __always_inline int gopher_in_scope(uint32_t tgid)
{
	uint32_t slot = gopher_scope_slot & (GOPHER_SCOPE_SLOTS - 1);
	uint32_t *mode = bpf_map_lookup_elem(&gopher_modes, &slot);
	uint64_t *features;
	int listed;

	if (!mode || *mode == GOPHER_SCOPE_NONE)
		return 0;
	if (*mode == GOPHER_SCOPE_ALL)
		return 1;
	features = bpf_map_lookup_elem(&gopher_scope, &tgid);
	listed = features && (*features >> slot & 1);
	return *mode == GOPHER_SCOPE_ONLY ? listed : !listed;
}

/* Whether the feature observes the running process; only where `current` is the one meant. */
static __always_inline int gopher_current_in_scope(void)
{
	return gopher_in_scope(bpf_get_current_pid_tgid() >> 32);
}

#endif /* GOPHER_SCOPE_BPF_H */
