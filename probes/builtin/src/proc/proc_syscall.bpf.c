// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `proc`: the system calls of each process in scope, counted as they return and timed if somebody asks for
 * their kind.
 *
 * Every call of every process of the host comes through here, so what is not observed leaves first. A process
 * has one entry until it has ended and was read once more; one that ends before it was ever read is added to
 * the sum of its name, so that any number of short processes takes no room and loses nothing.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>

#include "proc_process.bpf.h"
#include "proc_syscall.h"

/* Processes at a time. Not preallocated: most hosts have few. */
#define PROCESSES 16384

/* Names of ended processes; more share the empty one. */
#define NAMES 1024

/* The call that a thread is in. */
struct inside {
	uint64_t since;
	uint64_t call; /* enum proc_call; 0: none that is timed */
};

PROC_PROCESSES(struct proc_syscalls, PROCESSES, BPF_F_NO_PREALLOC);

PROC_ENDED(struct proc_ended, NAMES)

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct inside);
} threads SEC(".maps");

/* The same by thread id where programs have no storage of tasks. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint32_t);
	__type(value, struct inside);
} threads_hash SEC(".maps");

/* By process and kind of file system; what an ended process leaves is removed at the next reading. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct proc_fs_key);
	__type(value, struct proc_fs_calls);
} file_systems SEC(".maps");

/* enum proc_call of each number of a system call of this architecture. */
const volatile uint8_t call_of_number[PROC_CALL_NUMBERS] = {};

/* Which calls are timed: bit n is call n. */
uint64_t timed = 0;

/* Whether reads, writes and syncs are counted by file system too. */
uint32_t by_file_system = 0;

/* Whether calls, failures, forks and threads are counted. */
uint32_t counting = 0;

static __noinline int fold(struct proc_syscalls *process)
{
	struct proc_ended *ended;

	if (!process)
		return 0;
	ended = proc_ended_of(&process->head);
	if (!ended)
		return 0;
	__sync_fetch_and_add(&ended->calls, process->calls);
	__sync_fetch_and_add(&ended->failed, process->failed);
	__sync_fetch_and_add(&ended->forks, process->forks);
	__sync_fetch_and_add(&ended->threads, process->threads);
	return 0;
}

PROC_FUNCTIONS(fold)

static __always_inline struct proc_syscalls *process_of(uint32_t tgid)
{
	return proc_of(tgid, (struct task_struct *)bpf_get_current_task());
}

/* What kind of call number `id` is; a 32-bit program has other numbers. */
static __always_inline uint32_t call_of(struct pt_regs *regs, long id)
{
	uint32_t call;

	if ((uint64_t)id >= PROC_CALL_NUMBERS || gopher_is_compat(regs))
		return PROC_CALL_OTHER;
	call = call_of_number[id & (PROC_CALL_NUMBERS - 1)];
	return call & (PROC_CALLS - 1);
}

static __always_inline int is_timed(uint32_t call)
{
	return call && (timed >> call & 1);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(entered, struct pt_regs *regs, long id)
{
	uint32_t call = call_of(regs, id);
	struct inside *inside;

	if (!is_timed(call) || !gopher_current_in_scope())
		return 0;
	inside = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL,
				      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!inside) {
		gopher_lose(PROC_SYSCALL_LOST_TIME);
		return 0;
	}
	inside->call = call;
	inside->since = bpf_ktime_get_ns();
	return 0;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(entered_hash, struct pt_regs *regs, long id)
{
	uint32_t call = call_of(regs, id);
	struct inside inside = {.call = call};
	uint32_t thread;

	if (!is_timed(call) || !gopher_current_in_scope())
		return 0;
	thread = (uint32_t)bpf_get_current_pid_tgid();
	inside.since = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&threads_hash, &thread, &inside, BPF_ANY))
		gopher_lose(PROC_SYSCALL_LOST_TIME);
	return 0;
}

/* The kind of file system that descriptor `fd` of the running process is on; 0 if it is none any more. */
static __always_inline int file_system_of(uint32_t fd, uint8_t *name, uint32_t size)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	if (!file)
		return 0;
	return bpf_probe_read_kernel_str(name, size, BPF_CORE_READ(file, f_inode, i_sb, s_type, name)) > 0;
}

static __noinline int time_by_file_system(struct proc_syscalls *process, uint32_t fd, uint32_t call,
					  uint64_t ns)
{
	struct proc_fs_calls *calls, none = {};
	struct proc_fs_key key = {};

	if (!process || !file_system_of(fd, key.fs_type, sizeof(key.fs_type)))
		return 0;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	key.start_ticks = process->head.start_ticks;
	calls = bpf_map_lookup_elem(&file_systems, &key);
	if (!calls) {
		bpf_map_update_elem(&file_systems, &key, &none, BPF_NOEXIST);
		calls = bpf_map_lookup_elem(&file_systems, &key);
	}
	if (!calls) {
		gopher_lose(GOPHER_LOST_MAP);
		return 0;
	}
	proc_add_time(call == PROC_CALL_READ	? &calls->read
		      : call == PROC_CALL_WRITE ? &calls->write
						: &calls->fsync,
		      ns);
	return 0;
}

static __always_inline void time(struct proc_syscalls *process, struct pt_regs *regs, uint32_t call,
				 uint64_t ns)
{
	if (proc_add_time(&process->of[call & (PROC_CALLS - 1)], ns) && call == PROC_CALL_IOCTL) {
		process->ioctl_fd = gopher_first_argument(regs);
		process->ioctl_command = gopher_second_argument(regs);
	}
	if (by_file_system && call >= PROC_CALL_READ && call <= PROC_CALL_FSYNC)
		time_by_file_system(process, gopher_first_argument(regs), call, ns);
}

/* A call returns: `inside` is the thread's place if the call is timed. */
static __always_inline int return_of(struct pt_regs *regs, long ret, uint32_t call, struct inside *inside)
{
	int is_inside = inside && inside->call == call && call;
	/* Before anything else takes time. */
	uint64_t now = is_inside ? bpf_ktime_get_ns() : 0;
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_syscalls *process;

	/* In scope when it began; else ask now. */
	if (!is_inside && (!counting || !gopher_in_scope(tgid)))
		return 0;
	/* The child's return of a fork is no call of its own. */
	if (!is_inside && ret == 0 && call >= PROC_CALL_FORK && call <= PROC_CALL_CLONE)
		return 0;
	process = process_of(tgid);
	if (!process)
		return 0;
	if (counting) {
		__sync_fetch_and_add(&process->calls, 1);
		/* The return of a signal's handler has no number, and the result of the call that it
		 * interrupted. */
		if (ret < 0 && ret >= -4095 && gopher_syscall_number(regs) >= 0)
			__sync_fetch_and_add(&process->failed, 1);
	}
	if (is_inside) {
		inside->call = 0;
		time(process, regs, call, now - inside->since);
	}
	return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(returned, struct pt_regs *regs, long ret)
{
	uint32_t call = call_of(regs, gopher_syscall_number(regs));
	struct inside *inside = NULL;

	if (is_timed(call))
		inside = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	return return_of(regs, ret, call, inside);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(returned_hash, struct pt_regs *regs, long ret)
{
	uint32_t call = call_of(regs, gopher_syscall_number(regs)), thread;
	struct inside *inside = NULL;

	if (is_timed(call)) {
		thread = (uint32_t)bpf_get_current_pid_tgid();
		inside = bpf_map_lookup_elem(&threads_hash, &thread);
	}
	return return_of(regs, ret, call, inside);
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(forked, struct task_struct *parent, struct task_struct *child)
{
	struct proc_syscalls *process;
	uint32_t tgid;

	if (!counting || !gopher_current_in_scope())
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	/* Threads of the kernel are no processes. */
	process = tgid ? process_of(tgid) : NULL;
	if (!process)
		return 0;
	if (child->pid == child->tgid)
		__sync_fetch_and_add(&process->forks, 1);
	else
		__sync_fetch_and_add(&process->threads, 1);
	return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended, struct task_struct *task)
{
	return proc_end(task);
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(ended_hash, struct task_struct *task)
{
	uint32_t thread = task->pid;

	bpf_map_delete_elem(&threads_hash, &thread);
	return proc_end(task);
}

char LICENSE[] SEC("license") = "GPL";
