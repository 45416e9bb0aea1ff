/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The fast path: established flows go on from here as they were seen to leave
 * the long way. TC egress notes the way (learn.h); XDP and TC ingress follow it.
 *
 * What is not plain goes the long way: any TCP flag beside ACK, PSH, URG, ECE
 * and CWR, fragments, IP options and extension headers, a TTL at its end, what
 * exceeds the MTU, another port than the one noted. Now and then a packet of
 * each direction goes the long way too. It keeps conntrack's timeouts and
 * renews the way; if it does not come through, all follow it. That is each
 * second, or every few seconds while the agent watches what ways depend on
 * (dataplane/watch.go): routes, neighbours, links and rules.
 *
 * Counts are gathered in the entry and added to flow and rule by whoever comes
 * by the long way, and by the agent before it reads them.
 */
#ifndef NGFW_FAST_H
#define NGFW_FAST_H

#include "../abi/fast.h"
#include "../abi/trace.h"
#include "flow.h"

/*
 * A hash table of our own, since the kernel's costs a cache line for the bucket
 * before the one of the entry is known. An entry stands at its hash or in one of
 * the places behind; where all are taken, the flow goes the long way. Mappable,
 * because its elements then begin at a page. The agent makes it a power of two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct fast);
} fast_ways SEC(".maps");

/*
 * What IPv6 is translated to has no room in its entry, whose addresses fill it: it
 * lies here, at the entry's number, and costs its own packets a look more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct fast_nat6);
} fast_nats6 SEC(".maps");

#define FAST_PLACES 8

struct bpf_map {
	__u32 max_entries;
} __kernel_type;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FAST_STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} fast_stats SEC(".maps");

/* Ticks of 2^20 ns: one shift of the coarse clock, exact to a timer interrupt. */
#define TICK_SHIFT 20
#define TICKS(ms) ((__u32)((ms) * 1000000ULL >> TICK_SHIFT))
#define FAST_DUE TICKS(1000)	/* from one packet that goes the long way to the next */
#define FAST_GRACE TICKS(250)	/* from then to the way's end, if nothing renews it */
/* The same while changes are told of: less a random part, since flows that are
 * learnt together shall not be renewed together. A power of two. */
#define FAST_DUE_WATCHED TICKS(5000)
#define FAST_SPREAD 1024
/* Conntrack's own timeout, s: below this it is kept each second. */
#define FAST_LASTING 15

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fast_watch);
} fast_watched SEC(".maps");

static __always_inline __u32 tick_now(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

/* What a way holds under: the active image, and above its number the epoch and
 * the changes that the agent has told of, which only grow. */
static __always_inline __u64 standing(const struct config *c, const struct fast_watch *w)
{
	__u64 active = *(volatile const __u64 *)&c->active;
	__u64 epoch = *(volatile const __u32 *)&c->epoch + *(volatile const __u32 *)&w->changes;

	return active ? active ^ epoch << 48 : 0;
}

/* Ticks wrap round after 52 days. */
static __always_inline int reached(__u32 now, __u32 then)
{
	return (__s32)(now - then) >= 0;
}

/* 1 if nobody watches what ways depend on. Without a branch, of which there are enough. */
static __always_inline __u32 alone(const struct fast_watch *w, __u32 now)
{
	return ~(now - *(volatile const __u32 *)&w->until) >> 31;
}

/* A tuple as an entry's key. */
static __always_inline void fast_key_of(const struct tuple *t, struct fast_key *k)
{
	const __u64 *w = (const __u64 *)t;

	k->src = w[1];
	k->dst = w[3];
	*(__u64 *)&k->sport = w[4];
	k->v4 = is_v4(t->saddr);
	k->net[0] = w[0];
	k->net[1] = w[2];
}

/* Where k's entry would stand. Seeded, so that nobody can choose his neighbours. */
static __always_inline __u32 fast_place(const struct fast_key *k)
{
	const struct config *c = element(&settings, 0);
	__u64 h = c ? c->clock_base : 0;

	h = (h ^ k->src ^ k->net[0]) * 0x9e3779b97f4a7c15ULL;	/* odd numbers of many bits */
	h = ((h ^ h >> 32) + k->dst + k->net[1]) * 0xc2b2ae3d27d4eb4fULL;
	h = ((h ^ h >> 32) ^ *(const __u64 *)&k->sport) * 0x9e3779b97f4a7c15ULL;
	return h >> 32;
}

static __always_inline struct fast *fast_at(__u32 place)
{
	place &= ((struct bpf_map *)&fast_ways)->max_entries - 1;
	return bpf_map_lookup_elem(&fast_ways, &place);
}

/* Behind e's number, which its address tells. */
static __always_inline struct fast_nat6 *nat6_of(const struct fast *e)
{
	struct fast *first = fast_at(0);
	__u32 place;

	if (!first)
		return 0;
	place = e - first;
	return bpf_map_lookup_elem(&fast_nats6, &place);
}

static __always_inline int same_key(const struct fast_key *a, const struct fast_key *b)
{
	return *(const __u64 *)&a->sport == *(const __u64 *)&b->sport && a->src == b->src && a->dst == b->dst &&
	       (b->v4 || (a->net[0] == b->net[0] && a->net[1] == b->net[1]));
}

/* The entry of k; *seq is its way's from before it was found to be k's. */
static __always_inline struct fast *fast_find(const struct fast_key *k, __u32 *seq)
{
	__u32 place = fast_place(k);
	__u64 word;

	for (int i = 0; i < FAST_PLACES; i++) {
		struct fast *e = fast_at(place + i);

		if (!e)
			return 0;
		/* One look suffices for another's; behind a place that was never taken is nothing. */
		word = *(volatile __u64 *)&e->key.sport;
		if (!word)
			return 0;
		if (word != *(const __u64 *)&k->sport)
			continue;
		*seq = *(volatile __u32 *)&e->way.seq;
		if (same_key(&e->key, k))
			return e;
	}
	return 0;
}

static __always_inline struct fast *fast_of(const struct tuple *t)
{
	struct fast_key k;
	__u32 seq;

	fast_key_of(t, &k);
	return fast_find(&k, &seq);
}

/* Only one CPU writes a way at a time; the others leave it to that one. */
static __always_inline int begin_way(struct fast *e)
{
	__u32 seq = *(volatile __u32 *)&e->way.seq;

	return !(seq & 1) && __sync_val_compare_and_swap(&e->way.seq, seq, seq + 1) == seq;
}

static __always_inline void end_way(struct fast *e)
{
	__sync_fetch_and_add(&e->way.seq, 1);
}

/* A free place for k, begun to be written; 0: all are taken. */
static __always_inline struct fast *fast_claim(const struct fast_key *k)
{
	__u32 place = fast_place(k);

	for (int i = 0; i < FAST_PLACES; i++) {
		struct fast *e = fast_at(place + i);

		if (!e)
			return 0;
		if (*(volatile __u8 *)&e->key.proto || !begin_way(e))
			continue;
		if (!*(volatile __u8 *)&e->key.proto)
			return e;
		end_way(e);
	}
	return 0;
}

/* Adds without fetching: the collector may interrupt no one, but be interrupted. */
static __always_inline void add_fast_stat(__u32 stat, __u64 n)
{
	__u64 *v = element(&fast_stats, stat);

	if (v)
		atomic_add(v, n);
}

static __always_inline void add_stat(__u32 stat, __u64 n)
{
	__u64 *v = element(&stats, stat);

	if (v)
		atomic_add(v, n);
}

/* Adds to what a NAT rule has translated. */
static __always_inline void settle_nat(__u32 rule, struct amount a, __u64 seen)
{
	__u32 key = DECIDER(DECIDER_TRANSLATION, rule);
	struct counter *c;

	if (!rule)
		return;
	c = bpf_map_lookup_elem(&counters, &key);
	if (!c) {
		add_stat(STAT_NO_COUNTER, a.packets);
		return;
	}
	atomic_add(&c->packets, a.packets);
	atomic_add(&c->bytes, a.bytes);
	if (c->last < seen)
		c->last = seen;
}

/* Moves an entry's counts to where they are read. now is the boot clock, ns. */
static __always_inline void settle(struct fast *e, __u64 now, __u32 tick)
{
	struct amount a;
	struct counter *c;
	struct flow *f;
	__u32 decider, last;
	__u64 id, seen, n;

	n = __sync_lock_test_and_set(&e->count, 0);
	if (!n)
		return;
	a.packets = n >> FAST_BYTES_BITS;
	a.bytes = n & ((1ULL << FAST_BYTES_BITS) - 1);
	decider = e->decider;
	id = e->id;
	last = e->last;
	seen = now - (reached(tick, last) ? (__u64)(tick - last) << TICK_SHIFT : 0);
	c = counter_of(decider);
	if (c) {
		atomic_add(&c->packets, a.packets);
		atomic_add(&c->bytes, a.bytes);
		if (c->last < seen)
			c->last = seen;
	} else {
		add_stat(STAT_NO_COUNTER, a.packets);
	}
	add_stat(STAT_PACKETS, a.packets);
	add_stat(STAT_BYTES, a.bytes);
	add_fast_stat(FAST_STAT_PACKETS, a.packets);
	add_fast_stat(FAST_STAT_BYTES, a.bytes);
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		return;
	count_flow(f, e->way.dir, a);
	if (f->seen < seen)
		f->seen = seen;
	settle_nat(f->nat[0], a, seen);
	if (f->nat[1] != f->nat[0])
		settle_nat(f->nat[1], a, seen);
}

/* For the Go side's sake. */
const struct fast_nat *fast_nat_type __attribute__((unused));
const struct fast_nat6 *fast_nat6_type __attribute__((unused));
const struct fast_watch *fast_watch_type __attribute__((unused));

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
	if (proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return 0;
		return plain_segment(l4, g, ip_header);
	}
	if (proto != IPPROTO_UDP || l4 + sizeof(struct udphdr) > end)
		return 0;
	g->headers = ip_header + sizeof(struct udphdr);
	g->tcp = 0;
	return g->bytes >= g->headers;
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

/* A way as it was read, and what it makes of a packet's header. */
struct route_taken {
	struct fast_way way;
	struct fast_nat nat;
	__u64 addresses[4];		/* IPv6's own, in place of those in nat */
};

/* A packet goes the long way, and why. */
static __always_inline int miss(struct glance *g, __u32 why)
{
	g->miss = why;
	return 0;
}

/* Why glance has found nothing; the key is complete where the packet is plain. */
static __always_inline __u32 missed(const struct glance *g)
{
	return g->key.proto ? FAST_MISS_UNKNOWN : FAST_MISS_NOT_PLAIN;
}

/*
 * May a packet of e go the short way in this form? Then it is counted, and r is
 * where to. packets and bytes are on the wire, longest the IP length of its
 * longest segment, ethernet its destination address.
 */
static __always_inline int follow(struct fast *e, __u32 form, const struct config *c, const struct fast_watch *w,
				  __u32 ifindex, const void *ethernet, struct glance *g, __u32 longest,
				  struct amount a, struct route_taken *r)
{
	const __u16 *mac = ethernet, *ours = (const __u16 *)r->way.mac_in;
	__u64 amount = a.packets << FAST_BYTES_BITS | a.bytes, before, active = standing(c, w);
	const struct fast_way *way = &r->way;
	__u32 now = tick_now(), ahead = alone(w, now) * (FAST_DUE_WATCHED - FAST_DUE), due, clock, seq = g->seq;

	__builtin_memcpy(&r->way, &e->way, sizeof(r->way));
	__builtin_memcpy(&r->nat, e->key.net, sizeof(r->nat));
	if (!active || way->active != active)
		return miss(g, FAST_MISS_STALE);
	if (!(way->form & form))
		return miss(g, FAST_MISS_FORM);
	if (way->ifindex_in != ifindex || mac[0] != ours[0] || mac[1] != ours[1] || mac[2] != ours[2])
		return miss(g, FAST_MISS_PORT);
	/* What was to be told of changes is as old as any other way once nobody tells. */
	clock = now + way->form / FAST_WATCHED * ahead;
	if (reached(clock, way->until))
		return miss(g, FAST_MISS_EXPIRED);
	if (longest > way->mtu)
		return miss(g, FAST_MISS_MTU);
	if (!g->key.v4 && way->form & FAST_REWRITE) {
		const struct fast_nat6 *nat = nat6_of(e);

		if (!nat)
			return miss(g, FAST_MISS_FORM);
		__builtin_memcpy(r->addresses, nat->saddr, sizeof(r->addresses));
		__builtin_memcpy(&r->nat.sport, &nat->sport, sizeof(__u64));
	}
	due = *(volatile __u32 *)&e->due;
	/* One packet is enough: who moves the mark goes. */
	if (reached(clock, due) && __sync_val_compare_and_swap(&e->due, due, clock + FAST_DUE) == due)
		return miss(g, FAST_MISS_DUE);
	before = __sync_fetch_and_add(&e->count, amount); /* also a barrier */
	/* A full entry is emptied by who goes the long way. */
	if (seq & 1 || *(volatile __u32 *)&e->way.seq != seq || before >> 63) {
		atomic_add(&e->count, -amount);
		return miss(g, before >> 63 ? FAST_MISS_DUE : FAST_MISS_RACE);
	}
	e->last = now;
	if (g->tcp)
		note_numbers(e, g->ack, g->end);
	return 1;
}

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
