/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow the page cache and the probe say to each other. */
#ifndef PROC_PAGE_H
#define PROC_PAGE_H

#include "proc_head.h"

/* A process. */
struct proc_page {
	struct proc_head head;
	uint64_t accessed; /* pages that it marked as used */
	uint64_t loaded; /* pages that it brought into the cache */
	uint64_t dirtied; /* pages that it made dirty */
	uint64_t buffers; /* buffers of block devices that it made dirty */
	struct proc_time reclaim; /* in which it had to free memory itself */
};

#endif /* PROC_PAGE_H */
