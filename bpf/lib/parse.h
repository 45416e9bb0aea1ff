/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Headers up to layer 4, walked once and within bounds. What is not a whole
 * and sane packet is malformed; nothing behind it looks at it.
 */
#ifndef NGFW_PARSE_H
#define NGFW_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "../abi/abi.h"
#include "kernel.h"

#define MAX_EXTENSIONS 6		/* IPv6 extension headers; beyond: malformed */
#define MAX_L4 1024			/* where layer 4 may begin; beyond: malformed */
#define MAX_TAGS 2			/* VLAN tags that XDP looks behind (802.1ad: two) */
#define VLAN_ID 0x0fff			/* of a tag's control information (802.1Q 9.6) */

struct vlan_header {
	__be16 tci, proto;
};

enum parse_result {
	PARSE_OK = 0,
	PARSE_OTHER = 1,		/* not IP: not judged */
	PARSE_MALFORMED = 2,
	PARSE_FRAGMENT = 3,		/* a later fragment: has no ports */
};

enum packet_flags {
	PKT_V6 = 1 << 0,
	PKT_FIRST_FRAGMENT = 1 << 1,
	PKT_ICMP_ERROR = 1 << 2,
	PKT_SYN = 1 << 3,		/* SYN without ACK */
	PKT_FIN = 1 << 4,
	PKT_RST = 1 << 5,
	PKT_LINK_LOCAL_HOPS = 1 << 6,	/* hop limit 255: not forwarded by anyone */
};

struct packet {
	struct tuple tuple;
	__u32 flags;
	__u32 l3;			/* offset of the IP header */
	__u32 l4;			/* offset behind the IP headers */
	__u32 headers;			/* length of IP and L4 headers: repeats per segment */
	__u32 bytes;			/* IP length of this packet */
	__u32 frag_id;
	__u8 tos;
	__u8 pad[3];
};

/* RFC 8200 and 4302 */
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH 51
#define NEXTHDR_DEST 60
#define NEXTHDR_NONE 59

struct extension {
	__u8 nexthdr;
	__u8 len;
	__u8 type;			/* routing header */
	__u8 left;
};

struct fragment {
	__u8 nexthdr;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

struct icmp_header {
	__u8 type, code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

static __always_inline void map_v4(__u8 *to, __be32 from)
{
	__u32 *w = (__u32 *)to;

	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = from;
}

static __always_inline void copy16(void *to, const void *from)
{
	__u32 *t = to;
	const __u32 *f = from;

	t[0] = f[0];
	t[1] = f[1];
	t[2] = f[2];
	t[3] = f[3];
}

static __always_inline int is_v4(const __u8 *addr)
{
	const __u32 *w = (const __u32 *)addr;

	return w[0] == 0 && w[1] == 0 && w[2] == bpf_htonl(0xffff);
}

static __always_inline int is_loopback(const __u8 *addr)
{
	const __u32 *w = (const __u32 *)addr;

	return w[0] == 0 && w[1] == 0 && w[2] == 0 && w[3] == bpf_htonl(1);
}

static __always_inline int is_unspecified(const __u8 *addr)
{
	const __u32 *w = (const __u32 *)addr;

	return w[0] == 0 && w[1] == 0 && w[3] == 0 && (w[2] == 0 || w[2] == bpf_htonl(0xffff));
}

/* RFC 4291 2.5.6. Of IPv4's the kernel forwards what comes. */
static __always_inline int is_link_local(const __u8 *addr)
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* Multicast, limited broadcast, and its form before RFC 1122 (3.2.1.3). */
static __always_inline int is_for_many(const __u8 *addr)
{
	const __u32 *w = (const __u32 *)addr;

	if (!is_v4(addr))
		return addr[0] == 0xff;
	return (addr[12] >= 224 && addr[12] < 240) || w[3] == 0xffffffff || w[3] == 0;
}

/*
 * Addresses that no packet on a wire has. IPv4 (RFC 1122 3.2.1.3): a multicast
 * or broadcast source, loopback. IPv6 (RFC 4291): a multicast source, loopback,
 * mapped IPv4.
 */
static __always_inline int impossible(const struct tuple *t, int v6)
{
	if (v6)
		return t->saddr[0] == 0xff || is_v4(t->saddr) || is_v4(t->daddr) ||
		       is_loopback(t->saddr) || is_loopback(t->daddr);
	return (t->saddr[12] >= 224 && t->saddr[12] < 240) ||
	       (t->saddr[12] == 255 && t->saddr[13] == 255 && t->saddr[14] == 255 && t->saddr[15] == 255) ||
	       t->saddr[12] == 127 || t->daddr[12] == 127;
}

/* Types that conntrack relates to a flow (nf_conntrack_proto_icmp.c). */
static __always_inline int icmp_is_error(__u8 proto, __u8 type)
{
	if (proto == IPPROTO_ICMPV6)
		return type >= 1 && type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* Layer 4 of a whole packet or first fragment. */
static __always_inline int parse_l4(void *data, void *end, struct packet *p)
{
	__u32 at = p->l4, ip_headers = at - p->l3;
	void *l4;

	/* The compiler knows that it is never so, Linux before 6.2 does not. */
	asm volatile("" : "+r"(at));
	if (at > MAX_L4)
		return PARSE_MALFORMED;
	l4 = data + at;
	switch (p->tuple.proto) {
	case IPPROTO_TCP: {
		struct tcphdr *t = l4;

		if ((void *)(t + 1) > end || t->doff < 5)
			return PARSE_MALFORMED;
		if (p->bytes < ip_headers + t->doff * 4)
			return PARSE_MALFORMED;
		/* RFC 9293: SYN excludes FIN and RST, and every segment has a flag */
		if (t->syn && (t->fin || t->rst))
			return PARSE_MALFORMED;
		if (!t->syn && !t->ack && !t->rst && !t->fin)
			return PARSE_MALFORMED;
		p->tuple.sport = t->source;
		p->tuple.dport = t->dest;
		if (t->syn && !t->ack)
			p->flags |= PKT_SYN;
		if (t->fin)
			p->flags |= PKT_FIN;
		if (t->rst)
			p->flags |= PKT_RST;
		p->headers = ip_headers + t->doff * 4;
		return PARSE_OK;
	}
	case IPPROTO_UDP: {
		struct udphdr *u = l4;

		if ((void *)(u + 1) > end || p->bytes < ip_headers + sizeof(*u))
			return PARSE_MALFORMED;
		p->tuple.sport = u->source;
		p->tuple.dport = u->dest;
		p->headers = ip_headers + sizeof(*u);
		return PARSE_OK;
	}
	case IPPROTO_SCTP: {
		struct {
			__be16 source, dest;
			__be32 tag, checksum;
		} *s = l4;

		if ((void *)(s + 1) > end || p->bytes < ip_headers + sizeof(*s))
			return PARSE_MALFORMED;
		p->tuple.sport = s->source;
		p->tuple.dport = s->dest;
		p->headers = ip_headers;
		return PARSE_OK;
	}
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		struct icmp_header *i = l4;

		if ((void *)(i + 1) > end || p->bytes < ip_headers + sizeof(*i))
			return PARSE_MALFORMED;
		p->tuple.dport = bpf_htons((__u16)i->type << 8 | i->code);
		p->headers = ip_headers + sizeof(*i);
		/* In the other family it is a protocol like any. */
		if ((p->tuple.proto == IPPROTO_ICMPV6) == !!(p->flags & PKT_V6) &&
		    icmp_is_error(p->tuple.proto, i->type)) {
			p->flags |= PKT_ICMP_ERROR;
			return PARSE_OK;
		}
		/* Only query messages have an identifier; others are their own flow. */
		if (p->tuple.proto == IPPROTO_ICMP || i->type == 128 || i->type == 129)
			p->tuple.sport = i->id;
		return PARSE_OK;
	}
	default:
		p->headers = ip_headers;
		return PARSE_OK;
	}
}

static __always_inline int parse_v4(void *data, void *end, struct packet *p, __u32 length)
{
	struct iphdr *ip = data + p->l3;
	__u32 hlen, total;
	__u16 frag;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return PARSE_MALFORMED;
	hlen = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (total == 0 && length - p->l3 > 0xffff)	/* a GSO packet over 64 KiB (BIG TCP) */
		total = length - p->l3;
	if (total < sizeof(*ip))
		return PARSE_MALFORMED;
	/* Linux before 6.2 goes on with a total of 0 below, else, and is lost. */
	asm volatile("" : "+r"(total));
	if (total < hlen || p->l3 + total > length)
		return PARSE_MALFORMED;
	map_v4(p->tuple.saddr, ip->saddr);
	map_v4(p->tuple.daddr, ip->daddr);
	p->tuple.proto = ip->protocol;
	p->tos = ip->tos;
	p->bytes = total;
	p->l4 = p->l3 + hlen;
	p->headers = hlen;
	if (impossible(&p->tuple, 0))
		return PARSE_MALFORMED;
	frag = bpf_ntohs(ip->frag_off);
	if (frag & 0x3fff) {
		p->frag_id = ip->id;
		if (frag & 0x1fff)
			return PARSE_FRAGMENT;
		p->flags |= PKT_FIRST_FRAGMENT;
	}
	return parse_l4(data, end, p);
}

static __always_inline int parse_v6(void *data, void *end, struct packet *p, __u32 length)
{
	struct ipv6hdr *ip = data + p->l3;
	__u32 at = p->l3 + sizeof(*ip);
	__u8 next;
	int i;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return PARSE_MALFORMED;
	p->bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	/* a jumbogram or a GSO packet over 64 KiB */
	if (ip->payload_len == 0 && length - p->l3 - sizeof(*ip) > 0xffff)
		p->bytes = length - p->l3;
	if (p->l3 + p->bytes > length)
		return PARSE_MALFORMED;
	copy16(p->tuple.saddr, &ip->saddr);
	copy16(p->tuple.daddr, &ip->daddr);
	if (impossible(&p->tuple, 1))
		return PARSE_MALFORMED;
	p->flags |= PKT_V6;
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	if (ip->hop_limit == 255)
		p->flags |= PKT_LINK_LOCAL_HOPS;
	next = ip->nexthdr;
	for (i = 0; i <= MAX_EXTENSIONS; i++) {
		struct extension *x;

		if (at > MAX_L4)
			return PARSE_MALFORMED;
		x = data + at;
		switch (next) {
		case NEXTHDR_HOP:
			if (i != 0)	/* RFC 8200 4.3: only directly behind the header */
				return PARSE_MALFORMED;
			break;
		case NEXTHDR_ROUTING:
		case NEXTHDR_DEST:
		case NEXTHDR_AUTH:
			break;
		case NEXTHDR_FRAGMENT: {
			struct fragment *f = (void *)x;

			if (i == MAX_EXTENSIONS || (void *)(f + 1) > end ||
			    at + sizeof(*f) - p->l3 > p->bytes)
				return PARSE_MALFORMED;
			p->frag_id = f->id;
			if (f->offset & bpf_htons(0xfff8)) {
				p->tuple.proto = f->nexthdr;
				p->l4 = at;
				return PARSE_FRAGMENT;
			}
			/* offset 0 and no more: an atomic fragment, RFC 6946 */
			if (f->offset & bpf_htons(1))
				p->flags |= PKT_FIRST_FRAGMENT;
			next = f->nexthdr;
			at += sizeof(*f);
			continue;
		}
		default:
			goto done;
		}
		if ((void *)(x + 1) > end)
			return PARSE_MALFORMED;
		/* RFC 5095: type 0 routing headers are dead */
		if (next == NEXTHDR_ROUTING && x->type == 0 && x->left != 0)
			return PARSE_MALFORMED;
		at += next == NEXTHDR_AUTH ? (x->len + 2) * 4 : (x->len + 1) * 8;
		next = x->nexthdr;
	}
	/* More extension headers than we walk. */
	return PARSE_MALFORMED;
done:
	if (at - p->l3 > p->bytes)
		return PARSE_MALFORMED;
	p->tuple.proto = next;
	p->l4 = at;
	p->headers = at - p->l3;
	return parse_l4(data, end, p);
}

/*
 * l3 is the offset of the IP header, proto the Ethertype, length that of the
 * whole frame, of which data to end is what can be read.
 */
static __always_inline int parse(void *data, void *end, __u32 l3, __be16 proto, __u32 length,
				 struct packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	p->l3 = l3;
	if (proto == bpf_htons(ETH_P_IP))
		return parse_v4(data, end, p, length);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_v6(data, end, p, length);
	return PARSE_OTHER;
}

#endif
