/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the fast path looks at in a packet: whether it is plain, and where it says
 * it belongs.
 */
#ifndef NGFW_GLANCE_H
#define NGFW_GLANCE_H

#include "ways.h"

/* What the fast path looks at in a packet. */
struct glance {
	struct fast_key key;
	__u32 seq;			/* of the entry's way, before it was found */
	__u32 bytes;			/* IP length */
	__u32 l4;			/* offset */
	__u32 headers;			/* IP and L4: repeats per segment */
	__u32 tcp;
	__u32 ack, end;			/* TCP's: what it acknowledges, where its data end */
	__u32 miss;			/* fast_miss: why it is not followed */
};

/* Only ACK, PSH, URG, ECE and CWR; and ACK (RFC 9293: always, once established). */
static __always_inline int plain_segment(const struct tcphdr *t, struct glance *g, __u32 ip_header)
{
	__u8 flags = ((const __u8 *)t)[13];

	if ((flags & 0x17) != 0x10 || t->doff < 5)
		return 0;
	g->headers = ip_header + t->doff * 4;
	g->tcp = 1;
	g->ack = bpf_ntohl(t->ack_seq);
	g->end = bpf_ntohl(t->seq) + g->bytes - g->headers;
	return g->bytes >= g->headers;
}

static __always_inline int plain_l4(void *l4, void *end, __u8 proto, struct glance *g, __u32 ip_header)
{
	__u32 length;

	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return 0;
		return plain_segment(l4, g, ip_header);
	}
	if (proto != IPPROTO_UDP || l4 + sizeof(struct udphdr) > end)
		return 0;
	g->headers = ip_header + sizeof(struct udphdr);
	g->tcp = 0;
	/* What conntrack calls INVALID (udp_error), jumbograms' 0 too, it shall see. */
	length = bpf_ntohs(((const struct udphdr *)l4)->len);
	return length >= sizeof(struct udphdr) && ip_header + length <= g->bytes;
}

/* What a connection has on its way at most, of those whose end is believed at once:
 * a 256th of all numbers, and some windows (RFC 7323). */
#define IN_FLIGHT (1U << 24)

/* How far two numbers are from each other: not 0 beyond what may be on its way. */
static __always_inline __u32 apart(__u32 a, __u32 b)
{
	return (a - b + IN_FLIGHT) / (2 * IN_FLIGHT);
}

/*
 * Are these numbers others than e's direction can have come to since? Who knows a
 * connection's ports alone must guess both, one time in 16,000.
 */
static __always_inline __u32 far_numbers(const struct fast *e, __u32 ack, __u32 end)
{
	return apart(ack, e->ack) | apart(end, e->end);
}

/* Where a direction of a TCP connection is, so that its end can be believed. */
static __always_inline void note_numbers(struct fast *e, __u32 ack, __u32 end)
{
	e->ack = ack;
	if ((__s32)(end - e->end) > 0)
		e->end = end;
}

/* Two words as they follow each other in memory. */
static __always_inline __u64 two(__u32 first, __u32 second)
{
	return (__u64)second << 32 | first;
}

/* The lower half of ::ffff:a.b.c.d. */
static __always_inline __u64 half_v4(__be32 address)
{
	return two(bpf_htonl(0xffff), address);
}

/* Is it a plain packet, with an Ethernet header? length is the frame's. */
static __always_inline int plain(void *data, void *end, __be16 proto, __u32 length, struct glance *g)
{
	if (proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data + ETH_HLEN;
		__be16 *ports;

		if ((void *)(ip + 1) + sizeof(struct udphdr) > end || *(__u8 *)ip != 0x45 ||
		    ip->frag_off & bpf_htons(0xbfff) || ip->ttl <= 1)
			return 0;
		g->bytes = bpf_ntohs(ip->tot_len);
		g->l4 = ETH_HLEN + sizeof(*ip);
		if (g->bytes + ETH_HLEN > length || !plain_l4(ip + 1, end, ip->protocol, g, sizeof(*ip)))
			return 0;
		ports = (void *)(ip + 1);
		g->key.src = half_v4(ip->saddr);
		g->key.dst = half_v4(ip->daddr);
		g->key.v4 = 1;
		g->key.sport = ports[0];
		g->key.dport = ports[1];
		g->key.proto = ip->protocol;
		return 1;
	}
	if (proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = data + ETH_HLEN;
		const __u32 *words;
		__be16 *ports;

		if ((void *)(ip + 1) + sizeof(struct udphdr) > end || ip->version != 6 || ip->hop_limit <= 1)
			return 0;
		g->bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
		g->l4 = ETH_HLEN + sizeof(*ip);
		if (g->bytes + ETH_HLEN > length || !plain_l4(ip + 1, end, ip->nexthdr, g, sizeof(*ip)))
			return 0;
		ports = (void *)(ip + 1);
		words = (const __u32 *)&ip->saddr;
		g->key.net[0] = two(words[0], words[1]);
		g->key.src = two(words[2], words[3]);
		g->key.net[1] = two(words[4], words[5]);
		g->key.dst = two(words[6], words[7]);
		g->key.sport = ports[0];
		g->key.dport = ports[1];
		g->key.proto = ip->nexthdr;
		return 1;
	}
	return 0;
}

/* The entry of a plain packet. */
static __always_inline struct fast *glance(void *data, void *end, __be16 proto, __u32 length, struct glance *g)
{
	if (!plain(data, end, proto, length, g))
		return 0;
	return fast_find(&g->key, &g->seq);
}

#endif
