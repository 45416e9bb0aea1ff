/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The classifier: a question about a flow's first packet against an image.
 * Enforcement and simulation call this one function; policy.Image.Judge is its
 * twin in Go, held equal by a differential test.
 */
#ifndef NGFW_CLASSIFY_H
#define NGFW_CLASSIFY_H

#include "maps.h"
#include "parse.h"

static __always_inline struct address to_address(const __u8 *raw)
{
	const __be32 *w = (const __be32 *)raw;
	struct address a;

	a.hi = (__u64)bpf_ntohl(w[0]) << 32 | bpf_ntohl(w[1]);
	a.lo = (__u64)bpf_ntohl(w[2]) << 32 | bpf_ntohl(w[3]);
	return a;
}

static __always_inline int at_least(struct address a, struct address b)
{
	return a.hi > b.hi || (a.hi == b.hi && a.lo >= b.lo);
}

static __always_inline int matches(const struct entry *e, const struct question *q)
{
	if (!e->any_proto && e->proto != q->proto)
		return 0;
	if (q->port < e->port_lo || q->port > e->port_hi)
		return 0;
	return at_least(q->src, e->src_lo) && at_least(e->src_hi, q->src) &&
	       at_least(q->dst, e->dst_lo) && at_least(e->dst_hi, q->dst);
}

struct scan {
	struct question *q;
	__u32 first;
	__u32 torn;			/* a table was swapped away: no answer is better than a wrong one */
};

static long walk_entry(__u32 i, void *ctx)
{
	struct scan *w = ctx;
	void *entries = element(&image_entries, w->q->slot);
	struct entry *e;
	__u32 at = w->first + i;

	if (!entries)
		goto torn;
	e = bpf_map_lookup_elem(entries, &at);
	if (!e)
		goto torn;
	if (!matches(e, w->q))
		return 0;
	w->q->verdict = e->verdict;
	return 1;
torn:
	w->torn = 1;
	return 1;
}

/* What a router needs to work: RFC 4861, 2710 and 3810, DHCP's answers (RFC 2131, 8415). */
static __always_inline __u32 system_rule(const struct question *q, __u32 system)
{
	__u8 type = q->port >> 8;
	int self = q->zone_in == ZONE_SELF || q->zone_out == ZONE_SELF;

	if (!self)
		return 0;
	if (q->v6 && q->proto == IPPROTO_ICMPV6) {
		if (type >= 133 && type <= 136 && system & (1 << SYSTEM_NEIGHBOUR_DISCOVERY))
			return SYSTEM_NEIGHBOUR_DISCOVERY;
		if ((type >= 130 && type <= 132) || type == 143)
			if (system & (1 << SYSTEM_MLD))
				return SYSTEM_MLD;
	}
	if (q->proto == IPPROTO_UDP && q->zone_out == ZONE_SELF && system & (1 << SYSTEM_DHCP_CLIENT)) {
		if (q->v6 ? q->sport == 547 && q->port == 546 : q->sport == 67 && q->port == 68)
			return SYSTEM_DHCP_CLIENT;
	}
	return 0;
}

/*
 * judge answers q->verdict. Without an image of that slot the action stays 0,
 * which callers treat as a drop.
 */
__attribute__((noinline)) int judge(struct question *q)
{
	struct scan w = {};
	struct image *meta;
	struct pair *pair;
	void *table;
	__u32 rule, first, n;

	if (!q)
		return 0;
	__builtin_memset(&q->verdict, 0, sizeof(q->verdict));
	table = element(&image_meta, q->slot);
	if (!table)
		return 0;
	meta = element(table, 0);
	if (!meta)
		return 0;
	rule = system_rule(q, meta->system);
	if (rule) {
		q->verdict.decider = DECIDER(DECIDER_SYSTEM, rule);
		q->verdict.action = ACTION_ACCEPT;
		return 0;
	}
	table = element(&image_pairs, q->slot);
	if (!table)
		return 0;
	pair = element(table, (q->zone_in % MAX_ZONES) * MAX_ZONES + q->zone_out % MAX_ZONES);
	if (!pair)
		return 0;
	first = pair->first;
	n = pair->count;
	w.q = q;
	w.first = first;
	if (n)
		bpf_loop(n > MAX_ENTRIES ? MAX_ENTRIES : n, walk_entry, &w, 0);
	if (w.torn)
		return 0;
	if (!q->verdict.action)
		q->verdict = pair->fallback;
	/* The router does not answer itself. */
	if (q->zone_in == ZONE_SELF && q->verdict.action == ACTION_REJECT)
		q->verdict.action = ACTION_DROP;
	return 0;
}

#endif
