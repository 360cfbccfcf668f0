/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * tcp_delay: how long data waits for its reader, and how long sent data waits for the peer's acknowledgement.
 * One measurement of each kind runs at a time for a socket, begun by the first data after the one before has
 * ended.
 */
#ifndef TCP_DELAY_BPF_H
#define TCP_DELAY_BPF_H

static __always_inline void add_delay(struct sock_state *st, uint32_t which, uint64_t delay, int hash)
{
	struct tcp_series_key key;
	struct tcp_samples *found;

	LOCK(st);
	key = st->key;
	UNLOCK(st);
	if (!key.tgid || !key.server_port)
		return;
	found = samples_of(&key);
	if (found && which < TCP_HISTS)
		count(&found->hist[which], bounds_delay, delay);
}

/* A socket that was accepted is that of who reads from it or sends through it. */
static __always_inline int claimed(struct sock_state *st, int hash)
{
	struct owner owner;

	if (st->flags & OWNED)
		return 1;
	if (!gopher_current_in_scope())
		return 0;
	current_owner(&owner);
	own(st, &owner, hash);
	return 1;
}

/* A segment for an established connection: data begins to wait, what it acknowledges has waited. */
static __always_inline int on_segment(struct sock *sk, const struct sk_buff *skb, int hash)
{
	struct sock_state *st = state_of(sk, 0, hash);
	const struct tcp_sock *tp;
	struct tcphdr header;
	uint32_t acknowledged;
	uint64_t now;

	if (!st || bpf_probe_read_kernel(&header, sizeof(header), BPF_CORE_READ(skb, data)))
		return 0;
	now = bpf_ktime_get_ns();
	if (BPF_CORE_READ(skb, len) > header.doff * 4U) {
		st->arrived_last = now;
		tp = st->arrived ? NULL : tcp_of(sk, hash);
		if (tp) {
			st->arrived = now;
			st->read_end = GET(tp, copied_seq);
		}
	}
	acknowledged = bpf_ntohl(header.ack_seq);
	if (st->sent && (int32_t)(acknowledged - st->sent_end) >= 0) {
		add_delay(st, TCP_NET_DELAY, now - st->sent, hash);
		st->sent = 0;
	}
	return 0;
}

/* The process has read; what is left arrived with the last segment at the latest. */
static __always_inline int on_read(struct sock *sk, int hash)
{
	struct sock_state *st = state_of(sk, 0, hash);
	const struct tcp_sock *tp;
	uint32_t end;

	if (!st || !st->arrived || !claimed(st, hash))
		return 0;
	tp = tcp_of(sk, hash);
	if (!tp)
		return 0;
	end = GET(tp, copied_seq);
	/* A look that leaves everything there. */
	if (end == st->read_end)
		return 0;
	st->read_end = end;
	add_delay(st, TCP_SYS_DELAY, bpf_ktime_get_ns() - st->arrived, hash);
	st->arrived = GET(tp, rcv_nxt) == end ? 0 : st->arrived_last;
	return 0;
}

/* The process has sent. */
static __always_inline int on_sent(struct sock *sk, int length, int hash)
{
	const struct tcp_sock *tp;
	struct sock_state *st;

	if (length <= 0 || gopher_sk_protocol(sk) != IPPROTO_TCP)
		return 0;
	st = state_of(sk, 0, hash);
	if (!st || st->sent || !claimed(st, hash))
		return 0;
	tp = tcp_of(sk, hash);
	if (!tp || GET(tp, snd_una) == GET(tp, write_seq))
		return 0;
	st->sent_end = GET(tp, write_seq);
	st->sent = bpf_ktime_get_ns();
	return 0;
}

#endif /* TCP_DELAY_BPF_H */
