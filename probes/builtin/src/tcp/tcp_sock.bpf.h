/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What is known of a socket: its state, whose it is, its counters, and telling them to its series. */
#ifndef TCP_SOCK_BPF_H
#define TCP_SOCK_BPF_H

/* A field by a direct load, or by a probe read in the flavour whose pointers the verifier does not know. */
#define GET(pointer, field) (hash ? BPF_CORE_READ(pointer, field) : (pointer)->field)

struct owner {
	uint64_t start_ns;
	uint8_t comm[16];
	uint32_t tgid;
	uint32_t zero;
};

static __always_inline void task_owner(struct owner *owner, const struct task_struct *task)
{
	const struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	__builtin_memset(owner, 0, sizeof(*owner));
	owner->tgid = BPF_CORE_READ(task, tgid);
	owner->start_ns = BPF_CORE_READ(leader, start_boottime);
	BPF_CORE_READ_STR_INTO(&owner->comm, leader, comm);
}

static __always_inline void current_owner(struct owner *owner)
{
	task_owner(owner, (void *)bpf_get_current_task());
}

/* IPPROTO_*; a plain field wherever there is socket storage. */
static __always_inline uint16_t protocol_of(const struct sock *sk, int hash)
{
	return hash ? gopher_sk_protocol(sk) : sk->sk_protocol;
}

/*
 * Whether the socket can have a state of ours, for a look that costs nothing: most sockets of a host have no
 * storage of anybody.
 */
static __always_inline int may_have_state(const struct sock *sk, int hash)
{
	return hash || sk->sk_bpf_storage;
}

/* The TCP socket; NULL for any other and for request and time-wait sockets. */
static __always_inline const struct tcp_sock *tcp_of(struct sock *sk, int hash)
{
	if (!hash)
		return bpf_skc_to_tcp_sock(sk);
	return protocol_of(sk, hash) == IPPROTO_TCP ? (const struct tcp_sock *)sk : NULL;
}

/* The socket of a file with the verifier's knowledge of it. */
static __always_inline struct sock *file_sock(struct file *file)
{
	struct socket *socket;

	/* Most files are none: do not ask the helper about them. */
	if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = bpf_sock_from_file(file);
	return socket ? socket->sk : NULL;
}

static __always_inline struct sock_state *state_of(struct sock *sk, int create, int hash)
{
	struct sock_state *st;
	uint64_t at = (uint64_t)sk;

	if (!create && !may_have_state(sk, hash))
		return NULL;
	if (!hash)
		return bpf_sk_storage_get(&sockets, sk, NULL, create ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	st = bpf_map_lookup_elem(&sockets_hash, &at);
	if (!st && create) {
		static const struct sock_state_bytes none = {};

		bpf_map_update_elem(&sockets_hash, &at, &none, BPF_NOEXIST);
		st = bpf_map_lookup_elem(&sockets_hash, &at);
		if (st)
			st->self = at;
		else
			gopher_lose(TCP_LOST_SOCKETS);
	}
	return st;
}

static __always_inline void forget(struct sock *sk, int hash)
{
	uint64_t at = (uint64_t)sk;

	if (hash)
		bpf_map_delete_elem(&sockets_hash, &at);
	else
		bpf_sk_storage_delete(&sockets, sk);
}

/*
 * Changes of key and flags. In the hash flavour nothing is locked: they meet only where two processes claim
 * one socket at the same moment.
 */
#define LOCK(st)   \
	if (!hash) \
	bpf_spin_lock(&(st)->lock)
#define UNLOCK(st) \
	if (!hash) \
	bpf_spin_unlock(&(st)->lock)

/* Times that the hash flavour tries: longer than another processor settles. */
#define TRIES 16

/* The lock under which growth is told: a pass and the end of a connection must not tell it twice. */
static __always_inline int settle_begin(struct sock_state *st, int hash)
{
	uint64_t at;
	uint32_t one = 1;

	if (!hash) {
		bpf_spin_lock(&st->lock);
		return 1;
	}
	at = st->self;
	for (int i = 0; i < TRIES; i++)
		if (!bpf_map_update_elem(&settling_hash, &at, &one, BPF_NOEXIST))
			return 1;
	return 0;
}

static __always_inline void settle_end(struct sock_state *st, int hash)
{
	uint64_t at;

	if (!hash) {
		bpf_spin_unlock(&st->lock);
		return;
	}
	at = st->self;
	bpf_map_delete_elem(&settling_hash, &at);
}

/* A socket that connects again after connect(AF_UNSPEC) is another connection. */
static __always_inline void renew(struct sock_state *st, int hash)
{
	LOCK(st);
	st->flags = 0;
	__builtin_memset(&st->key, 0, sizeof(st->key));
	__builtin_memset(&st->now, 0, sizeof(st->now));
	__builtin_memset(&st->last, 0, sizeof(st->last));
	st->syn_srtt = 0;
	UNLOCK(st);
}

static __always_inline void own(struct sock_state *st, const struct owner *owner, int hash)
{
	LOCK(st);
	if (!(st->flags & OWNED)) {
		st->key.tgid = owner->tgid;
		st->key.start_ticks = owner->start_ns / GOPHER_TICK_NS;
		__builtin_memcpy(st->key.comm, owner->comm, sizeof(st->key.comm));
		st->flags |= OWNED;
		st->pass = pass;
	}
	UNLOCK(st);
}

/* Whether the owner's process has another name now than its connections were told under: it executed a
 * program. */
static __always_inline int renamed(const struct sock_state *st, const struct task_struct *task, int hash)
{
	char comm[16] = {};
	const uint64_t *now = (const uint64_t *)comm, *then = (const uint64_t *)st->key.comm;
	const struct task_struct *leader = GET(task, group_leader);

	BPF_CORE_READ_STR_INTO(&comm, leader, comm);
	return now[0] != then[0] || now[1] != then[1];
}

/* gopher_sock_tuple by direct loads, where the verifier knows what the pointer is. */
static __always_inline int tuple_of(struct sock *sk, struct gopher_tuple *tuple, int hash)
{
	const struct tcp_sock *tp = hash ? NULL : bpf_skc_to_tcp_sock(sk);
	uint32_t *local = (uint32_t *)tuple->local_ip, *peer = (uint32_t *)tuple->peer_ip;
	uint16_t family;

	if (!tp)
		return gopher_sock_tuple(sk, tuple);
	__builtin_memset(tuple, 0, sizeof(*tuple));
	family = sk->__sk_common.skc_family;
	if (family == GOPHER_FAMILY_IPV6)
		return gopher_sock_tuple(sk, tuple);
	if (family != GOPHER_FAMILY_IPV4)
		return -1;
	local[0] = sk->__sk_common.skc_rcv_saddr;
	peer[0] = sk->__sk_common.skc_daddr;
	tuple->family = family;
	tuple->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	tuple->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	return 0;
}

/* Fills addresses and ports in, once they are known: connect chooses the local port after SYN_SENT. */
static __always_inline void addresses(struct sock_state *st, struct sock *sk, int hash)
{
	struct gopher_tuple tuple;
	struct tcp_series_key *key = &st->key;

	if (key->server_port || tuple_of(sk, &tuple, hash))
		return;
	key->family = tuple.family;
	if (key->role == GOPHER_ROLE_SERVER) {
		__builtin_memcpy(key->client_ip, tuple.peer_ip, 16);
		__builtin_memcpy(key->server_ip, tuple.local_ip, 16);
		key->client_port = client_ports ? tuple.peer_port : 0;
		key->server_port = tuple.local_port;
	} else {
		__builtin_memcpy(key->client_ip, tuple.local_ip, 16);
		__builtin_memcpy(key->server_ip, tuple.peer_ip, 16);
		key->client_port = client_ports ? tuple.local_port : 0;
		key->server_port = tuple.peer_port;
	}
}

static __always_inline void listener_key(struct tcp_listener_key *key, struct sock *sk, int hash)
{
	key->net = (uint64_t)GET(sk, __sk_common.skc_net.net);
	key->port = GET(sk, __sk_common.skc_num);
	key->zero = 0;
}

static __always_inline void listener_seen(struct sock *sk, uint32_t tgid, int in_scope, int hash)
{
	struct tcp_listener fresh_one = {.tgid = tgid, .seen = pass, .scoped = in_scope ? pass : 0};
	struct tcp_listener_key key;
	struct tcp_listener *known;

	listener_key(&key, sk, hash);
	known = bpf_map_lookup_elem(&listeners, &key);
	if (!known) {
		if (bpf_map_update_elem(&listeners, &key, &fresh_one, BPF_ANY))
			gopher_lose(TCP_LOST_LISTENERS);
		return;
	}
	known->tgid = tgid;
	known->seen = pass;
	if (in_scope)
		known->scoped = pass;
}

/* Whether a process in scope holds the listening socket that this accepted one comes from. */
static __always_inline int listener_in_scope(struct sock *sk, int hash)
{
	struct tcp_listener_key key;
	struct tcp_listener *known;

	listener_key(&key, sk, hash);
	known = bpf_map_lookup_elem(&listeners, &key);
	if (!known)
		return 0;
	/* A pass sees every listener in scope: one that the last whole pass did not is not any more. */
	return (known->scoped && known->scoped >= settled) || gopher_in_scope(known->tgid);
}

static __always_inline uint8_t role_by_port(struct sock *sk, int hash)
{
	struct tcp_listener_key key;

	listener_key(&key, sk, hash);
	return bpf_map_lookup_elem(&listeners, &key) ? GOPHER_ROLE_SERVER : GOPHER_ROLE_CLIENT;
}

static __always_inline void snapshot(struct counts *now, struct sock *sk, const struct tcp_sock *tp, int hash)
{
	/* The peer's FIN counts as a byte; SOCK_DONE says that it came. */
	uint64_t fin = GET(sk, __sk_common.skc_flags) >> SOCK_DONE & 1;
	uint64_t received = GET(tp, bytes_received), sent = GET(tp, bytes_sent),
		 again = GET(tp, bytes_retrans);

	__builtin_memset(now, 0, sizeof(*now));
	now->rx_bytes = received > fin ? received - fin : 0;
	now->tx_bytes = sent > again ? sent - again : 0;
	now->segs_in = GET(tp, segs_in);
	now->segs_out = GET(tp, segs_out);
	now->retransmitted = GET(tp, total_retrans);
	now->lost = GET(tp, lost);
	now->sacked = GET(tp, sacked_out);
	now->drops = GET(sk, sk_drops.counter);
}

/* Whether anything was sent, received, dropped or counted since the last time. */
static __always_inline int moved(const struct sock_state *st, struct sock *sk, const struct tcp_sock *tp,
				 int hash)
{
	return st->dirty || !(st->flags & OPENED) || GET(tp, segs_in) != st->now.segs_in ||
	       GET(tp, segs_out) != st->now.segs_out || GET(sk, sk_drops.counter) != (int)st->now.drops;
}

/* Counters of 32 bits wrap; a socket that was reset to zero shows as a step back, which is none. */
#define RAISE32(field)                                 \
	if ((int32_t)(now->field - st->now.field) > 0) \
		st->now.field = now->field;
#define GROWTH(field)                                 \
	grown.field = st->now.field - st->last.field; \
	st->last.field = st->now.field;

static __always_inline void add_sums(const struct tcp_series_key *key, const struct counts *grown,
				     uint32_t sacked, uint32_t opened, uint32_t closed)
{
	struct tcp_sums *sums = entry(&series, key, &no_sums);

	if (!sums) {
		gopher_lose(GOPHER_LOST_MAP);
		return;
	}
#define ADD(field)        \
	if (grown->field) \
		__sync_fetch_and_add(&sums->field, grown->field);
	ADD(rx_bytes)
	ADD(tx_bytes)
	TCP_KEPT(ADD)
	TCP_COUNTED(ADD)
	if (opened)
		__sync_fetch_and_add(&sums->opened, opened);
	if (closed)
		__sync_fetch_and_add(&sums->closed, closed);
	/* Two CPUs at once could keep the smaller: 5.10 has no compare and exchange. */
	if (sacked > sums->sacked_max)
		sums->sacked_max = sacked;
}

static __always_inline void add_syn(const struct tcp_series_key *key, uint32_t srtt);

/* Tells the series what has grown, `now` being what was just read. Without an owner it is kept until there is
 * one. */
static __always_inline void settle(struct sock_state *st, const struct counts *now, int hash)
{
	uint32_t opened = 0, closed = 0, syn = 0, sacked = 0;
	struct tcp_series_key key;
	struct counts grown = {};

	if (!settle_begin(st, hash)) {
		gopher_lose(TCP_LOST_BUSY);
		return;
	}
	if (now) {
		if (now->rx_bytes > st->now.rx_bytes)
			st->now.rx_bytes = now->rx_bytes;
		if (now->tx_bytes > st->now.tx_bytes)
			st->now.tx_bytes = now->tx_bytes;
		TCP_KEPT(RAISE32)
		sacked = now->sacked;
	}
	if (!(st->flags & OWNED)) {
		settle_end(st, hash);
		return;
	}
	st->dirty = 0;
	GROWTH(rx_bytes)
	GROWTH(tx_bytes)
	TCP_KEPT(GROWTH)
	TCP_COUNTED(GROWTH)
	if (!(st->flags & OPENED)) {
		opened = 1;
		syn = st->syn_srtt;
		st->syn_srtt = 0;
	}
	if ((st->flags & ENDED) && !(st->flags & CLOSED)) {
		closed = 1;
		st->flags |= CLOSED;
	}
	st->flags |= OPENED;
	key = st->key;
	settle_end(st, hash);
	add_sums(&key, &grown, sacked, opened, closed);
	if (syn)
		add_syn(&key, syn);
}

/* Another process has the socket now, or its process another name: what comes counts for that. */
static __always_inline void hand_over(struct sock_state *st, const struct owner *owner, int hash)
{
	struct tcp_series_key key;
	struct counts none = {};
	uint32_t told = 0;

	settle(st, NULL, hash);
	LOCK(st);
	key = st->key;
	told = st->flags & OPENED && !(st->flags & CLOSED);
	st->flags &= ~(OPENED | OWNED);
	UNLOCK(st);
	if (told)
		add_sums(&key, &none, 0, 0, 1);
	own(st, owner, hash);
}

/* A process comes into scope within this time after it began, if it does at all by what it is. */
#define YOUNG_NS 3000000000ULL

/* Whether all that this process's connections counted is to be told, though their birth was not observed. */
static __always_inline int young(const struct owner *owner)
{
	return owner->start_ns > attached_at && bpf_ktime_get_boot_ns() - owner->start_ns < YOUNG_NS;
}

/*
 * A socket whose birth was not observed: what it has counted so far is the baseline. Not for a process that
 * began just now: it came into scope a moment later and may have connected before.
 */
static __always_inline struct sock_state *first_sight(struct sock *sk, const struct owner *owner, int hash)
{
	const struct tcp_sock *tp = tcp_of(sk, hash);
	int whole = young(owner);
	struct sock_state *st;
	struct counts now;

	if (!tp)
		return NULL;
	st = state_of(sk, 1, hash);
	if (!st)
		return NULL;
	st->key.role = role_by_port(sk, hash);
	addresses(st, sk, hash);
	snapshot(&now, sk, tp, hash);
	LOCK(st);
	if (!(st->flags & OWNED)) {
		st->now = now;
		if (!whole)
			st->last = now;
	}
	UNLOCK(st);
	own(st, owner, hash);
	return st;
}

#endif /* TCP_SOCK_BPF_H */
