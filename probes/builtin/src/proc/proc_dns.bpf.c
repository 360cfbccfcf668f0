// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: the names that processes in scope look up through the C library, how long it takes and whether it
 * finds something. Attached to each C library that such a process has mapped.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_dns.h"

/* Names of all processes. */
#define NAMES 4096

/* Threads that wait for an answer at a time. */
#define WAITING 4096

enum function {
	GETADDRINFO = 1,
	GETHOSTBYNAME = 2,
	GETHOSTBYNAME2 = 3,
};

/* A lookup under way. */
struct waiting {
	uint64_t since;
	uint64_t function;
	struct proc_lookup_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WAITING);
	__type(key, uint32_t); /* thread */
	__type(value, struct waiting);
} under_way SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NAMES);
	__type(key, struct proc_lookup_key);
	__type(value, struct proc_lookups);
} lookups SEC(".maps");

/* Number of the report period, for the longest lookup of each. */
uint64_t period = 1;

/* What a lookup begins as: too large for the stack. */
struct waiting new_waiting = {};

static __always_inline int begins(const void *name, uint64_t function)
{
	uint64_t thread_group = bpf_get_current_pid_tgid();
	uint32_t thread = (uint32_t)thread_group;
	struct waiting *waiting;

	/* Without a name it is asked for an address to listen on. */
	if (!name || !gopher_in_scope(thread_group >> 32))
		return 0;
	/* A function may call another one of these: the outer one counts, if it comes back. */
	if (bpf_map_update_elem(&under_way, &thread, &new_waiting, BPF_ANY)) {
		gopher_lose(GOPHER_LOST_MAP);
		return 0;
	}
	waiting = bpf_map_lookup_elem(&under_way, &thread);
	if (!waiting)
		return 0;
	waiting->function = function;
	waiting->key.tgid = thread_group >> 32;
	waiting->key.start_ticks = gopher_start_ticks((struct task_struct *)bpf_get_current_task());
	bpf_probe_read_user_str(waiting->key.name, sizeof(waiting->key.name), name);
	waiting->since = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int ends(int failed, uint64_t function)
{
	uint64_t now = bpf_ktime_get_ns(), ns;
	uint32_t thread = (uint32_t)bpf_get_current_pid_tgid();
	struct waiting *waiting = bpf_map_lookup_elem(&under_way, &thread);
	struct proc_lookups *found, none = {};

	if (!waiting || waiting->function != function)
		return 0;
	found = bpf_map_lookup_elem(&lookups, &waiting->key);
	if (!found) {
		bpf_map_update_elem(&lookups, &waiting->key, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&lookups, &waiting->key);
	}
	if (!found) {
		gopher_lose(GOPHER_LOST_MAP);
	} else {
		ns = now - waiting->since;
		__sync_fetch_and_add(&found->count, 1);
		if (failed)
			__sync_fetch_and_add(&found->errors, 1);
		else
			__sync_fetch_and_add(&found->total_ns, ns);
		/* Not atomic: of two at the same moment the shorter may win. */
		if (found->period != period) {
			found->period = period;
			found->max_ns = 0;
		}
		if (ns > found->max_ns)
			found->max_ns = ns;
	}
	bpf_map_delete_elem(&under_way, &thread);
	return 0;
}

SEC("?uprobe")
int BPF_KPROBE(getaddrinfo_begins, const void *name)
{
	return begins(name, GETADDRINFO);
}

SEC("?uretprobe")
int BPF_KRETPROBE(getaddrinfo_ends, int error)
{
	return ends(error != 0, GETADDRINFO);
}

SEC("?uprobe")
int BPF_KPROBE(gethostbyname_begins, const void *name)
{
	return begins(name, GETHOSTBYNAME);
}

SEC("?uretprobe")
int BPF_KRETPROBE(gethostbyname_ends, const void *host)
{
	return ends(!host, GETHOSTBYNAME);
}

SEC("?uprobe")
int BPF_KPROBE(gethostbyname2_begins, const void *name)
{
	return begins(name, GETHOSTBYNAME2);
}

SEC("?uretprobe")
int BPF_KRETPROBE(gethostbyname2_ends, const void *host)
{
	return ends(!host, GETHOSTBYNAME2);
}

char LICENSE[] SEC("license") = "GPL";
