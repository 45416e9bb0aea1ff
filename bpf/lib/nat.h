/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * NAT's table: which box translates a packet, and to what. policy/nat_find.go is
 * its twin, held equal by differential tests. Trees find the first box by
 * address and service; what else boxes want is looked at from there on.
 */
#ifndef NGFW_NAT_H
#define NGFW_NAT_H

#include "../abi/nat.h"
#include "classify.h"

struct nat_meta_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_meta);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct nat_meta_table);
} image_natmeta SEC(".maps");

struct nat_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP); /* images differ in size */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_box);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__array(values, struct nat_table);
} image_nat SEC(".maps");

const struct nat_box *nat_box_type __attribute__((unused));
const struct nat_meta *nat_meta_type __attribute__((unused));
const struct nat_list *nat_list_type __attribute__((unused));

#define NAT_NONE (-1)
#define NAT_STEP_DESTINATION 0
#define NAT_STEP_SOURCE 1

static __always_inline struct nat_meta *nat_meta_of(__u32 slot)
{
	void *table = element(&image_natmeta, slot);

	return table ? element(table, 0) : 0;
}

static __always_inline struct nat_box *nat_box_at(__u32 slot, __u32 at)
{
	void *table = element(&image_nat, slot);

	return table ? element(table, at) : 0;
}

static __always_inline int within(struct address a, const struct address *lo, const struct address *hi)
{
	return (a.hi > lo->hi || (a.hi == lo->hi && a.lo >= lo->lo)) &&
	       (a.hi < hi->hi || (a.hi == hi->hi && a.lo <= hi->lo));
}

/* 1 where a < b, of all their bits; arithmetic to compiler and verifier alike. */
static __always_inline __u64 under(__u64 a, __u64 b)
{
	__u64 borrow = (~a & b) | ((~a | b) & (a - b));

	asm("" : "+r"(borrow));
	return borrow >> 63;
}

static __always_inline __u64 alike(__u64 a, __u64 b)
{
	__u64 differ = a ^ b;

	differ |= -differ;
	asm("" : "+r"(differ));
	return ~differ >> 63;
}

#define LIST_TORN (-1)

/* Is a in a list of spans of IPv4? Each is two words: its first and its last. */
static __always_inline int in_list4(void *lines, struct nat_list spans, __u32 a)
{
	struct list firsts = { .lines = lines, .first = spans.first, .count = spans.count, .words = 2, .pairs = 1 };
	struct list ends = { .lines = lines, .first = spans.first, .words = 1 };
	__u32 at = rank(&firsts, 1 << (NAT_LIST_BITS - 1), (__u64)a + 1);
	__u64 last = 0;

	if (at == NOT_THERE)
		return LIST_TORN;
	if (!at)
		return 0;
	if (!element_at(&ends, 2 * at - 1, &last))
		return LIST_TORN;
	return a <= last;
}

/* The same of IPv6: eight words each. */
static __always_inline int in_list6(void *lines, struct nat_list spans, struct address a)
{
	__u32 count = 0;
	struct line *l;
	const __u32 *w;

	/* How many begin before or at a; without branches, as in rank. */
	for (__u32 step = 1 << (NAT_LIST_BITS - 1); step; step >>= 1) {
		__u64 at = (__u64)count + step - 1, inside = less(at, spans.count), beyond;

		at &= -inside;
		l = line_at(lines, spans.first + at / 2);
		if (!l)
			return LIST_TORN;
		w = l->word + at % 2 * 8;
		beyond = under(a.hi, number(w)) | (alike(a.hi, number(w)) & under(a.lo, number(w + 2)));
		count += step & -(__u32)(inside & ~beyond);
	}
	if (!count)
		return 0;
	l = line_at(lines, spans.first + (count - 1) / 2);
	if (!l)
		return LIST_TORN;
	w = l->word + (count - 1) % 2 * 8;
	return at_most(a.hi, a.lo, w + 4);
}

/*
 * Is the question's source, or its destination, in a list? Where the table was swapped
 * away, q->search.torn says so. A global function, so that the verifier takes it once.
 */
__attribute__((noinline)) int nat_listed(struct question *q, __u32 first, __u32 count, __u32 destination)
{
	struct nat_list spans = { .first = first, .count = count };
	void *lines;
	int in = LIST_TORN;

	if (!q)
		return 0;
	lines = element(&image_lines, q->slot);
	if (lines && q->v6)
		in = in_list6(lines, spans, destination ? q->dst : q->src);
	else if (lines)
		in = in_list4(lines, spans, destination ? q->dst.lo : q->src.lo);
	if (in == LIST_TORN)
		q->search.torn = 1;
	return in == 1;
}

__attribute__((noinline)) int nat_framed(struct question *q, __u32 first, __u32 count)
{
	void *lines;

	if (!q)
		return 0;
	lines = element(&image_lines, q->slot);
	if (!lines) {
		q->search.torn = 1;
		return 0;
	}
	return has_mac(lines, first, count, q->mac);
}

/* What a box asks beside its bounds. */
static __always_inline int nat_asks(const struct nat_box *b, struct question *q)
{
	if (b->macs.count && nat_framed(q, b->macs.first, b->macs.count) == !!(b->flags & NAT_NOT_MACS))
		return 0;
	if (b->sources.count && !nat_listed(q, b->sources.first, b->sources.count, 0))
		return 0;
	return !b->destinations.count || nat_listed(q, b->destinations.first, b->destinations.count, 1);
}

static __always_inline int nat_holds(const struct nat_box *b, const struct question *q, __u32 port)
{
	return !(b->flags & NAT_V6) == !q->v6 && (!b->port || b->port == port) && (b->flags & NAT_ANY_PROTOCOL || b->proto == q->proto) &&
	       b->port_lo <= q->port && q->port <= b->port_hi && b->sport_lo <= q->sport &&
	       q->sport <= b->sport_hi && within(q->src, &b->src_lo, &b->src_hi) &&
	       within(q->dst, &b->dst_lo, &b->dst_hi);
}

struct nat_walk {
	struct question *q;
	__u32 at;			/* of the box that is next */
	__u32 port;
	__s32 found;
};

static long nat_step(__u32 i, void *ctx)
{
	struct nat_walk *k = ctx;
	struct nat_box *b = nat_box_at(k->q->slot, k->at + i);
	int holds;

	if (!b) {
		k->q->search.torn = 1;
		return 1;
	}
	if (!nat_holds(b, k->q, k->port))
		return 0;
	holds = nat_asks(b, k->q);
	if (k->q->search.torn)
		return 1;
	if (!holds)
		return 0;
	k->found = k->at + i;
	return 1;
}

/*
 * The first box of a step that holds the packet, from the box `from` on, or
 * NAT_NONE. Where a table was swapped away, q->search.torn says so.
 */
__attribute__((noinline)) int nat_find(struct question *q, __u32 step, __u32 from)
{
	struct nat_walk walk = { .q = q, .found = NAT_NONE };
	struct nat_meta *meta;
	__u32 end, first, ref;
	void *lines;

	if (!q)
		return NAT_NONE;
	q->search.torn = 0;
	meta = nat_meta_of(q->slot);
	lines = element(&image_lines, q->slot);
	if (!meta || !lines) {
		q->search.torn = 1;
		return NAT_NONE;
	}
	first = step ? meta->destinations : 0;
	end = step ? meta->destinations + meta->sources : meta->destinations;
	if (!from) {
		ref = meta->trees[(step ? 2 : 0) + (q->v6 ? 1 : 0)];
		if (!ref)
			return NAT_NONE;
		key_of(q);
		search_forest(q, lines, ref);
		if (q->search.torn || q->search.order == LINE_OPEN)
			return NAT_NONE;
		from = first + q->search.decider;
	}
	if (from >= end)
		return NAT_NONE;
	walk.at = from;
	walk.port = step ? q->nat_out : q->nat_in;
	bpf_loop(end - from > NAT_BOXES ? NAT_BOXES : end - from, nat_step, &walk, 0);
	return walk.found;
}

/* Packets that NAT leaves alone: to many, within a link, and what keeps a link going. */
static __always_inline int nat_settled(const struct question *q)
{
	__u8 type = q->port >> 8;
	__u32 four = q->dst.lo;

	if (q->v6)
		return q->dst.hi >> 56 == 0xff || q->dst.hi >> 54 == 0xfe80 >> 6 || !(q->dst.hi | q->dst.lo) ||
		       (q->proto == IPPROTO_ICMPV6 && ((type >= 130 && type <= 137) || type == 143)) ||
		       (q->proto == IPPROTO_UDP && q->sport == 547 && q->port == 546);
	return four >> 28 == 0xe || four == 0xffffffff || !four ||
	       (q->proto == IPPROTO_UDP && q->sport == 67 && q->port == 68);
}

static __always_inline int nat_turns(const struct nat_box *b, __u32 in, __u32 out)
{
	return b->turn == NAT_EITHER || (b->turn == NAT_TURNING) == (in == out);
}

static __always_inline int has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* What the box makes of the question's destination. */
static __always_inline void nat_translate(const struct nat_box *b, const struct question *q,
					  struct address *dst, __u16 *port)
{
	dst->hi = b->to.hi | (q->dst.hi & b->host.hi);
	dst->lo = b->to.lo | (q->dst.lo & b->host.lo);
	*port = q->port;
	if (!has_ports(q->proto))
		return;
	if (b->ports == NAT_ONE)
		*port = b->to_port;
	else if (b->ports == NAT_SHIFT)
		*port = q->port + b->to_port - b->from_port;
}

static __always_inline void nat_note(struct question *q, const struct nat_box *b)
{
	q->nat.rule = b->rule;
	q->nat.flags = b->flags;
	q->nat.number = b->number;
}

static __always_inline void from_address(__u8 *to, struct address a)
{
	__be32 *w = (__be32 *)to;

	w[0] = bpf_htonl(a.hi >> 32);
	w[1] = bpf_htonl((__u32)a.hi);
	w[2] = bpf_htonl(a.lo >> 32);
	w[3] = bpf_htonl((__u32)a.lo);
}

#endif
