/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Counts by process. A process has one entry from the first thing that is counted of it until it has ended
 * and was read once more. One that ends before it was ever read goes at once, so that any number of short
 * processes takes no room; an object that wants their counts adds them to the sum of their name first.
 *
 * An object declares its map `processes` and a zero value `new_process` with PROC_PROCESSES, then includes
 * this header's functions by PROC_FUNCTIONS.
 */
#ifndef PROC_PROCESS_BPF_H
#define PROC_PROCESS_BPF_H

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>

#include "proc_head.h"

/* Number of the report period, for the longest of each. */
uint64_t period = 1;

/* Number of the next reading of `processes`. */
uint64_t reading = 1;

/* Adds to a time. Not atomic as to the longest: of two at the same moment the shorter may win. Says whether
 * it is the longest. */
static __always_inline int proc_add_time(struct proc_time *time, uint64_t ns)
{
	__sync_fetch_and_add(&time->count, 1);
	__sync_fetch_and_add(&time->total_ns, ns);
	if (time->period != period) {
		time->period = period;
		time->max_ns = 0;
	} else if (ns <= time->max_ns) {
		return 0;
	}
	time->max_ns = ns;
	return 1;
}

/* `value` begins with struct proc_head; `flags` BPF_F_NO_PREALLOC where programs may allocate: not under the
 * locks of the scheduler. */
#define PROC_PROCESSES(value_type, entries, flags) \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_HASH);   \
		__uint(max_entries, entries);      \
		__uint(map_flags, flags);          \
		__type(key, uint32_t);             \
		__type(value, value_type);         \
	} processes SEC(".maps");                  \
	/* What a new entry begins as. */          \
	value_type new_process = {};               \
	typedef value_type proc_value

/* Sums of processes that went unread, by name, in the map `ended_names`; more names than `entries` share the
 * empty one. `value_type` has `processes`. proc_ended_of() is the sum that the process of `head` belongs to,
 * counted there; NULL if even the empty name has no room, which is counted as lost. */
#define PROC_ENDED(value_type, entries)                                                \
	struct {                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                       \
		__uint(max_entries, entries);                                          \
		__type(key, struct proc_name);                                         \
		__type(value, value_type);                                             \
	} ended_names SEC(".maps");                                                    \
                                                                                       \
	static __always_inline value_type *proc_ended_of(const struct proc_head *head) \
	{                                                                              \
		struct proc_name name = {};                                            \
		value_type *ended, none = {};                                          \
                                                                                       \
		__builtin_memcpy(name.comm, head->comm, sizeof(name.comm));            \
		ended = bpf_map_lookup_elem(&ended_names, &name);                      \
		if (!ended) {                                                          \
			bpf_map_update_elem(&ended_names, &name, &none, BPF_NOEXIST);  \
			ended = bpf_map_lookup_elem(&ended_names, &name);              \
		}                                                                      \
		if (!ended) {                                                          \
			/* Made by the probe before anything is attached. */           \
			__builtin_memset(&name, 0, sizeof(name));                      \
			ended = bpf_map_lookup_elem(&ended_names, &name);              \
		}                                                                      \
		if (ended)                                                             \
			__sync_fetch_and_add(&ended->processes, 1);                    \
		else                                                                   \
			gopher_lose(GOPHER_LOST_MAP);                                  \
		return ended;                                                          \
	}

/* `fold` is called with an entry that goes unread. */
#define PROC_FUNCTIONS(fold)                                                                                 \
	static __always_inline proc_value *proc_make(uint32_t tgid, struct task_struct *task,                \
						     proc_value *old)                                        \
	{                                                                                                    \
		proc_value *process;                                                                         \
                                                                                                             \
		if (old) {                                                                                   \
			/* Of an earlier process with the same number. */                                    \
			fold(old);                                                                           \
			bpf_map_delete_elem(&processes, &tgid);                                              \
		}                                                                                            \
		bpf_map_update_elem(&processes, &tgid, &new_process, BPF_NOEXIST);                           \
		process = bpf_map_lookup_elem(&processes, &tgid);                                            \
		if (!process) {                                                                              \
			gopher_lose(GOPHER_LOST_MAP);                                                        \
			return NULL;                                                                         \
		}                                                                                            \
		/* Not by a thread that is late: it may be read by now. */                                   \
		if (!process->head.reading)                                                                  \
			process->head.reading = reading;                                                     \
		/* Last: a reader leaves out an entry without it. Several threads may do this at once,       \
		 * with the same values. */                                                                  \
		process->head.start_ticks = gopher_start_ticks(task);                                        \
		return process;                                                                              \
	}                                                                                                    \
                                                                                                             \
	/* The entry of process `tgid`, of which `task` is a thread. */                                      \
	static __always_inline proc_value *proc_of(uint32_t tgid, struct task_struct *task)                  \
	{                                                                                                    \
		proc_value *process = bpf_map_lookup_elem(&processes, &tgid);                                \
                                                                                                             \
		if (process && !process->head.ended)                                                         \
			return process;                                                                      \
		return proc_make(tgid, task, process);                                                       \
	}                                                                                                    \
                                                                                                             \
	/* A thread ends; nothing happens before the last one of its process. */                             \
	static __always_inline int proc_end(struct task_struct *task)                                        \
	{                                                                                                    \
		uint32_t tgid = task->tgid;                                                                  \
		proc_value *process;                                                                         \
                                                                                                             \
		if (BPF_CORE_READ(task, signal, live.counter))                                               \
			return 0;                                                                            \
		process = bpf_map_lookup_elem(&processes, &tgid);                                            \
		if (!process || process->head.ended)                                                         \
			return 0;                                                                            \
		/* As a string: what is behind the NUL in the kernel is left over from older names. */       \
		bpf_probe_read_kernel_str(process->head.comm, sizeof(process->head.comm),                    \
					  BPF_CORE_READ(task, group_leader, comm));                          \
		/* Read once: a reading may begin meanwhile, and must not take one that is added up here. */ \
		if (process->head.reading == reading) {                                                      \
			process->head.ended = PROC_FOLDED;                                                   \
			fold(process);                                                                       \
			bpf_map_delete_elem(&processes, &tgid);                                              \
		} else {                                                                                     \
			process->head.ended = 1;                                                             \
		}                                                                                            \
		return 0;                                                                                    \
	}

#endif /* PROC_PROCESS_BPF_H */
