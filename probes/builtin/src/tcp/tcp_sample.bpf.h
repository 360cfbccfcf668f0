/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Samples of what has a level and no count: round trips, windows, timers, buffers; and a connection's end. */
#ifndef TCP_SAMPLE_BPF_H
#define TCP_SAMPLE_BPF_H

static __always_inline struct tcp_samples *samples_of(const struct tcp_series_key *key)
{
	struct tcp_samples *found = entry(&samples, key, &no_samples);

	if (!found)
		gopher_lose(TCP_LOST_SAMPLES);
	return found;
}

/*
 * gopher_hist_bucket for values and bounds below 2^63, without a branch: a sample has a dozen distributions,
 * and each branch is walked by the verifier.
 */
static __always_inline uint32_t bucket(const volatile uint64_t *bounds, uint32_t n, uint64_t value)
{
	uint32_t slot = 0;

#pragma unroll
	for (uint32_t i = 0; i < n; i++)
		slot += (bounds[i] - value) >> 63;
	return slot;
}

static __always_inline void count(struct tcp_hist *hist, const volatile uint64_t *bounds, uint64_t value)
{
	uint32_t slot = bucket(bounds, 5, value);

	if (slot > 5)
		return;
	__sync_fetch_and_add(&hist->count[slot], 1);
	__sync_fetch_and_add(&hist->sum, value);
	if (value > hist->max)
		hist->max = value;
}

static __always_inline void count_buf(struct tcp_buf_hist *hist, uint64_t value)
{
	uint32_t slot = bucket(bounds_buf, 8, value);

	if (slot > 8)
		return;
	__sync_fetch_and_add(&hist->count[slot], 1);
	__sync_fetch_and_add(&hist->sum, value);
	if (value > hist->max)
		hist->max = value;
}

static __always_inline void add_syn(const struct tcp_series_key *key, uint32_t srtt)
{
	struct tcp_samples *found;

	if (!(sampled & TCP_SAMPLE_SYN))
		return;
	found = samples_of(key);
	if (found)
		count(&found->hist[TCP_SYN_SRTT], bounds_rtt, srtt);
}

static __always_inline void add_windows(struct tcp_samples *found, const struct tcp_series_key *key,
					const struct tcp_sock *tp, int hash)
{
	uint32_t snd_una = GET(tp, snd_una), snd_nxt = GET(tp, snd_nxt), snd_wnd = GET(tp, snd_wnd);
	uint32_t rcv_wnd = GET(tp, rcv_wnd);
	int32_t usable = (int32_t)(snd_una + snd_wnd - snd_nxt),
		unsent = (int32_t)(GET(tp, write_seq) - snd_nxt);
	struct tcp_sums *sums;

	count(&found->hist[TCP_SND_CWND], bounds_win, GET(tp, snd_cwnd));
	count(&found->hist[TCP_NOTSENT], bounds_win, unsent > 0 ? unsent : 0);
	count(&found->hist[TCP_NOTACK], bounds_win, snd_nxt - snd_una);
	count(&found->hist[TCP_REORDERING], bounds_win, GET(tp, reordering));
	count(&found->hist[TCP_SND_WND], bounds_win, snd_wnd);
	count(&found->hist[TCP_RCV_WND], bounds_win, rcv_wnd);
	count(&found->hist[TCP_AVL_SND_WND], bounds_win, usable > 0 ? usable : 0);
	sums = entry(&series, key, &no_sums);
	if (!sums) {
		gopher_lose(GOPHER_LOST_MAP);
		return;
	}
	__sync_fetch_and_add(&sums->samples, 1);
	if (!rcv_wnd)
		__sync_fetch_and_add(&sums->zero_rcv_wnd, 1);
	if (!snd_wnd)
		__sync_fetch_and_add(&sums->zero_snd_wnd, 1);
}

/* One sample of everything that is asked for. A zero that means "not known yet" is none. */
static __always_inline void sample(struct sock_state *st, struct sock *sk, const struct tcp_sock *tp,
				   int hash)
{
	const struct inet_connection_sock *icsk = (const void *)tp;
	struct tcp_series_key key;
	struct tcp_samples *found;
	uint32_t value;

	if (!(sampled & ~TCP_SAMPLE_SYN))
		return;
	LOCK(st);
	key = st->key;
	UNLOCK(st);
	found = samples_of(&key);
	if (!found)
		return;
	if (sampled & TCP_SAMPLE_RTT) {
		value = GET(tp, srtt_us) >> 3;
		if (value)
			count(&found->hist[TCP_SRTT], bounds_rtt, value);
		value = GET(tp, rcv_rtt_est.rtt_us) >> 3;
		if (value)
			count(&found->hist[TCP_RCV_RTT], bounds_rtt, value);
	}
	if (sampled & TCP_SAMPLE_RATE) {
		value = GET(icsk, icsk_rto);
		count(&found->hist[TCP_RTO], bounds_rto, (uint64_t)value * tick_ns / 1000000);
		value = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ack.ato);
		if (value)
			count(&found->hist[TCP_ATO], bounds_rto, (uint64_t)value * tick_ns / 1000000);
	}
	if (sampled & TCP_SAMPLE_SOCKBUF) {
		count_buf(&found->rcvbuf, GET(sk, sk_rcvbuf));
		count_buf(&found->sndbuf, GET(sk, sk_sndbuf));
	}
	if (sampled & TCP_SAMPLE_WINDOWS)
		add_windows(found, &key, tp, hash);
}

/* The sample of an end that was told late, unless the socket was reset to zero since. */
static __always_inline void sample_final(struct sock_state *st, const struct tcp_sock *tp, int hash)
{
	if (GET(tp, segs_in) && GET(tp, segs_in) == st->now.segs_in)
		sample(st, (struct sock *)tp, tp, hash);
}

/* Of the error numbers, which vmlinux.h has not. */
#define ETIMEDOUT 110

/* The connection is over: its counters are final now, and gone when the socket is destroyed. */
static __always_inline void finish(struct sock_state *st, struct sock *sk, const struct tcp_sock *tp,
				   int hash)
{
	struct counts now;

	addresses(st, sk, hash);
	snapshot(&now, sk, tp, hash);
	if (GET(sk, sk_err) == ETIMEDOUT && !(st->flags & ENDED))
		st->now.timeouts = 1;
	st->flags |= ENDED;
	settle(st, &now, hash);
	if (st->flags & OWNED)
		sample(st, sk, tp, hash);
	/* Closed by its process, yet no process claimed it: the claim was missed. */
	else if (GET(sk, __sk_common.skc_flags) >> SOCK_DEAD & 1)
		st->flags |= ORPHANED;
}

#endif /* TCP_SAMPLE_BPF_H */
