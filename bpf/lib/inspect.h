/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The matcher's flows: which packets go to its queue, and what it has said of
 * them. Its word comes by a map of its own, because a flow's record is written by
 * the programs alone; the first packet that finds it there moves it into the
 * record, where it survives the agent and every policy.
 */
#ifndef NGFW_INSPECT_H
#define NGFW_INSPECT_H

#include "flow.h"
#include "../abi/inspect.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inspection);
} inspection SEC(".maps");

/* flow id → FLOW_BYPASS or FLOW_BLOCKED, until its next packet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} inspected SEC(".maps");

/* Interfaces that are inspected, where not all are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} inspected_ports SEC(".maps");

static __always_inline int is_inspected(const struct inspection *i, const struct flow *f)
{
	__u32 in = f->ifindex_in, out = f->ifindex_out;

	/* What is for the router or from it does not pass the forward hook. */
	if (f->zone_in == ZONE_SELF || f->zone_out == ZONE_SELF)
		return 0;
	return !i->chosen || bpf_map_lookup_elem(&inspected_ports, &in) ||
	       bpf_map_lookup_elem(&inspected_ports, &out);
}

/* Mark bits for a packet of f that may pass; -1: the matcher has blocked the flow. */
SUBPROGRAM int inspect(struct flow *f)
{
	struct inspection *i = element(&inspection, 0);
	__u32 *said, word;
	__u64 id;

	if (!f || !i || !i->on)
		return 0;
	if (f->flags & FLOW_BLOCKED)
		return -1;
	if (f->flags & FLOW_BYPASS || !is_inspected(i, f))
		return 0;
	id = f->id;
	said = bpf_map_lookup_elem(&inspected, &id);
	if (!said)
		return MARK_INSPECT;
	word = *said & (FLOW_BYPASS | FLOW_BLOCKED);
	__sync_fetch_and_or(&f->flags, word);
	bpf_map_delete_elem(&inspected, &id);
	return word & FLOW_BLOCKED ? -1 : 0;
}

/* Whether the matcher has blocked f, even if no packet has come since. */
static __always_inline int is_blocked(const struct flow *f)
{
	__u64 id = f->id;
	__u32 *said;

	if (f->flags & FLOW_BLOCKED)
		return 1;
	said = bpf_map_lookup_elem(&inspected, &id);
	return said && *said & FLOW_BLOCKED;
}

#endif
