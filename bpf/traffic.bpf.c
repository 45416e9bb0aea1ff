// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The benchmark's traffic: a generator that writes whole frames with good
 * checksums, a sink that verifies each frame that arrives, and a mirror between
 * them while flows are established. A frame's payload is the number of its flow.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_FLOWS 65536
#define FIRST_PORT 10000
#define DISCARD 9

#define KIND_V6 1
#define KIND_TCP 2
#define KIND_REVERSE 4		/* from inet to lan1 */
#define KIND_SPREAD 8		/* every frame another flow, its source by a table */
#define KIND_SYN 16

/* Little-endian sums of the words of a header with zeros where flows differ. */
struct plan {
	__u64 next;
	__u32 flows;
	__u32 port;		/* interface to send by */
	__u32 kind;
	__u32 ip_sum, l4_sum;
	__u32 stride;		/* from the flow of one frame to that of the next */
	__u8 frame[80];
};

/* How frames shall arrive. */
struct expected {
	__u32 ttl;
	__u32 kind;
	__u32 source;		/* IPv4, network order; 0: any */
	__u32 translated;	/* the ports are those noted */
	__u32 port;		/* interface that the mirror sends by */
	__u32 flows;
};

struct arrived {
	__u64 all, good;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plan);
} plans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct expected);
} expectations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrived);
} arrivals SEC(".maps");

/* Source ports after translation, by flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_FLOWS);
	__type(key, __u32);
	__type(value, __u32);
} translated SEC(".maps");

struct source {
	__u16 word[8];		/* as on the wire; IPv4 in the first two */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct source);
} sources SEC(".maps");

#define FRAME4 64
#define FRAME6_UDP 66
#define FRAME6_TCP 78

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline void *first(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

#define PUT(at, v) (*(__u16 *)(data + (at)) = (v))

/* v6, tcp and length are constants where this is called. */
static __always_inline int generate(struct xdp_md *ctx, struct plan *p, const int v6, const int tcp, const int length)
{
	const int l4 = ETH_HLEN + (v6 ? 40 : 20), check = l4 + (tcp ? 16 : 6);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 n = p->next++ % p->flows * p->stride % p->flows, ip = p->ip_sum, sum = p->l4_sum, host, source, destination;
	__u16 word;
	int i;

	if (data + length > end)
		return XDP_ABORTED;
#pragma unroll
	for (i = 0; i < FRAME6_TCP; i += 2) {
		if (i < length)
			PUT(i, *(__u16 *)(p->frame + i));
	}
	source = FIRST_PORT + (n & 0x3fff);
	destination = DISCARD + (n >> 15);
	host = n >> 14 & 1;
	if (p->kind & KIND_SPREAD) {
		struct source *s = bpf_map_lookup_elem(&sources, &n);

		if (!s)
			return XDP_ABORTED;
		source = 2000 + n % 60000;
		destination = DISCARD;
#pragma unroll
		for (i = 0; i < (v6 ? 8 : 2); i++) {
			word = s->word[i];
			PUT(ETH_HLEN + (v6 ? 8 : 12) + 2 * i, word);
			sum += word;
			ip += word;
		}
	} else if (p->kind & KIND_REVERSE) {
		__u32 *port = bpf_map_lookup_elem(&translated, &n);

		if (!port)
			return XDP_ABORTED;
		if (v6) {	/* not translated: the host's own */
			word = *(__u16 *)(p->frame + ETH_HLEN + 38) + bpf_htons(host);
			PUT(ETH_HLEN + 38, word);
			sum += bpf_htons(host);
		}
		destination = v6 ? source : *port;
		source = DISCARD + (n >> 15);
	} else {
		const int at = ETH_HLEN + (v6 ? 22 : 14);

		word = *(__u16 *)(p->frame + at) + bpf_htons(host);
		PUT(at, word);
		sum += bpf_htons(host);
		ip += bpf_htons(host);
	}
	PUT(l4, bpf_htons(source));
	PUT(l4 + 2, bpf_htons(destination));
	PUT(length - 4, n & 0xffff);
	PUT(length - 2, n >> 16);
	sum += bpf_htons(source) + bpf_htons(destination) + (n & 0xffff) + (n >> 16);
	if (!v6)
		PUT(ETH_HLEN + 10, ~fold(ip));
	word = ~fold(sum);
	PUT(check, word ? word : 0xffff);
	return bpf_redirect(p->port, 0);
}

SEC("xdp")
int traffic_generate(struct xdp_md *ctx)
{
	struct plan *p = first(&plans);

	if (!p || !p->flows)
		return XDP_ABORTED;
	switch (p->kind & (KIND_V6 | KIND_TCP)) {
	case 0:
		return generate(ctx, p, 0, 0, FRAME4);
	case KIND_TCP:
		return generate(ctx, p, 0, 1, FRAME4);
	case KIND_V6:
		return generate(ctx, p, 1, 0, FRAME6_UDP);
	default:
		return generate(ctx, p, 1, 1, FRAME6_TCP);
	}
}

/* Is it one of ours at all? Neighbours must be able to talk. */
static __always_inline int ours(void *data, void *end, const int v6, const int tcp, const int length)
{
	if (data + length > end)
		return 0;
	if (v6)
		return *(__be16 *)(data + 12) == bpf_htons(ETH_P_IPV6) &&
		       *(__u8 *)(data + ETH_HLEN + 6) == (tcp ? IPPROTO_TCP : IPPROTO_UDP) &&
		       *(__be16 *)(data + ETH_HLEN + 4) == bpf_htons(length - ETH_HLEN - 40);
	return *(__be16 *)(data + 12) == bpf_htons(ETH_P_IP) &&
	       *(__u8 *)(data + ETH_HLEN + 9) == (tcp ? IPPROTO_TCP : IPPROTO_UDP) &&
	       *(__be16 *)(data + ETH_HLEN + 2) == bpf_htons(length - ETH_HLEN);
}

static __always_inline __u32 l4_sum(void *data, const int v6, const int tcp, const int length)
{
	const int l4 = ETH_HLEN + (v6 ? 40 : 20);
	__u32 sum = bpf_htons(length - l4) + bpf_htons(tcp ? IPPROTO_TCP : IPPROTO_UDP);
	int i;

#pragma unroll
	for (i = ETH_HLEN + (v6 ? 8 : 12); i < FRAME6_TCP; i += 2) {
		if (i < length)
			sum += *(__u16 *)(data + i);
	}
	return sum;
}

static __always_inline __u32 ip_sum(void *data)
{
	__u32 sum = 0;
	int i;

#pragma unroll
	for (i = ETH_HLEN; i < ETH_HLEN + 20; i += 2)
		sum += *(__u16 *)(data + i);
	return sum;
}

static __always_inline __u32 number(void *data, const int length)
{
	return *(__u16 *)(data + length - 4) | (__u32)*(__u16 *)(data + length - 2) << 16;
}

static __always_inline int verify(struct expected *e, void *data, const int v6, const int tcp, const int length)
{
	const int l4 = ETH_HLEN + (v6 ? 40 : 20);
	__u32 n = number(data, length), source = bpf_ntohs(*(__be16 *)(data + l4)), *port;
	__u32 destination = bpf_ntohs(*(__be16 *)(data + l4 + 2));

	if (*(__u8 *)(data + ETH_HLEN + (v6 ? 7 : 8)) != e->ttl || n >= e->flows)
		return 0;
	if (!v6 && (fold(ip_sum(data)) != 0xffff ||
		    (e->source && *(__be32 *)(data + ETH_HLEN + 12) != e->source)))
		return 0;
	if (fold(l4_sum(data, v6, tcp, length)) != 0xffff)
		return 0;
	if (e->kind & KIND_SPREAD)
		return 1;
	if (e->kind & KIND_REVERSE && !e->translated)
		return source == DISCARD + (n >> 15);
	if (e->kind & KIND_REVERSE)
		return source == DISCARD + (n >> 15) && destination == FIRST_PORT + (n & 0x3fff);
	if (destination != DISCARD + (n >> 15))
		return 0;
	if (!e->translated)
		return source == FIRST_PORT + (n & 0x3fff);
	port = bpf_map_lookup_elem(&translated, &n);
	return port && *port == source;
}

static __always_inline int sink(void *data, void *end, struct expected *e, struct arrived *a, const int v6, const int tcp,
				const int length)
{
	if (!ours(data, end, v6, tcp, length))
		return XDP_PASS;
	a->all++;
	a->good += verify(e, data, v6, tcp, length);
	return XDP_DROP;
}

SEC("xdp")
int traffic_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct expected *e = first(&expectations);
	struct arrived *a = first(&arrivals);

	if (!e || !a)
		return XDP_PASS;
	switch (e->kind & (KIND_V6 | KIND_TCP)) {
	case 0:
		return sink(data, end, e, a, 0, 0, FRAME4);
	case KIND_TCP:
		return sink(data, end, e, a, 0, 1, FRAME4);
	case KIND_V6:
		return sink(data, end, e, a, 1, 0, FRAME6_UDP);
	default:
		return sink(data, end, e, a, 1, 1, FRAME6_TCP);
	}
}

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__u16 one = *(__u16 *)(data + (a)), two = *(__u16 *)(data + (b));                  \
		PUT(a, two);                                                                       \
		PUT(b, one);                                                                       \
	} while (0)

/* Answers a frame, and notes as which port its flow came. */
static __always_inline int mirror(void *data, void *end, struct expected *e, struct arrived *a, const int v6, const int tcp,
				  const int length)
{
	const int l4 = ETH_HLEN + (v6 ? 40 : 20), check = l4 + (tcp ? 16 : 6);
	__u32 n, port, i;
	__u16 word;

	if (!ours(data, end, v6, tcp, length))
		return XDP_PASS;
	n = number(data, length);
	port = bpf_ntohs(*(__be16 *)(data + l4));
	bpf_map_update_elem(&translated, &n, &port, BPF_ANY);
	a->all++;
	SWAP(0, 6);
	SWAP(2, 8);
	SWAP(4, 10);
#pragma unroll
	for (i = 0; i < (v6 ? 8 : 2); i++)
		SWAP(ETH_HLEN + (v6 ? 8 : 12) + 2 * i, ETH_HLEN + (v6 ? 24 : 16) + 2 * i);
	SWAP(l4, l4 + 2);
	if (tcp) {
		__u32 seq = bpf_ntohl(*(__be32 *)(data + l4 + 4)), ack = bpf_ntohl(*(__be32 *)(data + l4 + 8));
		__u8 flags = *(__u8 *)(data + l4 + 13);

		if (flags & 2) {
			*(__be32 *)(data + l4 + 4) = bpf_htonl(7000);
			*(__be32 *)(data + l4 + 8) = bpf_htonl(seq + 1);
			*(__u8 *)(data + l4 + 13) = 0x12;
		} else {
			*(__be32 *)(data + l4 + 4) = bpf_htonl(ack);
			*(__be32 *)(data + l4 + 8) = bpf_htonl(seq);
		}
		PUT(check, 0);
		word = ~fold(l4_sum(data, v6, tcp, length));
		PUT(check, word);
	}
	return bpf_redirect(e->port, 0);
}

SEC("xdp")
int traffic_mirror(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct expected *e = first(&expectations);
	struct arrived *a = first(&arrivals);

	if (!e || !a)
		return XDP_PASS;
	switch (e->kind & (KIND_V6 | KIND_TCP)) {
	case 0:
		return mirror(data, end, e, a, 0, 0, FRAME4);
	case KIND_TCP:
		return mirror(data, end, e, a, 0, 1, FRAME4);
	case KIND_V6:
		return mirror(data, end, e, a, 1, 0, FRAME6_UDP);
	default:
		return mirror(data, end, e, a, 1, 1, FRAME6_TCP);
	}
}

char _license[] SEC("license") = "GPL";
