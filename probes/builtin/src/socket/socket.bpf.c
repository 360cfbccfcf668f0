// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * `socket`: how connections of TCP are set up, and what a UDP socket takes and drops.
 *
 * Counts are kept in hashes that user space reads and does not empty, so that no count is lost between a
 * reading and a removal. A connection has an entry of its own only while it is being set up; whose an
 * accepted one is, its listening socket says, which the programs find by the address where somebody listens.
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

#include "socket.h"

/* Sizes are set before the load. */
#define HASH(name, entries, key_type, value_type) \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_HASH);  \
		__uint(max_entries, entries);     \
		__type(key, key_type);            \
		__type(value, value_type);        \
	} name SEC(".maps")

/* A connection that is being set up by connect(). */
struct attempt {
	struct endpoint_key key;
	uint64_t since;
	/* Nothing of it is counted before it has ended; what would have been is here. */
	uint32_t apart;
	uint32_t retran_syn;
	uint32_t syn_drop;
	uint32_t zero;
};

HASH(tcp_endpoints, 5120, struct endpoint_key, struct endpoint_counts);
/* By the address of struct sock, from SYN_SENT until it fares one way or the other. */
HASH(attempts, 5120, uint64_t, struct attempt);
HASH(listeners, 5120, struct listen_key, struct listen_value);
HASH(closed_listeners, 1024, struct closed_key, struct closed_value);
HASH(udp_endpoints, 5120, struct udp_key, struct udp_counts);
HASH(udp_drops, 5120, struct drop_key, struct drop_counts);
/* Ends of connects that are told apart, as struct ended_connect. */
GOPHER_RING(ended_connects, 256 * 1024);

/* The bounds of estab_latency in ns, those of the table. */
const volatile uint64_t latency_bounds[SOCKET_LATENCY_BOUNDS] = {};

/* Number of the report period, for the largest latency of each. */
uint64_t period = 1;

/* SOCKET_TELL_*: set before each pass of the file iterator. */
uint32_t tell = 0;

/* Connects are told one by one, with the client's port: cluster_ip_backend. */
uint32_t connects_apart = 0;

static __always_inline void owner_of(struct task_struct *task, struct socket_owner *owner)
{
	owner->start_ticks = gopher_start_ticks(task);
	owner->tgid = BPF_CORE_READ(task, tgid);
	/* As a string: what is behind the NUL in the kernel is left over from older names. */
	bpf_probe_read_kernel_str(owner->comm, sizeof(owner->comm), BPF_CORE_READ(task, group_leader, comm));
}

static __always_inline uint32_t netns_of(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline struct endpoint_counts *counts_of(const struct endpoint_key *key)
{
	struct endpoint_counts *counts = bpf_map_lookup_elem(&tcp_endpoints, key);
	struct endpoint_counts none = {};

	if (counts)
		return counts;
	bpf_map_update_elem(&tcp_endpoints, key, &none, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&tcp_endpoints, key);
	if (!counts)
		gopher_lose(GOPHER_LOST_MAP);
	return counts;
}

#define COUNT(key, field)                                        \
	({                                                       \
		struct endpoint_counts *counts = counts_of(key); \
		if (counts)                                      \
			__sync_fetch_and_add(&counts->field, 1); \
		counts;                                          \
	})

static __always_inline void count_latency(struct endpoint_counts *counts, uint64_t ns)
{
	uint32_t slot = gopher_hist_bucket(latency_bounds, SOCKET_LATENCY_BOUNDS, ns);

	if (slot < SOCKET_LATENCY_SLOTS)
		__sync_fetch_and_add(&counts->latency[slot], 1);
	__sync_fetch_and_add(&counts->latency_sum, ns);
	/* Not atomic: of two at the same moment the smaller may win. */
	if (counts->latency_period != period) {
		counts->latency_period = period;
		counts->latency_max = 0;
	}
	if (ns > counts->latency_max)
		counts->latency_max = ns;
}

/* Where `sk` listens. A v4-mapped address is IPv4's, as it is for the connections. */
static __always_inline int listen_key_of(const struct sock *sk, struct listen_key *key)
{
	struct gopher_tuple tuple;
	uint32_t words[4];

	if (gopher_sock_tuple(sk, &tuple))
		return -1;
	__builtin_memcpy(words, tuple.local_ip, sizeof(words));
	key->family = tuple.family;
	if (tuple.family == GOPHER_FAMILY_IPV6 && !words[0] && !words[1] && words[2] == bpf_htonl(0xffff)) {
		key->family = GOPHER_FAMILY_IPV4;
		words[0] = words[3];
		words[2] = words[3] = 0;
	}
	__builtin_memcpy(key->ip, words, sizeof(words));
	key->netns = netns_of(sk);
	key->port = tuple.local_port;
	return 0;
}

/* Who listens where `tuple` arrives, if it is in scope. */
static __always_inline struct listen_value *listener_of(uint32_t netns, const struct gopher_tuple *tuple)
{
	struct listen_key key = {.netns = netns, .port = tuple->local_port, .family = tuple->family};
	struct listen_value *listener;

	__builtin_memcpy(key.ip, tuple->local_ip, sizeof(key.ip));
	listener = bpf_map_lookup_elem(&listeners, &key);
	if (!listener) {
		__builtin_memset(key.ip, 0, sizeof(key.ip));
		listener = bpf_map_lookup_elem(&listeners, &key);
	}
	if (!listener && key.family == GOPHER_FAMILY_IPV4) {
		key.family = GOPHER_FAMILY_IPV6; /* :: takes both, unless it was told not to */
		listener = bpf_map_lookup_elem(&listeners, &key);
	}
	return listener && listener->observed ? listener : NULL;
}

static __always_inline void server_key(const struct listen_value *listener, const struct gopher_tuple *tuple,
				       struct endpoint_key *key)
{
	key->owner = listener->owner;
	__builtin_memcpy(key->client_ip, tuple->peer_ip, sizeof(key->client_ip));
	__builtin_memcpy(key->server_ip, tuple->local_ip, sizeof(key->server_ip));
	key->server_port = tuple->local_port;
	key->family = tuple->family;
	key->role = GOPHER_ROLE_SERVER;
}

static __always_inline void connecting(struct sock *sk)
{
	struct attempt attempt = {};
	struct endpoint_key *key = &attempt.key;
	struct gopher_tuple tuple;
	uint64_t id = (uint64_t)sk;

	if (!gopher_current_in_scope() || gopher_sock_tuple(sk, &tuple))
		return;
	owner_of((struct task_struct *)bpf_get_current_task(), &key->owner);
	__builtin_memcpy(key->client_ip, tuple.local_ip, sizeof(key->client_ip));
	__builtin_memcpy(key->server_ip, tuple.peer_ip, sizeof(key->server_ip));
	key->server_port = tuple.peer_port;
	key->family = tuple.family;
	key->role = GOPHER_ROLE_CLIENT;
	attempt.since = bpf_ktime_get_ns();
	attempt.apart = connects_apart;
	if (!attempt.apart)
		COUNT(key, syn_sent);
	/* Whatever is there is of an older life of the same socket. */
	if (bpf_map_update_elem(&attempts, &id, &attempt, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
}

static __always_inline void listening(struct sock *sk)
{
	struct listen_value value = {};
	struct listen_key key = {};

	/* Without a bind() the port comes later: the next pass finds it. */
	if (listen_key_of(sk, &key) || !key.port)
		return;
	owner_of((struct task_struct *)bpf_get_current_task(), &value.owner);
	value.since = bpf_ktime_get_ns();
	value.observed = gopher_in_scope(value.owner.tgid);
	if (bpf_map_update_elem(&listeners, &key, &value, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
}

static __always_inline void not_listening(struct sock *sk)
{
	struct inet_connection_sock *icsk = (struct inet_connection_sock *)sk;
	struct closed_key key = {.sk = (uint64_t)sk, .at = bpf_ktime_get_ns()};
	struct closed_value value = {};

	if (listen_key_of(sk, &value.key))
		return;
	owner_of((struct task_struct *)bpf_get_current_task(), &value.owner);
	value.drops = gopher_sk_drops(sk);
	value.accept_queue = BPF_CORE_READ(sk, sk_ack_backlog);
	value.requests = BPF_CORE_READ(icsk, icsk_accept_queue.qlen.counter);
	if (bpf_map_update_elem(&closed_listeners, &key, &value, BPF_ANY))
		gopher_lose(GOPHER_LOST_MAP);
}

/* The changes that a system call of the socket's process makes; `current` is that process. */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(state_by_call, struct sock *sk, int old_state, int new_state)
{
	if (new_state == TCP_SYN_SENT) {
		if (gopher_sk_protocol(sk) == IPPROTO_TCP)
			connecting(sk);
	} else if (new_state == TCP_LISTEN) {
		if (gopher_sk_protocol(sk) == IPPROTO_TCP)
			listening(sk);
	} else if (old_state == TCP_LISTEN && new_state == TCP_CLOSE) {
		if (gopher_sk_protocol(sk) == IPPROTO_TCP)
			not_listening(sk);
	}
	return 0;
}

/* What was put off of an attempt that nobody will ask for the backend of. */
static __always_inline void count_put_off(const struct attempt *attempt)
{
	struct endpoint_counts *counts = COUNT(&attempt->key, syn_sent);

	if (!counts)
		return;
	__sync_fetch_and_add(&counts->retran_syn, attempt->retran_syn);
	__sync_fetch_and_add(&counts->syn_drop, attempt->syn_drop);
}

static __always_inline int told_apart(struct sock *sk, const struct attempt *attempt, int established,
				      uint64_t latency)
{
	struct ended_connect *record;
	struct gopher_tuple tuple;

	if (gopher_sock_tuple(sk, &tuple))
		return 0;
	record = bpf_ringbuf_reserve(&ended_connects, sizeof(*record), 0);
	if (!record)
		return 0;
	record->key = attempt->key;
	record->latency = latency;
	record->retran_syn = attempt->retran_syn;
	record->syn_drop = attempt->syn_drop;
	record->client_port = tuple.local_port;
	record->established = established;
	record->zero = 0;
	gopher_ring_submit(&ended_connects, record, sizeof(*record));
	return 1;
}

static __always_inline int attempt_ended(struct sock *sk, int established)
{
	uint64_t id = (uint64_t)sk, latency;
	struct attempt *attempt = bpf_map_lookup_elem(&attempts, &id);
	struct endpoint_counts *counts;

	if (!attempt)
		return 0;
	latency = established ? bpf_ktime_get_ns() - attempt->since : 0;
	if (attempt->apart) {
		if (told_apart(sk, attempt, established, latency))
			goto ended;
		count_put_off(attempt);
		gopher_lose(SOCKET_LOST_BACKEND);
	}
	if (established) {
		counts = COUNT(&attempt->key, active_open);
		if (counts)
			count_latency(counts, latency);
	} else {
		COUNT(&attempt->key, active_open_failed);
	}
ended:
	bpf_map_delete_elem(&attempts, &id);
	return 1;
}

static __always_inline void accepted(struct sock *sk, int established)
{
	struct gopher_tuple tuple;
	struct listen_value *listener;
	struct endpoint_counts *counts;
	struct endpoint_key key = {};
	uint32_t srtt;

	if (gopher_sock_tuple(sk, &tuple))
		return;
	listener = listener_of(netns_of(sk), &tuple);
	if (!listener)
		return;
	server_key(listener, &tuple, &key);
	if (!established) {
		COUNT(&key, passive_open_failed);
		return;
	}
	counts = COUNT(&key, passive_open);
	/* The first round trip: from our SYN-ACK to the peer's ACK, in eighths of a microsecond. None with
	 * SYN cookies.
	 */
	srtt = BPF_CORE_READ((struct tcp_sock *)sk, srtt_us);
	if (counts && srtt)
		count_latency(counts, (uint64_t)srtt * 125);
}

/* The changes that arriving segments and timers make; nothing here looks at `current`. */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(state_by_segment, struct sock *sk, int old_state, int new_state)
{
	int ended = new_state == TCP_ESTABLISHED || new_state == TCP_CLOSE;

	if (!ended || (old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV) ||
	    gopher_sk_protocol(sk) != IPPROTO_TCP)
		return 0;
	/* Both ends may have connected at once: then a client goes through SYN_RECV as well. */
	if (!attempt_ended(sk, new_state == TCP_ESTABLISHED) && old_state == TCP_SYN_RECV)
		accepted(sk, new_state == TCP_ESTABLISHED);
	return 0;
}

/* A program that is entered again on its CPU is skipped, so an end can be missed: nothing may be left behind.
 */
SEC("?tp_btf/tcp_destroy_sock")
int BPF_PROG(destroyed, struct sock *sk)
{
	uint64_t id = (uint64_t)sk;
	struct attempt *attempt = bpf_map_lookup_elem(&attempts, &id);

	if (!attempt)
		return 0;
	if (attempt->apart)
		count_put_off(attempt);
	if (bpf_map_delete_elem(&attempts, &id) == 0)
		gopher_lose(SOCKET_LOST_END);
	return 0;
}

SEC("?tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmitted, struct sock *sk)
{
	uint64_t id = (uint64_t)sk;
	struct attempt *attempt;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT)
		return 0;
	attempt = bpf_map_lookup_elem(&attempts, &id);
	if (attempt && attempt->apart)
		__sync_fetch_and_add(&attempt->retran_syn, 1);
	else if (attempt)
		COUNT(&attempt->key, retran_syn);
	return 0;
}

SEC("?tp_btf/tcp_retransmit_synack")
int BPF_PROG(retransmitted_synack, struct sock *sk, struct request_sock *request)
{
	struct listen_value *listener;
	struct gopher_tuple tuple;
	struct endpoint_key key = {};

	/* What a request and a socket have in common is at the front; the port is not where a socket has it.
	 */
	if (gopher_sock_tuple((struct sock *)request, &tuple))
		return 0;
	tuple.local_port = BPF_CORE_READ(request, __req_common.skc_num);
	listener = listener_of(netns_of(sk), &tuple);
	if (!listener)
		return 0;
	server_key(listener, &tuple, &key);
	COUNT(&key, retran_synacks);
	return 0;
}

/* A SYN that found no neighbour to go to: its socket is still the segment's. */
SEC("?tp_btf/kfree_skb")
int BPF_PROG(freed, struct sk_buff *skb, void *location, enum skb_drop_reason reason)
{
	struct attempt *attempt;
	uint64_t id;

	if (reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NEIGH_FAILED) &&
	    reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NEIGH_QUEUEFULL))
		return 0;
	id = (uint64_t)BPF_CORE_READ(skb, sk);
	attempt = bpf_map_lookup_elem(&attempts, &id);
	if (attempt && attempt->apart)
		__sync_fetch_and_add(&attempt->syn_drop, 1);
	else if (attempt)
		COUNT(&attempt->key, syn_drop);
	return 0;
}

/* One record for each process that holds a listening TCP socket or a UDP socket. Writes and does nothing
 * else. */
SEC("?iter/task_file")
int held(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct held_socket record = {};
	uint16_t protocol;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = gopher_file_sock(file);
	if (!sk)
		return 0;
	protocol = gopher_sk_protocol(sk);
	if (protocol == IPPROTO_TCP) {
		if (!(tell & SOCKET_TELL_TCP) || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
			return 0;
	} else if (protocol != IPPROTO_UDP || !(tell & SOCKET_TELL_UDP)) {
		return 0;
	}
	if (gopher_sock_tuple(sk, &record.tuple) || !record.tuple.local_port)
		return 0;
	owner_of(task, &record.owner);
	record.sk = (uint64_t)sk;
	record.inode = BPF_CORE_READ(file, f_inode, i_ino);
	record.drops = gopher_sk_drops(sk);
	record.group = BPF_CORE_READ(task, signal, pids[PIDTYPE_PGID], numbers[0].nr);
	record.netns = netns_of(sk);
	record.task_netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	record.protocol = protocol;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

static __always_inline void udp_moved(struct sock *sk, int bytes, int received)
{
	struct udp_counts *counts, none = {};
	struct udp_key key = {};
	struct task_struct *task;

	if (bytes <= 0 || sk->sk_protocol != IPPROTO_UDP || !gopher_current_in_scope() ||
	    gopher_sock_tuple(sk, &key.tuple))
		return;
	task = (struct task_struct *)bpf_get_current_task();
	key.tgid = BPF_CORE_READ(task, tgid);
	key.start_ticks = gopher_start_ticks(task);
	counts = bpf_map_lookup_elem(&udp_endpoints, &key);
	if (!counts) {
		bpf_map_update_elem(&udp_endpoints, &key, &none, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&udp_endpoints, &key);
	}
	if (counts)
		__sync_fetch_and_add(received ? &counts->received : &counts->sent, bytes);
	else
		gopher_lose(GOPHER_LOST_MAP);
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(udp_sent, struct sock *sk, int bytes, int flags)
{
	udp_moved(sk, bytes, 0);
	return 0;
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(udp_received, struct sock *sk, int bytes, int flags)
{
	/* A look at a datagram that stays in the queue. */
	if (!(flags & 2 /* MSG_PEEK */))
		udp_moved(sk, bytes, 1);
	return 0;
}

static __always_inline void udp_dropped(struct sock *sk, uint64_t bytes)
{
	struct drop_counts *counts, none = {};
	struct drop_key key = {.sk = (uint64_t)sk};

	if (gopher_sock_tuple(sk, &key.tuple))
		return;
	counts = bpf_map_lookup_elem(&udp_drops, &key);
	if (!counts) {
		bpf_map_update_elem(&udp_drops, &key, &none, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&udp_drops, &key);
	}
	if (!counts) {
		gopher_lose(GOPHER_LOST_MAP);
		return;
	}
	__sync_fetch_and_add(&counts->packets, 1);
	/* An atomic add of a constant 0 would be compiled to something that 5.10 does not know. */
	if (bytes)
		__sync_fetch_and_add(&counts->bytes, bytes);
}

/* Where the tracepoint has the datagram, its length is the payload's: the header has been taken off. */
SEC("?tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_full_bytes, int error, struct sock *sk, struct sk_buff *skb)
{
	udp_dropped(sk, skb->len);
	return 0;
}

SEC("?tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_full, int error, struct sock *sk)
{
	udp_dropped(sk, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
