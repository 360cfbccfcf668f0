/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the tracker's programs tell of processes. */
#ifndef TRACKER_H
#define TRACKER_H

#include <gopher/abi.h>

/* What happened to a process. */
enum tracker_kind {
	TRACKER_EXEC = 1, /* it runs another program */
	TRACKER_FORK = 2, /* it is new */
	TRACKER_EXIT = 3, /* its last thread ends */
	TRACKER_COMM = 4, /* it has another name */
	TRACKER_CGROUP = 5, /* it was moved to another cgroup, of any hierarchy */
};

#define TRACKER_KINDS 6

/* Forks of processes and of threads together, which the kernel counts too: "processes" of /proc/stat. */
#define TRACKER_ALL_FORKS 0

/* Reasons in gopher_lost. */
enum tracker_lost {
	TRACKER_LOST_EARLY = GOPHER_LOST_OWN, /* conclusions that another process's took the place of */
};

/* A process and what happened to it. What a kind does not say is zero. */
struct tracker_event {
	uint64_t start_ticks; /* field 22 of /proc/<pid>/stat */
	uint64_t start_code; /* exec: fields 26, 28 and 48 */
	uint64_t start_stack;
	uint64_t arg_start;
	uint64_t early; /* features that it was listed in at once */
	uint64_t early_since; /* and when */
	uint32_t kind; /* enum tracker_kind */
	uint32_t tgid;
	uint32_t ppid; /* exec, fork: field 4 */
	uint32_t forker; /* fork: the process that forked; not always the parent */
	uint32_t moved; /* fork: it begins in other cgroups than those of who forked it */
	uint32_t zero;
	uint8_t comm[16]; /* exec, fork, comm: up to the first NUL */
};

#endif /* TRACKER_H */
