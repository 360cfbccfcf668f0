/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What every object of `proc` keeps of a process, at the front of its counts. */
#ifndef PROC_HEAD_H
#define PROC_HEAD_H

#include <gopher/abi.h>

#define PROC_FOLDED 2

/* A process with counts. Its key is its tgid. */
struct proc_head {
	uint64_t start_ticks; /* 0 while the entry is being made */
	uint64_t reading; /* number of the reading before which it was made */
	uint32_t ended; /* nothing is added any more; PROC_FOLDED: and it was added to the sum of its name */
	uint32_t zero;
	uint8_t comm[16]; /* of the main thread, once it has ended; zero behind its end */
};

/* The name of processes that ended before they were ever read. All zero: those that had no room. */
struct proc_name {
	uint8_t comm[16];
};

/* The longest of something in a report period, and all of it. */
struct proc_time {
	uint64_t count;
	uint64_t total_ns;
	uint64_t max_ns; /* of those that ended in `period` */
	uint64_t period;
};

#endif /* PROC_HEAD_H */
