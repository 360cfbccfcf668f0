/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the kit's test programs and the tests share. */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <gopher/abi.h>

/* A process that executed a program. */
struct exec_event {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t number; /* of the events since the load, from 0 */
	uint8_t comm[16];
};

/* A task that the iterator saw. */
struct task_record {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t pid;
};

/* Values and the buckets that the histogram helpers put them in. */
#define HIST_CASES 8
struct hist_cases {
	uint64_t value[HIST_CASES];
	uint32_t bucket[HIST_CASES];
	uint32_t log2[HIST_CASES];
};

#endif /* SELFTEST_H */
