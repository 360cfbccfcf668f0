/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs of `runqueue` and the probe say to each other. */
#ifndef RUNQUEUE_H
#define RUNQUEUE_H

#include <gopher/abi.h>

/* Cgroups whose waits are counted. */
#define RUNQUEUE_CGROUPS 512

/* Tasks that wait at a time, on kernels without task storage. */
#define RUNQUEUE_WAITING 16384

/* Beyond gopher_lost_reason. */
enum runqueue_lost {
	RUNQUEUE_LOST_BEGIN = 2, /* a task ran, and since when it could have was not seen */
};

/* The bounds of the table's column; there is one bucket above them. */
#define RUNQUEUE_BOUNDS 12
#define RUNQUEUE_BUCKETS 13

/* The waits of a cgroup on one CPU that ended since the programs were loaded. */
struct runqueue_waits {
	uint64_t sum; /* ns */
	uint64_t count[RUNQUEUE_BUCKETS];
};

/* What a cgroup is called. */
struct runqueue_cgroup {
	uint8_t path[GOPHER_CGROUP_LEVELS][GOPHER_CGROUP_NAME];
};

#endif /* RUNQUEUE_H */
