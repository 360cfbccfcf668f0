/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow block I/O and the probe say to each other. */
#ifndef PROC_BLOCK_H
#define PROC_BLOCK_H

#include "proc_head.h"

/* Reasons of gopher_lost. */
enum proc_block_lost {
	/* A bio was counted, and there was no room to see it end. */
	PROC_BLOCK_LOST_END = GOPHER_LOST_OWN,
};

/* What is counted of bios. */
struct proc_bios {
	uint64_t small_reads; /* of at most 4 KiB */
	uint64_t small_writes;
	uint64_t large_reads;
	uint64_t large_writes;
	uint64_t errors;
	uint64_t hangs; /* times that the kernel found a thread of it hanging */
};

/* A process. */
struct proc_block {
	struct proc_head head;
	struct proc_bios bios;
	struct proc_time latency; /* of a bio, from its submission to its end */
};

/* What processes of one name did that ended before they were ever read. */
struct proc_block_ended {
	uint64_t processes;
	struct proc_bios bios;
};

#endif /* PROC_BLOCK_H */
