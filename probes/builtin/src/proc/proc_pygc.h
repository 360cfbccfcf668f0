/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow Python's garbage collection and the probe say to each other. */
#ifndef PROC_PYGC_H
#define PROC_PYGC_H

#include "proc_head.h"

/* A process. */
struct proc_pygc {
	struct proc_head head;
	struct proc_time collection;
};

#endif /* PROC_PYGC_H */
