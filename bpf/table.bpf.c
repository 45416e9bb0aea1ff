// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The Go side's hands in the tables of flows and of tuples, by BPF_PROG_TEST_RUN: so
 * that hashes, places and numbers are written down once. Question and answer are the
 * "packet": a program for system calls may sleep, and has no stacks on Linux 6.1.
 */
#include "lib/tuples.h"

/* For the Go side's sake. */
const struct tuple_led *tuple_led_type __attribute__((unused));
const struct flow_scan *flow_scan_type __attribute__((unused));

/* What ngfw_scan has found. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCANNED_FLOWS);
	__type(key, __u32);
	__type(value, struct flow);
} scanned SEC(".maps");

#define ASKED(type, ctx)                                                       \
	({                                                                     \
		type *_x = (void *)(long)(ctx)->data;                          \
		(void *)(_x + 1) <= (void *)(long)(ctx)->data_end ? _x : 0;    \
	})

static __always_inline __u32 size(void)
{
	return ((struct bpf_map *)&flows)->max_entries;
}

static long free_number(__u32 i, __u32 *left)
{
	__u32 number = --*left;

	return bpf_map_push_elem(&flow_numbers, &number, BPF_ANY) || !number;
}

static long free_numbers(__u32 i, __u32 *left)
{
	bpf_loop(FLOW_BLOCK, free_number, left, 0);
	return !*left;
}

/* Before the first packet: every number is free, the lowest is given first. Where all
 * are free already there is no room for more. */
SEC("xdp")
int ngfw_number(struct xdp_md *ctx)
{
	__u32 left = size();

	bpf_loop(size() / FLOW_BLOCK + 1, free_numbers, &left, 0);
	return 0;
}

static long copy_flow(__u32 i, struct flow_scan *x)
{
	struct flow *f = element(&flows, x->from++), *to;

	if (!f || !(*(volatile __u64 *)&f->id & 1))
		return 0;
	to = element(&scanned, x->found);
	if (!to)
		return 1;
	*to = *f;
	return ++x->found == SCANNED_FLOWS;
}

static long scan_block(__u32 i, struct flow_scan *x)
{
	__u64 *block = element(&flow_blocks, x->from / FLOW_BLOCK);
	__u32 left = FLOW_BLOCK - x->from % FLOW_BLOCK;

	if (!block)
		return 1;
	if (*(volatile __u64 *)block)
		bpf_loop(left, copy_flow, x, 0);
	else
		x->from += left;
	return x->found == SCANNED_FLOWS || x->from >= size();
}

/* Flows from a number on, as many as there is room for; and where to go on. */
SEC("xdp")
int ngfw_scan(struct xdp_md *ctx)
{
	struct flow_scan *x = ASKED(struct flow_scan, ctx), at = {};

	if (!x)
		return 1;
	at.from = x->from;
	bpf_loop(size() / FLOW_BLOCK + 1, scan_block, &at, 0);
	*x = at;
	return 0;
}

/* Which flow does the tuple lead to? Answers its id, and the tuple's direction. */
SEC("xdp")
int ngfw_led(struct xdp_md *ctx)
{
	struct tuple_led *x = ASKED(struct tuple_led, ctx);
	struct tuple t;
	struct flow *f;
	__u32 dir = 0;

	if (!x)
		return 1;
	t = x->tuple;
	f = find_flow(&t, &dir);
	x->id = f ? f->id : 0;
	x->dir = dir;
	return 0;
}

/* The tuple leads to a flow, which has it. */
SEC("xdp")
int ngfw_lead(struct xdp_md *ctx)
{
	struct tuple_led *x = ASKED(struct tuple_led, ctx);
	struct tuple t;

	if (!x)
		return 1;
	t = x->tuple;
	return !lead(&t, x->id);
}

/* A flow is over: it and what leads to it are removed. */
SEC("xdp")
int ngfw_forget(struct xdp_md *ctx)
{
	struct tuple_led *x = ASKED(struct tuple_led, ctx);
	struct flow *f;
	__u64 id;

	if (!x)
		return 1;
	id = x->id;
	f = flow_by(id);
	if (!f)
		return 0;
	lead_away(&f->orig, id);
	lead_away(&f->reply, id);
	flow_close(f, id);
	return 0;
}

char _license[] SEC("license") = "GPL";
