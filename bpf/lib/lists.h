/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Drop lists: one search over all of them, by a packet's source and by its
 * destination. droplist.Table.Lookup is its twin in Go.
 *
 * A search reads a line for each node on its way and one or two at its end;
 * with evenly spread prefixes that is three, of which the first is in the cache.
 */
#ifndef NGFW_LISTS_H
#define NGFW_LISTS_H

#include "../abi/early.h"
#include "account.h"
#include "classify.h"

/* Mappable: filled at once, and a line is a cache line. */
struct lists_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lists_line);
};

/* Its one element is replaced: a packet sees one table throughout. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct lists_table);
} lists SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LISTS);
	__type(key, __u32);
	__type(value, struct counter);
} list_drops SEC(".maps");

/* Written by the agent alone: whose the counters are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_LISTS);
	__type(key, __u32);
	__type(value, struct list_name);
} list_names SEC(".maps");

const struct lists_line *lists_line_type __attribute__((unused));

static __always_inline const struct lists_line *lists_at(void *table, __u64 at)
{
	__u32 i = at;

	return bpf_map_lookup_elem(table, &i);
}

/* 1 where a >= b, as arithmetic: what follows cannot be foreseen by the processor. */
static __always_inline __u64 reaches(__u64 a, __u64 b)
{
	__u64 borrow = (~a & b) | ((~a | b) & (a - b));

	asm("" : "+r"(borrow));
	return ~borrow >> 63;
}

/* The label of a word in the slots of a narrow line from first on. */
static __always_inline __u32 narrow_label(const struct lists_line *l, __u64 key, __u32 first,
					  __u32 count, __u32 before)
{
	__u64 slots = ((1ULL << (count & 7)) - 1) << (first & 7), n = 0;

#pragma unroll
	for (int i = 0; i < LISTS_NARROW_SLOTS; i++)
		n += reaches(key, l->word[i]) & slots >> i;
	return n ? l->word[7] >> (8 * ((first + n - 1) & 7)) & 0xff : before;
}

static __always_inline __u32 wide_label(const struct lists_line *l, __u64 hi, __u64 lo, __u32 first,
					__u32 count, __u32 before)
{
	__u64 slots = ((1ULL << (count & 3)) - 1) << (first & 3), n = 0;

#pragma unroll
	for (int i = 0; i < LISTS_WIDE_SLOTS; i++) {
		__u64 above = reaches(hi, l->word[2 * i]), below = reaches(l->word[2 * i], hi);

		n += ((above & ~below) | (above & below & reaches(lo, l->word[2 * i + 1]))) & slots >> i;
	}
	return n ? l->word[6] >> (8 * ((first + n - 1) & 7)) & 0xff : before;
}

/* A leaf: some slots of one line, or several lines of which one is searched. */
static __always_inline __u32 leaf_label(void *table, __u64 ref, __u64 hi, __u64 lo)
{
	__u32 wide = (ref & 3) == LISTS_WIDE, slots = wide ? LISTS_WIDE_SLOTS : LISTS_NARROW_SLOTS;
	__u32 first = ref >> 2 & 7, before = ref >> 8 & 0xff, count = ref >> 16 & 0xff, at = ref >> 32;
	const struct lists_line *l = lists_at(table, at), *next;

	if (!l)
		return 0;
	if (count > slots) {
		for (int i = 0; i < 7; i++) {	/* a leaf has at most eight lines */
			if (count <= slots)
				break;
			next = lists_at(table, ++at);
			if (!next || next->word[0] > hi ||
			    (wide && next->word[0] == hi && next->word[1] > lo))
				break;
			l = next;
			count -= slots;
		}
		if (count > slots)
			count = slots;
	}
	if (wide)
		return wide_label(l, hi, lo, first, count, before);
	return narrow_label(l, hi, first, count, before);
}

/* The first list that has the address, 0 for none. */
static __always_inline __u32 label_of(void *table, __u64 ref, __u64 hi, __u64 lo)
{
	for (int i = 0; i < LISTS_DEPTH; i++) {
		const struct lists_line *h;
		__u64 key = hi, head, part;

		if ((ref & 3) == LISTS_CONSTANT)
			return ref >> 8 & 0xff;
		if ((ref & 3) != LISTS_NODE)
			return leaf_label(table, ref, hi, lo);
		h = lists_at(table, ref >> 32);
		if (!h)
			return 0;
		head = h->word[0];
		if (head >> 38 & 1) {
			if (hi != h->word[3])
				return (hi < h->word[3] ? head >> 40 : head >> 48) & 0xff;
			key = lo;
		}
		if (key < h->word[1])
			return head >> 40 & 0xff;
		if (key > h->word[2])
			return head >> 48 & 0xff;
		part = (key - h->word[1]) >> (head >> 32 & 63);
		h = lists_at(table, (__u32)head + (part >> 3));
		if (!h)
			return 0;
		ref = h->word[part & 7];
	}
	return 0;
}

/* The agent's connection to its cloud: what is listed by mistake is mended from there. */
static __always_inline int of_cloud(const struct tuple *t)
{
	struct config *c = element(&settings, 0);
	const __u64 *cloud, *src = (const __u64 *)t->saddr, *dst = (const __u64 *)t->daddr;

	if (!c || !c->cloud_port || t->proto != IPPROTO_TCP)
		return 0;
	cloud = (const __u64 *)c->cloud_addr;
	return (t->sport == c->cloud_port && src[0] == cloud[0] && src[1] == cloud[1]) ||
	       (t->dport == c->cloud_port && dst[0] == cloud[0] && dst[1] == cloud[1]);
}

/* Is the packet, from an early zone, on a list? 0, or one more than its counter. */
SUBPROGRAM int listed(const struct tuple *t, __u32 zone)
{
	const struct lists_line *roots;
	struct address src, dst;
	__u32 label, v6;
	void *table;

	if (!t)
		return 0;
	table = element(&lists, 0);
	if (!table)
		return 0;
	zone &= EARLY_ZONES - 1;
	roots = lists_at(table, zone ? LISTS_ZONES + zone : LISTS_ROOTS);
	if (!roots)
		return 0;
	src = to_address(t->saddr);
	dst = to_address(t->daddr);
	v6 = !is_v4(t->saddr);
	if (!v6) {
		src.hi = src.lo << 32;
		src.lo = 0;
		dst.hi = dst.lo << 32;
		dst.lo = 0;
	}
	label = label_of(table, roots->word[v6], src.hi, src.lo);
	if (!label)
		label = label_of(table, roots->word[2 + v6], dst.hi, dst.lo);
	if (!label || of_cloud(t))
		return 0;
	roots = lists_at(table, LISTS_COUNTERS);
	if (!roots)
		return 0;
	return 1 + (roots->word[label >> 3 & 7] >> (8 * (label & 7)) & (MAX_LISTS - 1));
}

#endif
