/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Every difference between kernels that a program has to know, and no other file has one: fields that moved
 * or were renamed, asked for by CO-RE. Kernels from 5.10 on.
 */
#ifndef GOPHER_CORE_FIXES_BPF_H
#define GOPHER_CORE_FIXES_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#ifndef S_IFMT
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#endif

/*
 * The socket behind an open file; NULL for other files. bpf_sock_from_file would do from 5.11 on; this needs
 * no helper and reads the same two words everywhere. The pointer is not trusted by the verifier: read it with
 * BPF_CORE_READ, or turn it into one by bpf_skc_to_tcp_sock where the kernel takes it.
 */
static __always_inline struct sock *gopher_file_sock(struct file *file)
{
	struct socket *socket;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

/* IPPROTO_* of a socket. Bit fields until 5.6; distributions carried that layout into 5.10. */
static __always_inline uint16_t gopher_sk_protocol(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_protocol);
}

/* SOCK_STREAM, SOCK_DGRAM, … of a socket. */
static __always_inline uint16_t gopher_sk_type(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_type);
}

/*
 * Segments or datagrams that a socket has dropped. From 6.18 on some sockets (UDP's) count them by memory
 * node, in two counters a node apart.
 */
struct numa_drop_counters___from_6_18 {
	atomic_t drops0;
	atomic_t drops1;
} __attribute__((preserve_access_index));

struct sock___from_6_18 {
	struct numa_drop_counters___from_6_18 *sk_drop_counters;
} __attribute__((preserve_access_index));

static __always_inline uint64_t gopher_sk_drops(const struct sock *sk)
{
	const struct sock___from_6_18 *newer = (const void *)sk;
	struct numa_drop_counters___from_6_18 *counters;

	if (bpf_core_field_exists(newer->sk_drop_counters)) {
		counters = BPF_CORE_READ(newer, sk_drop_counters);
		if (counters)
			return (uint64_t)BPF_CORE_READ(counters, drops0.counter) +
			       BPF_CORE_READ(counters, drops1.counter);
	}
	return BPF_CORE_READ(sk, sk_drops.counter);
}

/* Nanoseconds in a clock tick of /proc/<pid>/stat: USER_HZ is 100 on both architectures. */
#define GOPHER_TICK_NS 10000000ULL

/* The start of a process as field 22 of /proc/<pid>/stat has it; with the tgid it names one for good. */
static __always_inline uint64_t gopher_start_ticks(const struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime) / GOPHER_TICK_NS;
}

/* Whether the task is inside execve: a rename then is the exec's own. */
static __always_inline int gopher_in_execve(const struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
}

/*
 * What the registers of a system call say, at its entry and at its return. A 32-bit program (compat) has
 * other numbers for the same calls. The first argument's register has the result at the return on aarch64,
 * which keeps what it was.
 */
#if defined(__TARGET_ARCH_x86)
#define gopher_syscall_number(regs) ((long)(regs)->orig_ax)
#define gopher_first_argument(regs) ((uint64_t)(regs)->di)
#define gopher_second_argument(regs) ((uint64_t)(regs)->si)
#define gopher_is_compat(regs) (((regs)->cs & 0xffff) == 0x23 /* __USER32_CS */)
#elif defined(__TARGET_ARCH_arm64)
#define gopher_syscall_number(regs) ((long)(regs)->syscallno)
#define gopher_first_argument(regs) ((uint64_t)(regs)->orig_x0)
#define gopher_second_argument(regs) ((uint64_t)(regs)->user_regs.regs[1])
#define gopher_is_compat(regs) ((regs)->user_regs.pstate & 0x10 /* PSR_MODE32_BIT */)
#endif

/*
 * Nanoseconds that a thread was runnable without a CPU, as /proc/<pid>/schedstat; 0 where nobody counts. A
 * direct load, for tasks that the verifier knows.
 */
static __always_inline uint64_t gopher_run_delay(const struct task_struct *task)
{
	if (!bpf_core_field_exists(task->sched_info.run_delay))
		return 0;
	return task->sched_info.run_delay;
}

/* Whether a bio is a copy of another: BIO_CLONED, whose enum has no name; bit 1 from 4.10 on. */
static __always_inline int gopher_bio_is_clone(const struct bio *bio)
{
	return BPF_CORE_READ(bio, bi_flags) >> 1 & 1;
}

/* What a task does: 0 is that it can run. A direct load, for tasks that the verifier knows. Renamed in 5.14.
 */
struct task_struct___until_5_13 {
	long state;
} __attribute__((preserve_access_index));

static __always_inline uint32_t gopher_task_state(const struct task_struct *task)
{
	const struct task_struct___until_5_13 *older = (const void *)task;

	if (bpf_core_field_exists(older->state))
		return older->state;
	return task->__state;
}

/* The directory that a kernfs node, such as a cgroup's, lies in. Renamed in 6.15. */
struct kernfs_node___from_6_15 {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *gopher_kernfs_parent(const struct kernfs_node *node)
{
	const struct kernfs_node___from_6_15 *newer = (const void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

/*
 * Resident pages of one kind (MM_FILEPAGES, …). From 6.2 on they are counted by CPU and this is the part that
 * is added up already, a few dozen pages off for each CPU.
 */
struct mm_rss_stat___until_6_1 {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___until_6_1 {
	struct mm_rss_stat___until_6_1 rss_stat;
} __attribute__((preserve_access_index));

#define gopher_mm_pages(mm, kind)                                                            \
	({                                                                                   \
		const struct mm_struct___until_6_1 *older = (const void *)(mm);              \
		int64_t pages = bpf_core_type_exists(struct mm_rss_stat___until_6_1)         \
					? BPF_CORE_READ(older, rss_stat.count[kind].counter) \
					: BPF_CORE_READ(mm, rss_stat[kind].count);           \
		pages > 0 ? (uint64_t)pages : 0;                                             \
	})

/* ---- block devices ---- */

/*
 * The programs NAME and NAME_queue at a tracepoint of requests or bios, with the same body: before 5.11 most
 * of these hand over the queue first. The loader takes the one that the number of arguments tells.
 */
#define GOPHER_BLOCK_PROGRAMS(name, tracepoint, type, argument, body)                \
	SEC("?tp_btf/" tracepoint) int BPF_PROG(name, type argument)                 \
	{                                                                            \
		return body;                                                         \
	}                                                                            \
	SEC("?tp_btf/" tracepoint)                                                   \
	int BPF_PROG(name##_queue, struct request_queue *before_5_11, type argument) \
	{                                                                            \
		return body;                                                         \
	}

struct hd_struct___before_5_11 {
	struct device __dev;
} __attribute__((preserve_access_index));

struct request___before_5_11 {
	struct hd_struct___before_5_11 *part;
} __attribute__((preserve_access_index));

struct request___before_5_17 {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

struct bio___before_5_12 {
	struct gendisk *bi_disk;
} __attribute__((preserve_access_index));

/* The disk of a request; NULL for commands to a device that has none. Direct loads: tracepoint arguments
 * only. */
static __always_inline struct gendisk *gopher_request_disk(const struct request *rq)
{
	const struct request___before_5_17 *older = (const void *)rq;

	if (bpf_core_field_exists(older->rq_disk))
		return older->rq_disk;
	return rq->q->disk;
}

static __always_inline uint32_t gopher_disk_device(const struct gendisk *disk)
{
	return disk ? (uint32_t)disk->major << 20 | (uint32_t)disk->first_minor : 0;
}

/*
 * The number of the partition that a request is for, of the disk if it has none or the disk keeps no
 * statistics; 0 if there is no disk.
 */
static __always_inline uint32_t gopher_request_device(const struct request *rq)
{
	uint32_t device = 0;

	if (bpf_core_type_exists(struct hd_struct___before_5_11)) {
		const struct request___before_5_11 *older = (const void *)rq;
		const struct hd_struct___before_5_11 *part = older->part;

		if (part)
			device = part->__dev.devt;
	} else {
		const struct block_device *part = rq->part;

		if (part)
			device = part->bd_dev;
	}
	return device ? device : gopher_disk_device(gopher_request_disk(rq));
}

/* The disk of a bio. Direct loads. */
static __always_inline struct gendisk *gopher_bio_disk(const struct bio *bio)
{
	const struct bio___before_5_12 *older = (const void *)bio;

	if (bpf_core_field_exists(older->bi_disk))
		return older->bi_disk;
	return bio->bi_bdev ? bio->bi_bdev->bd_disk : NULL;
}

/* The number of the partition that a bio is for; before 5.12 that of its disk. Direct loads. */
static __always_inline uint32_t gopher_bio_device(const struct bio *bio)
{
	const struct bio___before_5_12 *older = (const void *)bio;

	if (bpf_core_field_exists(older->bi_disk))
		return gopher_disk_device(older->bi_disk);
	return bio->bi_bdev ? bio->bi_bdev->bd_dev : 0;
}

/* ---- page cache ---- */

struct folio___from_6_0 {
	unsigned char _folio_order;
} __attribute__((preserve_access_index));

struct folio___from_6_6 {
	unsigned long _flags_1;
} __attribute__((preserve_access_index));

struct page___before_6_0 {
	unsigned char compound_order;
} __attribute__((preserve_access_index));

/* Pages of a folio, or of a page where there are no folios. Direct loads: tracepoint arguments only. */
static __always_inline uint32_t gopher_folio_pages(const void *folio)
{
	const struct folio___from_6_6 *newest = folio;
	const struct folio___from_6_0 *newer = folio;
	const struct page___before_6_0 *second = folio + bpf_core_type_size(struct page);
	/* The flags are the first word everywhere, a struct of their own from 6.18 on. */
	unsigned long flags = *(const volatile unsigned long *)folio;
	unsigned char order = 0;

	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(newer->_folio_order))
		order = BPF_CORE_READ(newer, _folio_order);
	else if (bpf_core_field_exists(newest->_flags_1))
		order = BPF_CORE_READ(newest, _flags_1);
	else if (bpf_core_field_exists(second->compound_order))
		order = BPF_CORE_READ(second, compound_order);
	return 1U << (order & 31);
}

/* What a folio, or a page where there are no folios, is a part of. Direct loads. */
static __always_inline struct address_space *gopher_folio_mapping(const void *folio)
{
	if (bpf_core_type_exists(struct folio))
		return ((const struct folio *)folio)->mapping;
	return ((const struct page *)folio)->mapping;
}

#endif /* GOPHER_CORE_FIXES_BPF_H */
