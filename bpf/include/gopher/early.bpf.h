/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the tracker's programs conclude at once, so that a process counts from its first instruction on and
 * not from when the daemon has heard of it. Only what the daemon will decide as well: that some rule lists a
 * process. Where rules look at more than is known here (arguments, an unknown name), nothing is concluded.
 *
 *  - A name is enough for rules that look at nothing else; which names that are, the daemon has said.
 *  - A child by fork has its parent's name, arguments and cgroups: what lists the parent by these lists it.
 *  - An exec leaves a process in its cgroups.
 *
 * Features with a rule for a single process conclude nothing of a fork: that rule does not mean the child.
 */
#ifndef GOPHER_EARLY_BPF_H
#define GOPHER_EARLY_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

/* Names as the kernel keeps them, zeros behind the text, to the features that list whatever has one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GOPHER_NAMES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint8_t[16]);
	__type(value, uint64_t);
} gopher_names SEC(".maps");

/* What was concluded of a process; both zero if nothing. */
struct gopher_conclusion {
	uint64_t features;
	uint64_t since;
};

/* The rules, if anything can be concluded from them. */
static __always_inline const struct gopher_rules *gopher_any_rules(void)
{
	uint32_t zero = 0;
	const struct gopher_rules *rules = bpf_map_lookup_elem(&gopher_rules, &zero);

	return rules && rules->any ? rules : NULL;
}

static __always_inline uint64_t gopher_named(const uint8_t comm[16])
{
	const uint64_t *features = bpf_map_lookup_elem(&gopher_names, comm);

	return features ? *features : 0;
}

/*
 * Lists the process in `features` and takes back what was concluded before. Two processes with the same last
 * bits within the time that a conclusion holds are rare: the later one has the place, the other waits for the
 * daemon, and that is counted under `reason`.
 */
static __always_inline void gopher_conclude(uint32_t tgid, uint64_t features, uint32_t reason,
					    struct gopher_conclusion *conclusion)
{
	uint32_t at = tgid & (GOPHER_EARLY_PROCESSES - 1);
	struct gopher_early_entry *early = bpf_map_lookup_elem(&gopher_early, &at);

	conclusion->features = conclusion->since = 0;
	if (!early || (!features && early->tgid != tgid))
		return;
	if (features && early->tgid != tgid && gopher_early_of(early->tgid))
		gopher_lose(reason);
	/* Never a process with the features of another, whoever reads meanwhile. */
	early->features = 0;
	barrier();
	early->tgid = tgid;
	early->since = bpf_ktime_get_ns();
	barrier();
	early->features = features;
	if (!features)
		return;
	conclusion->features = features;
	conclusion->since = early->since;
}

/* What holds of a child by fork, `comm` being its name. */
static __always_inline uint64_t gopher_of_child(const struct gopher_rules *rules, uint32_t forker,
						const uint8_t forker_comm[16], const uint8_t comm[16],
						int moved)
{
	const uint64_t *a = (const uint64_t *)forker_comm, *b = (const uint64_t *)comm;
	uint64_t *listed = bpf_map_lookup_elem(&gopher_scope, &forker);
	uint64_t features = (listed ? *listed : 0) | gopher_early_of(forker), same = 0;
	/* It may be a thread with a name of its own that forks. */
	int namesake = a[0] == b[0] && a[1] == b[1];

	if (namesake)
		same |= rules->by_name;
	if (!moved)
		same |= rules->by_place;
	if (namesake && !moved)
		same |= rules->by_both;
	return (features & same) | gopher_named(comm);
}

#endif /* GOPHER_EARLY_BPF_H */
