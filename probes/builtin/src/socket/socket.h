/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs of `socket` and the probe say to each other. */
#ifndef SOCKET_H
#define SOCKET_H

#include <gopher/abi.h>

/* Reasons of gopher_lost. */
enum socket_lost_reason {
	/* A connecting socket is gone and nobody saw how it fared. */
	SOCKET_LOST_END = GOPHER_LOST_OWN,
	/* A connect that the ring had no room for: counted under the address that it was made to. */
	SOCKET_LOST_BACKEND,
};

/* A process, as it was when it did something. */
struct socket_owner {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t zero;
	uint8_t comm[16]; /* of the main thread; zero behind its end */
};

/* Connections of a process to (client) or from (server) one address at one server port. */
struct endpoint_key {
	struct socket_owner owner; /* of a server: of its listening socket */
	uint8_t client_ip[16];
	uint8_t server_ip[16];
	uint16_t server_port;
	uint16_t family; /* enum gopher_family */
	uint16_t role; /* enum gopher_role */
	uint16_t zero;
};

/* Buckets of estab_latency: the bounds of the table's column, and one above them. */
#define SOCKET_LATENCY_BOUNDS 7
#define SOCKET_LATENCY_SLOTS 8

/* What happened to them, since the entry was made. */
struct endpoint_counts {
	uint64_t active_open;
	uint64_t active_open_failed;
	uint64_t syn_sent;
	uint64_t retran_syn;
	uint64_t syn_drop;
	uint64_t passive_open;
	uint64_t passive_open_failed;
	uint64_t retran_synacks;
	uint64_t latency_sum; /* ns */
	uint64_t latency_max; /* ns, the largest of `latency_period` */
	uint64_t latency_period; /* number of the report period */
	uint64_t latency[SOCKET_LATENCY_SLOTS];
};

/* How a connect fared, told one by one while it is asked which backend answered each. */
struct ended_connect {
	struct endpoint_key key;
	uint64_t latency; /* ns, of one that succeeded */
	uint32_t retran_syn;
	uint32_t syn_drop;
	uint16_t client_port;
	uint16_t established; /* 1, or 0 */
	uint32_t zero;
};

/* Where somebody listens. A wildcard is all zero, of the family of the socket. */
struct listen_key {
	uint8_t ip[16];
	uint32_t netns; /* inode number of the network namespace */
	uint16_t port;
	uint16_t family; /* enum gopher_family */
};

/* Who listens there. */
struct listen_value {
	struct socket_owner owner;
	uint64_t since; /* of the entry, ns of CLOCK_MONOTONIC */
	uint32_t observed; /* whether the owner is in scope */
	uint32_t zero;
};

/* A listening socket that was closed. The time tells two at the same address apart. */
struct closed_key {
	uint64_t sk;
	uint64_t at; /* ns of CLOCK_MONOTONIC */
};

/* What it had at its end. */
struct closed_value {
	struct listen_key key;
	struct socket_owner owner; /* who closed it last */
	uint64_t drops;
	uint32_t accept_queue; /* connections that nobody had accepted: they are reset */
	uint32_t requests; /* handshakes that were under way: they are dropped */
};

/* A socket of the file iterator: one record for each process that holds it. */
struct held_socket {
	struct socket_owner owner;
	struct gopher_tuple tuple;
	uint64_t sk;
	uint64_t inode;
	uint64_t drops;
	uint32_t group; /* process group of the holder */
	uint32_t netns; /* of the socket */
	uint32_t task_netns; /* of the holder */
	uint16_t protocol; /* IPPROTO_* */
	uint16_t zero;
};

/* A UDP socket of a process. */
struct udp_key {
	uint64_t start_ticks;
	uint32_t tgid;
	uint32_t zero;
	struct gopher_tuple tuple;
};

/* What it sent and received, in bytes of payload. */
struct udp_counts {
	uint64_t sent;
	uint64_t received;
};

/* A UDP socket that did not take a datagram; whose it is is not known where that happens. */
struct drop_key {
	uint64_t sk;
	struct gopher_tuple tuple;
};

/* What it did not take. */
struct drop_counts {
	uint64_t packets;
	uint64_t bytes; /* of payload, where the tracepoint has the datagram */
};

/* What the file iterator tells of. */
#define SOCKET_TELL_TCP 1 /* listening TCP sockets */
#define SOCKET_TELL_UDP 2 /* UDP sockets that have a port */

#endif /* SOCKET_H */
