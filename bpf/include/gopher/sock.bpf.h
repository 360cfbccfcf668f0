/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A socket's addresses, ports and role. Everything is read by CO-RE probe reads, so any pointer to a socket
 * will do; a program that has a trusted pointer and is hot loads the fields itself.
 */
#ifndef GOPHER_SOCK_BPF_H
#define GOPHER_SOCK_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <gopher/abi.h>

/*
 * Both ends of `sk`. The local port is inet_sport: skc_num is 0 already when a socket reaches CLOSE. Returns
 * 0, or -1 for a socket that is neither IPv4 nor IPv6; the tuple is zero then.
 */
static __always_inline int gopher_sock_tuple(const struct sock *sk, struct gopher_tuple *tuple)
{
	const struct inet_sock *inet = (const struct inet_sock *)sk;
	uint16_t family = BPF_CORE_READ(sk, __sk_common.skc_family);

	__builtin_memset(tuple, 0, sizeof(*tuple));
	if (family == GOPHER_FAMILY_IPV6) {
		uint32_t words[4];

		BPF_CORE_READ_INTO(&words, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32);
		/* ::ffff:a.b.c.d is IPv4 spoken through an IPv6 socket: the same connection as with AF_INET.
		 */
		if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff)) {
			family = GOPHER_FAMILY_IPV4;
		} else {
			__builtin_memcpy(tuple->peer_ip, words, sizeof(words));
			BPF_CORE_READ_INTO(&tuple->local_ip, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		}
	} else if (family != GOPHER_FAMILY_IPV4) {
		return -1;
	}
	if (family == GOPHER_FAMILY_IPV4) {
		uint32_t local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		uint32_t peer = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(tuple->local_ip, &local, sizeof(local));
		__builtin_memcpy(tuple->peer_ip, &peer, sizeof(peer));
	}
	tuple->family = family;
	tuple->local_port = bpf_ntohs(BPF_CORE_READ(inet, inet_sport));
	tuple->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	return 0;
}

/* The role that a change of a TCP socket's state tells, or GOPHER_ROLE_UNKNOWN when it tells none. */
static __always_inline uint8_t gopher_role_of(int old_state, int new_state)
{
	if (new_state == TCP_SYN_SENT || old_state == TCP_SYN_SENT)
		return GOPHER_ROLE_CLIENT;
	if (new_state == TCP_SYN_RECV || old_state == TCP_SYN_RECV)
		return GOPHER_ROLE_SERVER;
	return GOPHER_ROLE_UNKNOWN;
}

#endif /* GOPHER_SOCK_BPF_H */
