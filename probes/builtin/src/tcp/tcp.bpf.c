// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * TCP connections: a pass over the open files reads what the kernel keeps of each socket, the changes of its
 * state tell birth, owner and end. Nothing is on the path of the data, but for tcp_delay.
 *
 * Each program exists twice: with socket storage and direct loads, and, for kernels that have no socket
 * storage for tracing (5.10), with a hash by the socket's address and probe reads. One body serves both;
 * `hash` is a constant.
 */
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <gopher/core_fixes.bpf.h>
#include <gopher/hist.bpf.h>
#include <gopher/ring.bpf.h>
#include <gopher/scope.bpf.h>
#include <gopher/sock.bpf.h>

#include "tcp.h"
#include "tcp_maps.bpf.h"
#include "tcp_sock.bpf.h"
#include "tcp_sample.bpf.h"
#include "tcp_delay.bpf.h"

/* A socket's state changes in a system call of its owner: connect, listen, close, shutdown, exit. */
static __always_inline int on_call(struct sock *sk, int new_state, int hash)
{
	struct sock_state *st;
	struct owner owner;

	if (new_state != TCP_SYN_SENT && new_state != TCP_LISTEN && new_state != TCP_FIN_WAIT1 &&
	    new_state != TCP_LAST_ACK)
		return 0;
	if (protocol_of(sk, hash) != IPPROTO_TCP)
		return 0;
	if (new_state == TCP_LISTEN) {
		uint32_t tgid = bpf_get_current_pid_tgid() >> 32;

		listener_seen(sk, tgid, gopher_in_scope(tgid), hash);
		return 0;
	}
	st = state_of(sk, 0, hash);
	if (!gopher_current_in_scope()) {
		/* A socket that was not its process's, or one that is used again by a process that left the
		 * scope. */
		if (st && (new_state == TCP_SYN_SENT || !(st->flags & OWNED)))
			forget(sk, hash);
		return 0;
	}
	current_owner(&owner);
	if (new_state == TCP_SYN_SENT) {
		if (st)
			renew(st, hash);
		else
			st = state_of(sk, 1, hash);
		if (st) {
			st->key.role = GOPHER_ROLE_CLIENT;
			own(st, &owner, hash);
		}
		return 0;
	}
	if (!st)
		st = first_sight(sk, &owner, hash);
	else if (!(st->flags & OWNED))
		own(st, &owner, hash);
	return 0;
}

/* A socket's state changes in softirq, or in whoever holds its lock: `current` says nothing. */
static __always_inline int on_softirq(struct sock *sk, int old_state, int new_state, int hash)
{
	struct sock_state *st;
	const struct tcp_sock *tp;

	if (new_state == TCP_ESTABLISHED && old_state == TCP_SYN_RECV) {
		/* Most connections of a host are out of scope: they cost this lookup. */
		if (protocol_of(sk, hash) != IPPROTO_TCP || !listener_in_scope(sk, hash))
			return 0;
		st = state_of(sk, 1, hash);
		if (!st)
			return 0;
		st->key.role = GOPHER_ROLE_SERVER;
	} else if (new_state == TCP_ESTABLISHED && old_state == TCP_SYN_SENT) {
		st = state_of(sk, 0, hash);
		if (!st)
			return 0;
	} else if (new_state == TCP_CLOSE) {
		st = state_of(sk, 0, hash);
		if (!st)
			return 0;
		tp = tcp_of(sk, hash);
		if (tp)
			finish(st, sk, tp, hash);
		return 0;
	} else {
		return 0;
	}
	tp = tcp_of(sk, hash);
	if (tp)
		/* In eighths; known and below a microsecond is one. */
		st->syn_srtt = (GET(tp, srtt_us) + 7) >> 3;
	addresses(st, sk, hash);
	return 0;
}

static __always_inline int on_destroy(struct sock *sk, int hash)
{
	struct sock_state *st = state_of(sk, 0, hash);
	const struct tcp_sock *tp;
	struct owner owner;

	if (!st)
		return 0;
	tp = tcp_of(sk, hash);
	if (!tp)
		return 0;
	if (!(st->flags & ENDED)) {
		/* Its end was missed; SO_LINGER 0 aside, which has reset the counters, they are still there.
		 */
		st->flags |= ORPHANED;
		finish(st, sk, tp, hash);
	} else if (!(st->flags & (OWNED | ORPHANED)) && gopher_current_in_scope()) {
		/* Accepted and ended by the peer: who closes it now is its owner. */
		current_owner(&owner);
		own(st, &owner, hash);
		settle(st, NULL, hash);
		sample_final(st, tp, hash);
	} else {
		/* What happened after the end: a reset for data that nobody had read. */
		settle(st, NULL, hash);
	}
	if (!(st->flags & OWNED) && (st->flags & ORPHANED))
		gopher_lose(TCP_LOST_OWNER);
	if (hash)
		forget(sk, hash);
	return 0;
}

/* The pass goes through one process after the other: the last one's answer is that of its next file. */
static __always_inline int pass_in_scope(uint32_t tgid)
{
	if (pass_asked != pass || pass_tgid != tgid) {
		pass_answer = gopher_in_scope(tgid);
		pass_tgid = tgid;
		pass_asked = pass;
	}
	return pass_answer;
}

/* One open file of one process. */
static __always_inline int on_file(struct task_struct *task, struct file *file, int hash)
{
	struct sock_state *st;
	const struct tcp_sock *tp;
	struct counts now;
	struct owner owner;
	struct sock *sk;
	uint32_t tgid;
	int in_scope, state;

	tgid = GET(task, tgid);
	in_scope = pass_in_scope(tgid);
	if (!in_scope && !scan_listeners)
		return 0;
	sk = hash ? gopher_file_sock(file) : file_sock(file);
	if (!sk)
		return 0;
	state = GET(sk, __sk_common.skc_state);
	if (state == TCP_LISTEN) {
		if (protocol_of(sk, hash) == IPPROTO_TCP)
			listener_seen(sk, tgid, in_scope, hash);
		return 0;
	}
	if (!in_scope || state == TCP_CLOSE || state == TCP_SYN_SENT || state == TCP_NEW_SYN_RECV)
		return 0;
	tp = tcp_of(sk, hash);
	if (!tp)
		return 0;
	st = state_of(sk, 0, hash);
	if (!st) {
		task_owner(&owner, task);
		st = first_sight(sk, &owner, hash);
		if (!st)
			return 0;
		st->pass = pass;
		settle(st, NULL, hash);
		return 0;
	}
	if (!(st->flags & OWNED)) {
		task_owner(&owner, task);
		own(st, &owner, hash);
	} else if (st->key.tgid != tgid) {
		/* Held by several: the owner keeps it as long as it is seen with it. */
		if (st->pass + 1 >= pass)
			return 0;
		task_owner(&owner, task);
		hand_over(st, &owner, hash);
	} else if (renamed(st, task, hash)) {
		task_owner(&owner, task);
		hand_over(st, &owner, hash);
	}
	st->pass = pass;
	if (!moved(st, sk, tp, hash))
		return 0;
	addresses(st, sk, hash);
	snapshot(&now, sk, tp, hash);
	settle(st, &now, hash);
	sample(st, sk, tp, hash);
	return 0;
}

/* Something happened to a socket that its counters do not tell. */
static __always_inline void on_event(struct sock *sk, uint32_t offset, int hash)
{
	struct sock_state *st;

	if (!sk)
		return;
	st = state_of(sk, 0, hash);
	if (st && offset < sizeof(st->now)) {
		__sync_fetch_and_add((uint32_t *)((char *)&st->now + offset), 1);
		st->dirty = 1;
	}
}

#define BOTH(name, section, arguments, body_storage, body_hash)      \
	SEC("?" section) int BPF_PROG(name, UNPACK arguments)        \
	{                                                            \
		return body_storage;                                 \
	}                                                            \
	SEC("?" section) int BPF_PROG(name##_hash, UNPACK arguments) \
	{                                                            \
		return body_hash;                                    \
	}
#define UNPACK(...) __VA_ARGS__

BOTH(state_call, "tp_btf/inet_sock_set_state", (struct sock * sk, int old_state, int new_state),
     on_call(sk, new_state, 0), on_call(sk, new_state, 1))
BOTH(state_softirq, "tp_btf/inet_sock_set_state", (struct sock * sk, int old_state, int new_state),
     on_softirq(sk, old_state, new_state, 0), on_softirq(sk, old_state, new_state, 1))
BOTH(destroyed, "tp_btf/tcp_destroy_sock", (struct sock * sk), on_destroy(sk, 0), on_destroy(sk, 1))

SEC("?iter/task_file")
int each_file(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;

	return task && file ? on_file(task, file, 0) : 0;
}

SEC("?iter/task_file")
int each_file_hash(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;

	return task && file ? on_file(task, file, 1) : 0;
}

#define EVENT(field) offsetof(struct counts, field)

static __always_inline int on_limit(struct sock *sk, int kind, int hash)
{
	/* SK_MEM_SEND, a macro of the kernel. */
	if (kind == 0)
		on_event(sk, EVENT(send_limits), hash);
	return 0;
}

static __always_inline int on_reset(struct sock *sk, uint32_t field, int hash)
{
	on_event(sk, field, hash);
	return 0;
}

BOTH(reset_sent, "tp_btf/tcp_send_reset", (struct sock * sk), on_reset(sk, EVENT(rsts_sent), 0),
     on_reset(sk, EVENT(rsts_sent), 1))
BOTH(reset_received, "tp_btf/tcp_receive_reset", (struct sock * sk), on_reset(sk, EVENT(rsts_received), 0),
     on_reset(sk, EVENT(rsts_received), 1))
BOTH(buffer_limit, "tp_btf/sock_exceed_buf_limit",
     (struct sock * sk, struct proto *protocol, long allocated, int kind), on_limit(sk, kind, 0),
     on_limit(sk, kind, 1))

/* A segment was dropped and the kernel says for which socket: Linux 6.11. */
SEC("?tp_btf/kfree_skb")
int BPF_PROG(dropped, struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *sk)
{
	uint32_t field;

	/* The numbers differ from kernel to kernel. */
	if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_SOCKET_BACKLOG))
		field = EVENT(backlog_drops);
	else if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_SOCKET_FILTER))
		field = EVENT(filter_drops);
	else if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_PROTO_MEM))
		field = EVENT(memory_drops);
	else
		return 0;
	if (sk && gopher_sk_protocol(sk) == IPPROTO_TCP)
		on_event(sk, field, 0);
	return 0;
}

static __always_inline int on_verdict(struct sock *sk, int out_of_memory, int hash)
{
	if (out_of_memory)
		on_event(sk, EVENT(out_of_memory), hash);
	return 0;
}

/* No tracepoint tells it. */
BOTH(out_of_memory, "fexit/tcp_check_oom", (struct sock * sk, int shift, int verdict),
     on_verdict(sk, verdict & 1, 0), on_verdict(sk, verdict & 1, 1))

BOTH(segment, "tp_btf/tcp_probe", (struct sock * sk, struct sk_buff *skb), on_segment(sk, skb, 0),
     on_segment(sk, skb, 1))
BOTH(was_read, "tp_btf/tcp_rcv_space_adjust", (struct sock * sk), on_read(sk, 0), on_read(sk, 1))
BOTH(was_sent, "tp_btf/sock_send_length", (struct sock * sk, int length), on_sent(sk, length, 0),
     on_sent(sk, length, 1))

char LICENSE[] SEC("license") = "GPL";
