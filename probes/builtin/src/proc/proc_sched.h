/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow the scheduler and the probe say to each other. */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include "proc_head.h"

/* Reasons of gopher_lost. */
enum proc_sched_lost {
	/* A thread left the CPU and there was no room to keep when. */
	PROC_SCHED_LOST_SPELL = GOPHER_LOST_OWN,
};

/* A process. */
struct proc_sched {
	struct proc_head head;
	struct proc_time off_cpu; /* of each spell of a thread */
	struct proc_time io_wait; /* of the spells in which it waited for I/O */
	struct proc_time run_queue; /* runnable and without a CPU, by the kernel's own account */
};

#endif /* PROC_SCHED_H */
