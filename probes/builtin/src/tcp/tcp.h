/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the programs of the tcp probe and their reader share: the key of a series and what was counted for it
 * since the last time it was taken out.
 */
#ifndef TCP_H
#define TCP_H

#include <gopher/abi.h>

/* Reasons in gopher_lost. */
enum tcp_lost {
	TCP_LOST_OWNER = GOPHER_LOST_OWN, /* connections that ended before it was known whose they are */
	TCP_LOST_SOCKETS, /* sockets that the hash had no room for (only where the kernel has no socket
			     storage) */
	TCP_LOST_SAMPLES, /* samples of series that the map had no room for */
	TCP_LOST_LISTENERS, /* listening ports that the map had no room for */
	TCP_LOST_BUSY, /* growth that could not be told, for want of the lock (hash flavour) */
};

/* A connection group: who, with whom, in which role. Addresses as in struct gopher_tuple. */
struct tcp_series_key {
	uint64_t start_ticks;
	uint8_t comm[16];
	uint8_t client_ip[16];
	uint8_t server_ip[16];
	uint32_t tgid;
	uint16_t client_port; /* 0 unless it is asked for */
	uint16_t server_port;
	uint16_t family; /* enum gopher_family */
	uint8_t role; /* enum gopher_role */
	uint8_t zero[5];
};

/*
 * The counters of 32 bits, for whoever goes through all of them: those that the kernel keeps of a socket, and
 * those that events are counted in.
 */
#define TCP_KEPT(DO)      \
	DO(segs_in)       \
	DO(segs_out)      \
	DO(retransmitted) \
	DO(lost)          \
	DO(drops)
#define TCP_COUNTED(DO)   \
	DO(rsts_sent)     \
	DO(rsts_received) \
	DO(send_limits)   \
	DO(backlog_drops) \
	DO(filter_drops)  \
	DO(memory_drops)  \
	DO(timeouts)      \
	DO(out_of_memory)
#define TCP_COUNTER(name) uint32_t name;

/* Growth of a series' counters. */
struct tcp_sums {
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	TCP_KEPT(TCP_COUNTER)
	TCP_COUNTED(TCP_COUNTER)
	uint32_t opened; /* connections that began to count here */
	uint32_t closed; /* and that ended */
	uint32_t samples; /* readings of windows */
	uint32_t zero_rcv_wnd; /* of them with a closed own window */
	uint32_t zero_snd_wnd; /* of them with a closed window of the peer */
	uint32_t sacked_max; /* a level, not a sum */
	uint32_t zero;
};

/* Distributions with five bounds, by place in struct tcp_samples. */
enum tcp_hist_index {
	TCP_SRTT,
	TCP_RCV_RTT,
	TCP_SYN_SRTT,
	TCP_SND_CWND,
	TCP_NOTSENT,
	TCP_NOTACK,
	TCP_REORDERING,
	TCP_SND_WND,
	TCP_RCV_WND,
	TCP_AVL_SND_WND,
	TCP_RTO,
	TCP_ATO,
	TCP_SYS_DELAY,
	TCP_NET_DELAY,
	TCP_HISTS,
};

struct tcp_hist {
	uint64_t sum;
	uint64_t max;
	uint32_t count[6];
};

/* With eight bounds. */
struct tcp_buf_hist {
	uint64_t sum;
	uint64_t max;
	uint32_t count[9];
	uint32_t zero;
};

/* Growth of a series' distributions. */
struct tcp_samples {
	struct tcp_hist hist[TCP_HISTS];
	struct tcp_buf_hist rcvbuf;
	struct tcp_buf_hist sndbuf;
};

/* What is sampled: bits of `sampled`. */
#define TCP_SAMPLE_RTT 1
#define TCP_SAMPLE_SYN 2
#define TCP_SAMPLE_WINDOWS 4
#define TCP_SAMPLE_RATE 8
#define TCP_SAMPLE_SOCKBUF 16

/* A listening port of a network namespace, by the address of that in the kernel. */
struct tcp_listener_key {
	uint64_t net;
	uint32_t port;
	uint32_t zero;
};

struct tcp_listener {
	uint32_t tgid; /* who made it listen, or holds it */
	uint32_t seen; /* pass that last saw it */
	uint32_t scoped; /* pass that last saw it with a process in scope */
	uint32_t zero;
};

#endif /* TCP_H */
