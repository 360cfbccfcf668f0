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

#endif /* SELFTEST_H */
