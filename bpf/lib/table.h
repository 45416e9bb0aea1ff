/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The table of flows: each at a number, which is part of its id, so that it is found
 * without a search. Not LRU: a flood of new flows must not evict established ones.
 *
 * An id is odd; an even one is of a place that is free, or of a refused packet. What
 * is above the number grows each time that the number is given: an id is never seen
 * again, and whoever still has one finds nothing or its own flow.
 */
#ifndef NGFW_TABLE_H
#define NGFW_TABLE_H

#include "maps.h"

/* Mappable, because its elements then begin at a page: a flow is four cache lines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

/* Numbers that are free. That which was freed last is given first, and is near. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 131072);
	__type(value, __u32);
} flow_numbers SEC(".maps");

/* How many flows there are in each FLOW_BLOCK of numbers: what is empty is not read. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131072 / FLOW_BLOCK);
	__type(key, __u32);
	__type(value, __u64);
} flow_blocks SEC(".maps");

#define FLOW_TICK (1ULL << (FLOW_NUMBER_BITS + 1))	/* one up, in an id */

static __always_inline __u32 flow_number(__u64 id)
{
	return id >> 1 & ((1U << FLOW_NUMBER_BITS) - 1);
}

/* The flow with this id, if there still is one. */
static __always_inline struct flow *flow_by(__u64 id)
{
	struct flow *f = element(&flows, flow_number(id));

	return f && *(volatile __u64 *)&f->id == id ? f : 0;
}

static __always_inline void count_block(__u32 number, __u64 n)
{
	__u64 *block = element(&flow_blocks, number / FLOW_BLOCK);

	if (block)
		atomic_add(block, n);
}

/* Unix ns; this router's clock may not run backwards over a boot. */
static __always_inline __u64 unix_now(__u64 now)
{
	struct config *c = element(&settings, 0);

	return (c ? c->clock_base : 0) + now;
}

/* The id of a packet that opens no flow: no two of one CPU come within 64 ns. */
static __always_inline __u64 refused_id(__u64 now)
{
	return ((unix_now(now) & ~63ULL) | (bpf_get_smp_processor_id() & 63)) << 1;
}

/* Stores a flow, which gets its id. 0: the table is full. */
static __always_inline struct flow *flow_open(struct flow *from, __u64 now)
{
	struct flow *f;
	__u32 number;
	__u64 id;

	if (bpf_map_pop_elem(&flow_numbers, &number))
		return 0;
	f = element(&flows, number);
	if (!f)
		return 0;
	id = (unix_now(now) << 1 & ~(FLOW_TICK - 1)) | (__u64)number << 1;
	if (id <= f->id)
		id = f->id + FLOW_TICK;
	count_block(number, 1);
	from->id = id;
	*f = *from;
	/* Only now is it one, to who reads the table: in one word, which is behind the rest. */
	__sync_val_compare_and_swap(&f->id, id, id | 1);
	return f;
}

static __always_inline void flow_close(struct flow *f, __u64 id)
{
	__u32 number = flow_number(id);

	if (__sync_val_compare_and_swap(&f->id, id, id & ~1ULL) != id)
		return;			/* somebody else has */
	count_block(number, -1);
	bpf_map_push_elem(&flow_numbers, &number, BPF_ANY);
}

#endif
