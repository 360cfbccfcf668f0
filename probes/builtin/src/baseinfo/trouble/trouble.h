/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs of `oom`, `hung_task` and `reclaim` and the probe say to each other. */
#ifndef TROUBLE_H
#define TROUBLE_H

#include <gopher/abi.h>

/* Cgroups whose stalls are counted. */
#define TROUBLE_CGROUPS 512

enum trouble_kind {
	TROUBLE_OOM = 1,
	TROUBLE_HANG = 2,
};

/* A task and its memory cgroup, as they were. What stands behind the NUL of a text is left over. */
struct trouble_side {
	uint64_t start_ticks;
	uint64_t anon_pages;
	uint64_t file_pages;
	uint64_t shmem_pages;
	uint64_t cgroup_pages; /* charged to its memory cgroup */
	uint64_t cgroup_max_pages; /* may be charged to it; 0 where there is no memory controller */
	uint32_t pid; /* of the thread */
	uint32_t tgid; /* 0 if nothing but the pid is known */
	int32_t oom_score_adj;
	uint32_t zero;
	uint8_t comm[16];
	uint8_t path[GOPHER_CGROUP_LEVELS][GOPHER_CGROUP_NAME];
};

struct trouble_event {
	uint64_t at; /* ns of CLOCK_MONOTONIC */
	uint32_t kind; /* enum trouble_kind */
	uint32_t zero;
	struct trouble_side victim;
	struct trouble_side trigger; /* of TROUBLE_OOM */
};

/* What a task waited for. */
enum trouble_stall {
	TROUBLE_DIRECT = 0, /* pages of the host */
	TROUBLE_MEMCG = 1, /* its cgroup to get below its limit */
	TROUBLE_COMPACTION = 2, /* pages side by side */
	TROUBLE_STALLS = 3,
};

/* Buckets: the bounds of the table's columns, and one above them. */
#define TROUBLE_BOUNDS 7

struct trouble_stalls {
	struct gopher_hist hist[3];
	uint8_t path[GOPHER_CGROUP_LEVELS][GOPHER_CGROUP_NAME];
};

#endif /* TROUBLE_H */
