/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow name lookups and the probe say to each other. */
#ifndef PROC_DNS_H
#define PROC_DNS_H

#include <gopher/abi.h>

/* A name and its NUL; longer ones are cut. No name of the DNS is longer. */
#define PROC_DNS_NAME 256

/* A name that a process looked up. */
struct proc_lookup_key {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t zero;
	uint8_t name[PROC_DNS_NAME]; /* zero behind its end */
};

/* How that went, since the entry was made. */
struct proc_lookups {
	uint64_t count;
	uint64_t errors;
	uint64_t total_ns; /* of those that found something */
	uint64_t max_ns; /* the longest that ended in `period`, whatever came of it */
	uint64_t period;
};

#endif /* PROC_DNS_H */
