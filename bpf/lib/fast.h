/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The fast path: established flows go on from here as they were seen to leave
 * the long way. TC egress notes the way (learn.h); XDP and TC ingress follow it.
 *
 * What is not plain goes the long way: any TCP flag beside ACK, PSH, URG, ECE
 * and CWR, fragments, IP options and extension headers, a TTL at its end, what
 * exceeds the MTU, another port than the one noted, TCP's numbers that are far
 * from those before. Now and then a packet of
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

#include "../abi/trace.h"
#include "glance.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FAST_STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} fast_stats SEC(".maps");

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
	f = flow_by(id);
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

/* What a packet has added that goes the long way after all. If it was moved already,
 * the packet counts twice: less than nothing would be more than all there ever was. */
static __always_inline void take_back(struct fast *e, __u64 amount)
{
	for (int i = 0; i < 8; i++) {
		__u64 have = *(volatile __u64 *)&e->count;

		if (have >> FAST_BYTES_BITS < amount >> FAST_BYTES_BITS ||
		    have << (64 - FAST_BYTES_BITS) < amount << (64 - FAST_BYTES_BITS) ||
		    __sync_val_compare_and_swap(&e->count, have, have - amount) == have)
			return;
	}
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
	/* There the other side is asked (learn.h). */
	if (g->tcp && far_numbers(e, g->ack, g->end))
		return miss(g, FAST_MISS_NUMBERS);
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
		take_back(e, amount);
		return miss(g, before >> 63 ? FAST_MISS_DUE : FAST_MISS_RACE);
	}
	e->last = now;
	if (g->tcp)
		note_numbers(e, g->ack, g->end);
	return 1;
}

#endif
