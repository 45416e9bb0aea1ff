/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The classifier: a question about a flow's first packet against an image.
 * Enforcement and simulation call this one function; policy.Image.Judge is its
 * twin in Go, held equal by differential tests.
 *
 * A packet costs at most TREE_NUMBER trees of TREE_DEPTH nodes and a leaf each.
 */
#ifndef NGFW_CLASSIFY_H
#define NGFW_CLASSIFY_H

#include "../abi/nat.h"
#include "condition.h"
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

static __always_inline struct line *line_at(void *lines, __u32 at)
{
	return bpf_map_lookup_elem(lines, &at);
}

/*
 * 1 where a < b. Written so that it is arithmetic to the compiler, too: a jump
 * here is one that the processor cannot foresee.
 */
static __always_inline __u64 below(__u32 a, __u32 b)
{
	__u64 difference = (__u64)a - b;

	asm("" : "+r"(difference));
	return difference >> 63;
}

/* The part of the node's cube in which the key lies. */
static __always_inline __u32 descend(const struct line *node, const struct search *s)
{
	__u32 key = s->key[node->word[0] % KEY_WORDS];
	__u64 part = 0;

#pragma unroll
	for (int i = 1; i < NODE_PARTS; i++)
		part += below(node->word[i], key);
	return node->word[NODE_PARTS + part % NODE_PARTS];
}

static __always_inline int entry4(struct question *q, const __u32 *e)
{
	struct search *s = &q->search;
	__u32 source = s->key[KEY_SOURCE + 3], destination = s->key[KEY_DESTINATION + 3];
	__u32 service = s->key[KEY_SERVICE];

	if (e[7] >= s->order)
		return LAST_ENTRY;
	if (below(source, e[0]) | below(e[1], source) | below(destination, e[2]) |
	    below(e[3], destination) | below(service, e[4]) | below(e[5], service))
		return NEXT_ENTRY;
	if (e[7] & ORDER_CONDITIONAL)
		return try_condition(q, e[6], e[7]);
	s->order = e[7];
	s->decider = e[6];
	return LAST_ENTRY;
}

static __always_inline __u64 number(const __u32 *low_first)
{
	return (__u64)low_first[1] << 32 | low_first[0];
}

static __always_inline int at_least(__u64 hi, __u64 lo, const __u32 *bound)
{
	return hi > number(bound) || (hi == number(bound) && lo >= number(bound + 2));
}

static __always_inline int at_most(__u64 hi, __u64 lo, const __u32 *bound)
{
	return hi < number(bound) || (hi == number(bound) && lo <= number(bound + 2));
}

static __always_inline __u64 key64(const struct search *s, int i)
{
	return (__u64)s->key[i] << 32 | s->key[i + 1];
}

static __always_inline int entry6(struct question *q, void *lines, const __u32 *e, __u32 addresses)
{
	struct search *s = &q->search;
	__u32 service = s->key[KEY_SERVICE];
	__u64 hi, lo;
	struct line *box;

	if (e[3] >= s->order)
		return LAST_ENTRY;
	if (below(service, e[0]) | below(e[1], service))
		return NEXT_ENTRY;
	box = line_at(lines, addresses);
	if (!box)
		return TORN_ENTRY;
	hi = key64(s, KEY_SOURCE);
	lo = key64(s, KEY_SOURCE + 2);
	if (!at_least(hi, lo, box->word) || !at_most(hi, lo, box->word + 4))
		return NEXT_ENTRY;
	hi = key64(s, KEY_DESTINATION);
	lo = key64(s, KEY_DESTINATION + 2);
	if (!at_least(hi, lo, box->word + 8) || !at_most(hi, lo, box->word + 12))
		return NEXT_ENTRY;
	if (e[3] & ORDER_CONDITIONAL)
		return try_condition(q, e[2], e[3]);
	s->order = e[3];
	s->decider = e[2];
	return LAST_ENTRY;
}

/* The i-th entry of a leaf of n. */
static __always_inline int entry_at(struct question *q, void *lines, __u32 first, __u32 i, __u32 n)
{
	__u32 v6 = q->search.v6;
	struct line *l = line_at(lines, first + (v6 ? i / 4 : i / 2));

	if (!l)
		return TORN_ENTRY;
	if (v6)
		return entry6(q, lines, l->word + i % 4 * 4, first + (n + 3) / 4 + i);
	return entry4(q, l->word + i % 2 * 8);
}

struct long_leaf {
	struct question *q;
	void *lines;
	__u32 first, count;
};

static long long_entry(__u32 i, void *ctx)
{
	struct long_leaf *leaf = ctx;
	struct search *s = &leaf->q->search;
	int rc = entry_at(leaf->q, leaf->lines, leaf->first, i, leaf->count);

	s->torn |= rc == TORN_ENTRY;
	return rc != NEXT_ENTRY;
}

static __always_inline int leaf4(struct question *q, void *lines, __u32 ref)
{
	__u32 n = REF_COUNT(ref), first = REF_LINE(ref);
	int rc;

	for (__u32 i = 0; i < (LEAF_ENTRIES + 1) / 2; i++) {
		struct line *l;

		if (2 * i >= n)
			return NEXT_ENTRY;
		l = line_at(lines, first + i);
		if (!l)
			return TORN_ENTRY;
		rc = entry4(q, l->word);
		if (rc)
			return rc;
		if (2 * i + 1 >= n)
			return NEXT_ENTRY;
		rc = entry4(q, l->word + 8);
		if (rc)
			return rc;
	}
	return NEXT_ENTRY;
}

static __always_inline int leaf6(struct question *q, void *lines, __u32 ref)
{
	__u32 n = REF_COUNT(ref), first = REF_LINE(ref);
	__u32 addresses = first + (n + 3) / 4;
	int rc;

	for (__u32 i = 0; i < LEAF_ENTRIES; i++) {
		struct line *l;

		if (i >= n)
			return NEXT_ENTRY;
		l = line_at(lines, first + i / 4);
		if (!l)
			return TORN_ENTRY;
		rc = entry6(q, lines, l->word + i % 4 * 4, addresses + i);
		if (rc)
			return rc;
	}
	return NEXT_ENTRY;
}

/* A global function, so that the verifier takes it once and not for each tree. */
__attribute__((noinline)) int search_tree(struct question *q, __u32 ref)
{
	struct search *s;
	struct long_leaf leaf = {};
	struct line *l;
	void *lines;

	if (!q)
		return 0;
	s = &q->search;
	lines = element(&image_lines, q->slot);
	if (!lines)
		goto torn;
	for (int depth = 0; depth <= TREE_DEPTH && REF_KIND(ref) == REF_NODE; depth++) {
		l = line_at(lines, REF_LINE(ref));
		if (!l)
			goto torn;
		ref = descend(l, s);
	}
	if (REF_KIND(ref) == REF_LONG) {
		l = line_at(lines, REF_LINE(ref));
		if (!l)
			goto torn;
		leaf.q = q;
		leaf.lines = lines;
		leaf.first = REF_LINE(ref) + 1;
		leaf.count = l->word[0];
		if (leaf.count > MAX_LEAF)
			goto torn;
		bpf_loop(leaf.count, long_entry, &leaf, 0);
		return 0;
	}
	if (REF_KIND(ref))
		goto torn;
	if ((s->v6 ? leaf6(q, lines, ref) : leaf4(q, lines, ref)) == TORN_ENTRY)
		goto torn;
	return 0;
torn:
	s->torn = 1;
	return 0;
}

static __always_inline void search_forest(struct question *q, void *lines, __u32 ref)
{
	struct search *s = &q->search;
	struct line *trees;

	if (REF_KIND(ref) != REF_FOREST) {
		search_tree(q, ref);
		return;
	}
	trees = line_at(lines, REF_LINE(ref));
	if (!trees) {
		s->torn = 1;
		return;
	}
	for (__u32 i = 0; i < TREE_NUMBER; i++) {
		if (trees->word[2 * i + 1] >= s->order)
			return;
		search_tree(q, trees->word[2 * i]);
	}
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

/* A question as the trees' key, with nothing found yet. */
static __always_inline void key_of(struct question *q)
{
	struct search *s = &q->search;

	__builtin_memset(s, 0, sizeof(*s));
	s->key[KEY_SOURCE] = q->src.hi >> 32;
	s->key[KEY_SOURCE + 1] = q->src.hi;
	s->key[KEY_SOURCE + 2] = q->src.lo >> 32;
	s->key[KEY_SOURCE + 3] = q->src.lo;
	s->key[KEY_DESTINATION] = q->dst.hi >> 32;
	s->key[KEY_DESTINATION + 1] = q->dst.hi;
	s->key[KEY_DESTINATION + 2] = q->dst.lo >> 32;
	s->key[KEY_DESTINATION + 3] = q->dst.lo;
	s->key[KEY_SERVICE] = (__u32)q->proto << 16 | q->port;
	s->order = LINE_OPEN;
	s->v6 = q->v6;
}

/*
 * judge answers q->verdict. Without an image of that slot the action stays 0,
 * which callers treat as a drop.
 */
__attribute__((noinline)) int judge(struct question *q)
{
	struct image *meta;
	struct search *s;
	struct pair *pair;
	void *table;
	__u32 rule, ref;

	if (!q)
		return 0;
	__builtin_memset(&q->verdict, 0, sizeof(q->verdict));
	q->valid = 0;
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
	q->verdict = pair->fallback;
	/* What a NAT rule accepts stands behind the rules and before the policy. */
	if (q->nat.rule && q->nat.flags & NAT_ACCEPT) {
		q->verdict.decider = DECIDER(DECIDER_NAT, q->nat.rule);
		q->verdict.action = ACTION_ACCEPT;
		q->verdict.log = !!(q->nat.flags & NAT_LOG);
	}
	ref = q->v6 ? pair->tree6 : pair->tree4;
	if (ref) {
		table = element(&image_lines, q->slot);
		s = &q->search;
		key_of(q);
		if (meta->offset_count)	/* here and not where it is asked for: the stack is short there */
			read_clock(q);
		if (table)
			search_forest(q, table, ref);
		if (!s->timed)
			q->valid = 0;
		if (!table || s->torn) {
			__builtin_memset(&q->verdict, 0, sizeof(q->verdict));
			q->valid = 0;
			return 0;
		}
		if (s->order != LINE_OPEN) {
			q->verdict.decider = s->decider;
			q->verdict.action = s->order & ORDER_ACTION;
			q->verdict.log = !!(s->order & ORDER_LOG);
		}
	}
	/* The router does not answer itself. */
	if (q->zone_in == ZONE_SELF && q->verdict.action == ACTION_REJECT)
		q->verdict.action = ACTION_DROP;
	return 0;
}

#endif
