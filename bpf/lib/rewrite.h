/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What a way makes of a packet's headers. */
#ifndef NGFW_REWRITE_H
#define NGFW_REWRITE_H

#include "fast.h"

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* A hop less, in network order: what it adds to the header checksum (RFC 1624). */
#define HOP_SUM bpf_htons(0xfeff)

/* Rewrites TCP or UDP as r says; data to end hold it. */
static __always_inline int rewrite_l4(void *l4, void *end, const struct fast_nat *nat, int tcp)
{
	__be16 *ports = l4;
	__sum16 *check;

	if (tcp) {
		struct tcphdr *t = l4;

		if ((void *)(t + 1) > end)
			return 0;
		check = &t->check;
	} else {
		struct udphdr *u = l4;

		if ((void *)(u + 1) > end)
			return 0;
		check = &u->check;
	}
	ports[0] = nat->sport;
	ports[1] = nat->dport;
	if (tcp || *check) {	/* RFC 768, RFC 6936: zero is no checksum */
		__u16 sum = ~fold((__u16)~*check + (__u32)nat->address_sum + nat->port_sum);

		*check = sum || tcp ? sum : 0xffff;
	}
	return 1;
}

/* The same of IPv4 and what it carries. */
static __always_inline int rewrite4(void *data, void *end, const struct route_taken *r, int tcp)
{
	const struct fast_nat *nat = &r->nat;
	int rewrite = r->way.form & FAST_REWRITE;
	struct iphdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end)
		return 0;
	ip->ttl--;
	ip->check = ~fold((__u16)~ip->check + (rewrite ? nat->address_sum : 0) + HOP_SUM);
	if (!rewrite)
		return 1;
	ip->saddr = nat->saddr;
	ip->daddr = nat->daddr;
	return rewrite_l4(ip + 1, end, nat, tcp);
}

/* And of IPv6, which has no checksum of its own. */
static __always_inline int rewrite6(void *data, void *end, const struct route_taken *r, int tcp)
{
	struct ipv6hdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end)
		return 0;
	ip->hop_limit--;
	if (!(r->way.form & FAST_REWRITE))
		return 1;
	__builtin_memcpy(&ip->saddr, r->addresses, sizeof(r->addresses));
	return rewrite_l4(ip + 1, end, &r->nat, tcp);
}

#endif
