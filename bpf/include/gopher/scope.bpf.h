/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which processes a feature observes: one hash of processes for all features, filled by the daemon, with a
 * bit for each feature. The daemon gives the same maps to every object, so they must keep these names and
 * shapes; cgroups are turned into processes in user space, hence one lookup here and no walk.
 *
 * The daemon hears of a process after it has begun. Until it has decided, what the tracker's programs could
 * conclude at once (gopher/early.bpf.h) holds.
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

/* What the tracker concluded, by the last bits of the tgid. An array as well. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GOPHER_EARLY_PROCESSES);
	__type(key, uint32_t);
	__type(value, struct gopher_early_entry);
} gopher_early SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct gopher_rules);
} gopher_rules SEC(".maps");

/* For so long the tracker's word holds: two of the daemon's looks at everything. */
#define GOPHER_EARLY_NS 4000000000ULL

/* The feature's bit in gopher_scope and its index in gopher_modes; set before the load. */
const volatile uint32_t gopher_scope_slot = 0;

/* The features that list the process by the tracker's word. */
static __always_inline uint64_t gopher_early_of(uint32_t tgid)
{
	uint32_t at = tgid & (GOPHER_EARLY_PROCESSES - 1), zero = 0;
	struct gopher_early_entry *early = bpf_map_lookup_elem(&gopher_early, &at);
	struct gopher_rules *rules;

	if (!early || early->tgid != tgid || !early->features)
		return 0;
	rules = bpf_map_lookup_elem(&gopher_rules, &zero);
	if (!rules || early->since < rules->early_from || bpf_ktime_get_ns() - early->since > GOPHER_EARLY_NS)
		return 0;
	return early->features;
}

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
	listed = (features && (*features >> slot & 1)) || (gopher_early_of(tgid) >> slot & 1);
	return *mode == GOPHER_SCOPE_ONLY ? listed : !listed;
}

/* Whether the feature observes the running process; only where `current` is the one meant. */
static __always_inline int gopher_current_in_scope(void)
{
	return gopher_in_scope(bpf_get_current_pid_tgid() >> 32);
}

#endif /* GOPHER_SCOPE_BPF_H */
