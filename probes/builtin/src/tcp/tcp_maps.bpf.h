/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Maps, settings and the state that goes with a socket. */
#ifndef TCP_MAPS_BPF_H
#define TCP_MAPS_BPF_H

/* What is known of a socket's numbers. The first part is read from it, the rest is counted by events. */
struct counts {
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	TCP_KEPT(TCP_COUNTER)
	uint32_t sacked; /* a level */
	TCP_COUNTED(TCP_COUNTER)
};

enum sock_state_flags {
	OWNED = 1, /* key.tgid and so on are known */
	OPENED = 2, /* told as `opened` of its series */
	ENDED = 4, /* reached CLOSE */
	CLOSED = 8, /* told as `closed` */
	ORPHANED = 16, /* ended without an owner, and nobody will come for it */
};

struct sock_state {
	struct bpf_spin_lock lock; /* a pass and the end may meet: key, flags and `last` change under it */
	uint32_t flags;
	struct tcp_series_key key;
	struct counts now; /* the newest that is known */
	struct counts last; /* what its series was told */
	uint64_t arrived; /* tcp_delay: when unread data arrived first, and last */
	uint64_t arrived_last;
	uint64_t sent; /* tcp_delay: when data that is not acknowledged was handed over */
	uint32_t sent_end; /* and the sequence number behind it */
	uint32_t read_end; /* sequence number behind what the process has read */
	uint32_t zero;
	uint32_t pass; /* that last saw the owner with it */
	uint32_t syn_srtt; /* microseconds, until it is told */
	uint32_t dirty; /* an event was counted since the last pass */
	uint64_t self; /* the socket's address, in the hash */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sock_state);
} sockets SEC(".maps");

/*
 * The same for kernels that have no storage: by the socket's address. The verifier must not know that there
 * is a lock in it: where there is no storage, a tracing program has no bpf_spin_lock either.
 */
struct sock_state_bytes {
	uint64_t words[sizeof(struct sock_state) / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, uint64_t);
	__type(value, struct sock_state_bytes);
} sockets_hash SEC(".maps");

/* Sockets of the hash that are being settled. Entering a key that is there fails, which makes it a lock. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, uint64_t);
	__type(value, uint32_t);
} settling_hash SEC(".maps");

/*
 * Series are summed in one of two maps while the reader empties the other. It changes them by an update of
 * the outer map, after which the kernel waits for every program that may still write to the old one: no sum
 * is torn.
 */
struct series_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tcp_series_key);
	__type(value, struct tcp_sums);
} series_a SEC(".maps"), series_b SEC(".maps");

struct samples_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tcp_series_key);
	__type(value, struct tcp_samples);
} samples_a SEC(".maps"), samples_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__array(values, struct series_map);
} series SEC(".maps") = {.values = {&series_a}};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__array(values, struct samples_map);
} samples SEC(".maps") = {.values = {&samples_a}};

/* Listening ports, so that an accepted connection is known as a server's and most are known to be out of
 * scope. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tcp_listener_key);
	__type(value, struct tcp_listener);
} listeners SEC(".maps");

/* Rings when a map of series is half full. */
GOPHER_RING(bell, 4096);

/* Set before the load: nanoseconds of a jiffy, series at which the bell rings, bounds of the distributions.
 */
const volatile uint64_t tick_ns = 4000000;
const volatile uint32_t ring_at = 4096;
const volatile uint64_t bounds_rtt[5] = {0};
const volatile uint64_t bounds_win[5] = {0};
const volatile uint64_t bounds_rto[5] = {0};
const volatile uint64_t bounds_delay[5] = {0};
const volatile uint64_t bounds_buf[8] = {0};

/* Written by the reader while the programs run. */
uint32_t pass = 0; /* number of the pass, from 1 */
uint32_t settled = 0; /* the last pass that came to its end */
uint32_t pass_asked = 0; /* of the pass: which one asked last, about whom, and the answer */
uint32_t pass_tgid = 0;
uint32_t pass_answer = 0;
uint32_t scan_listeners = 0; /* this pass looks for the listeners of all processes */
uint32_t client_ports = 0; /* report_cport */
uint32_t sampled = 0; /* TCP_SAMPLE_* */
uint64_t attached_at = 0; /* by the boot clock */

/* Series that came since the reader changed maps, and whether the bell has rung for them. */
uint32_t fresh = 0;
uint32_t rung = 0;

static const struct tcp_sums no_sums = {};
static const struct tcp_samples no_samples = {};

/* The entry of `key` in the map that is written to now; NULL when there is no room. */
static __always_inline void *entry(void *outer, const void *key, const void *empty)
{
	uint32_t zero = 0;
	void *inner = bpf_map_lookup_elem(outer, &zero), *value;

	if (!inner)
		return NULL;
	value = bpf_map_lookup_elem(inner, key);
	if (value)
		return value;
	if (!bpf_map_update_elem(inner, key, empty, BPF_NOEXIST)) {
		__sync_fetch_and_add(&fresh, 1);
		if (fresh >= ring_at && !rung) {
			uint64_t *record = bpf_ringbuf_reserve(&bell, sizeof(*record), 0);

			/* Full only if the reader has many of them already. */
			if (record) {
				rung = 1;
				*record = fresh;
				bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
			}
		}
	}
	return bpf_map_lookup_elem(inner, key);
}

#endif /* TCP_MAPS_BPF_H */
