/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow system calls and the probe say to each other. */
#ifndef PROC_SYSCALL_H
#define PROC_SYSCALL_H

#include "proc_head.h"

/* Reasons of gopher_lost. */
enum proc_syscall_lost {
	/* The start of a call could not be kept, so its time is not known; it is counted all the same. */
	PROC_SYSCALL_LOST_TIME = GOPHER_LOST_OWN,
};

/* The calls that are timed. 0 is every other one. */
enum proc_call {
	PROC_CALL_OTHER = 0,
	PROC_CALL_MOUNT = 1,
	PROC_CALL_UMOUNT = 2,
	PROC_CALL_READ = 3,
	PROC_CALL_WRITE = 4,
	PROC_CALL_FSYNC = 5,
	PROC_CALL_SENDMSG = 6,
	PROC_CALL_RECVMSG = 7,
	PROC_CALL_SCHED_YIELD = 8,
	PROC_CALL_FUTEX = 9,
	PROC_CALL_EPOLL_WAIT = 10,
	PROC_CALL_EPOLL_PWAIT = 11,
	PROC_CALL_FORK = 12,
	PROC_CALL_VFORK = 13,
	PROC_CALL_CLONE = 14,
	PROC_CALL_IOCTL = 15,
};

#define PROC_CALLS 16

/* Numbers of system calls that there is a place for; both architectures are far below. */
#define PROC_CALL_NUMBERS 512

/* A process. */
struct proc_syscalls {
	struct proc_head head;
	uint64_t calls; /* that returned */
	uint64_t failed; /* of them, with an error */
	uint64_t forks; /* processes that it made */
	uint64_t threads; /* threads that it made */
	uint32_t ioctl_fd; /* of the longest ioctl of the period */
	uint32_t ioctl_command;
	struct proc_time of[PROC_CALLS];
};

/* What processes of one name did that ended before they were ever read. */
struct proc_ended {
	uint64_t processes;
	uint64_t calls;
	uint64_t failed;
	uint64_t forks;
	uint64_t threads;
};

/* A kind of file system that a process reads or writes. */
struct proc_fs_key {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t zero;
	uint8_t fs_type[16]; /* zero behind its end; longer names are cut */
};

/* How that goes. */
struct proc_fs_calls {
	struct proc_time read;
	struct proc_time write;
	struct proc_time fsync;
};

#endif /* PROC_SYSCALL_H */
