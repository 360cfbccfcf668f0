/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the headers of this folder and Rust say to each other: fixed widths, no padding, no bool. Rust gets it
 * as `probe_kit::bpf::abi` (bindgen and zerocopy), so a layout that does not fit breaks the build.
 */
#ifndef GOPHER_ABI_H
#define GOPHER_ABI_H

/* vmlinux.h has these as well, but bindgen reads this header without it. */
#ifndef __VMLINUX_H__
#include <stdint.h>
#endif

/* gopher_modes: what a feature observes. */
enum gopher_scope_mode {
	GOPHER_SCOPE_NONE = 0, /* nothing, until the daemon has said what */
	GOPHER_SCOPE_ALL = 1, /* every process */
	GOPHER_SCOPE_ONLY = 2, /* those in gopher_scope with the feature's bit */
	GOPHER_SCOPE_EXCEPT = 3, /* all but those */
};

/* Features that can have a scope of their own at a time: the bits of a value in gopher_scope. */
#define GOPHER_SCOPE_SLOTS 64

/* Processes that can be in some scope at a time; what does not fit is counted by the daemon. */
#define GOPHER_SCOPE_PROCESSES 32768

/*
 * Processes that the tracker has listed and the daemon has not decided about yet: a place for each tgid by
 * its last bits, so a power of two.
 */
#define GOPHER_EARLY_PROCESSES 32768

/* Names of which it is known that some feature lists every process that has one. */
#define GOPHER_NAMES 4096

/*
 * gopher_early: features that list the process, by the tracker's word. It holds for some seconds, within
 * which the daemon has decided, so nothing has to be deleted.
 */
struct gopher_early_entry {
	uint64_t features;
	uint64_t since; /* by the monotonic clock, nanoseconds */
	uint32_t tgid;
	uint32_t zero;
};

/* gopher_rules: what the tracker may conclude without the daemon. Features are bits as in gopher_scope. */
struct gopher_rules {
	uint64_t by_name; /* features that look at names and arguments alone */
	uint64_t by_place; /* at cgroups alone */
	uint64_t by_both; /* at both, and at nothing else */
	uint64_t early_from; /* what was concluded before this does not count */
	uint64_t any; /* there is something to conclude */
	uint32_t own; /* the daemon: neither it nor its children are meant by such rules */
	uint32_t zero;
};

/* gopher_lost: what was lost, by index. An object's own reasons begin at GOPHER_LOST_OWN. */
enum gopher_lost_reason {
	GOPHER_LOST_RING = 0, /* the ring was full */
	GOPHER_LOST_MAP = 1, /* a map was full */
	GOPHER_LOST_OWN = 2,
};

#define GOPHER_LOST_SLOTS 8

/* Which end of a connection a socket is. */
enum gopher_role {
	GOPHER_ROLE_UNKNOWN = 0,
	GOPHER_ROLE_CLIENT = 1,
	GOPHER_ROLE_SERVER = 2,
};

/* The address family of a tuple; the numbers of AF_INET and AF_INET6. */
enum gopher_family {
	GOPHER_FAMILY_IPV4 = 2,
	GOPHER_FAMILY_IPV6 = 10,
};

/*
 * Both ends of a socket. An IPv4 address stands in the first four bytes and the rest is zero, for v4-mapped
 * IPv6 as well, so that equal connections are equal bytes. Ports in host order.
 */
struct gopher_tuple {
	uint8_t local_ip[16];
	uint8_t peer_ip[16];
	uint16_t local_port;
	uint16_t peer_port;
	uint16_t family; /* enum gopher_family */
	uint16_t zero;
};

/* Buckets of a histogram at most, the one above every bound included. */
#define GOPHER_HIST_SLOTS 32

/* A histogram: `count[i]` has what is at most bound i and above bound i - 1. */
struct gopher_hist {
	uint64_t sum;
	uint64_t count[GOPHER_HIST_SLOTS];
};

/* A cgroup's path: the names of its directories, the innermost first. Longer names are cut, deeper paths too.
 */
#define GOPHER_CGROUP_LEVELS 7
#define GOPHER_CGROUP_NAME 96

#endif /* GOPHER_ABI_H */
